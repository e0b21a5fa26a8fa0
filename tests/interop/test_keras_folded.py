"""Layers that become part of the weights of a neighbour, and what an import notes."""

import numpy as np
import pytest
from keras import Input, Model, Sequential
from keras import layers as L

from tests.interop import nets
from tests.interop.nets import data, near, predicted
from tests.interop.public_architectures import with_statistics
from unspool.cli import main
from unspool.errors import InputError
from unspool.interop.keras import from_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]
X = data(5, 6, 2)
SEQ = {"return_sequences": True}


def built(*layers, shape=(6, 2)):
    """A `Sequential` of an input and these layers, with random weights."""
    return with_statistics(Sequential([Input(shape), *layers]))


def decoder(cell=L.LSTM, units=4):
    return L.RepeatVector(6), cell(units, **SEQ), L.Dense(2)


@pytest.mark.parametrize("cell", [L.LSTM, L.GRU])
@pytest.mark.parametrize("mode", ["sum", "ave"])
def test_both_directions_may_be_added_or_averaged(cell, mode):
    def both(**options):
        return L.Bidirectional(cell(3, **options), merge_mode=mode)

    theirs = built(both(**SEQ), both(), L.RepeatVector(6), both(**SEQ), L.Dense(2))
    near(from_keras(theirs).reconstruct(X), predicted(theirs, X))


@pytest.mark.parametrize("cell", [L.LSTM, L.GRU])
@pytest.mark.parametrize("bias", [True, False])
def test_batch_normalization_may_be_anywhere_between_recurrent_layers(cell, bias):
    theirs = built(
        *(L.BatchNormalization(), cell(4, use_bias=bias, **SEQ), L.BatchNormalization(scale=False)),
        *(cell(3, use_bias=bias), L.BatchNormalization(center=False), L.RepeatVector(6)),
        *(L.BatchNormalization(), cell(4, use_bias=bias, **SEQ), L.BatchNormalization()),
        *(L.TimeDistributed(L.Dense(2)), L.BatchNormalization()),
    )
    near(from_keras(theirs).reconstruct(X), predicted(theirs, X))


def test_batch_normalization_may_be_before_or_after_the_activation_of_a_dense_layer():
    theirs = built(
        *(L.Dense(8, use_bias=False), L.BatchNormalization(), L.Activation("relu"), L.Dense(3)),
        *(L.Dense(8, activation="relu"), L.BatchNormalization(), L.Dense(9)),
        shape=(9,),
    )
    rows = data(5, 9)
    near(from_keras(theirs).reconstruct(rows), predicted(theirs, rows))


def test_batch_normalization_before_a_flatten_is_of_each_channel():
    theirs = built(
        *(L.Conv1D(3, 3, padding="same", activation="relu"), L.BatchNormalization(), L.Flatten()),
        *(L.Dense(4, activation="linear"),),
    )
    near(from_keras(theirs).transform(X), predicted(theirs, X))


@pytest.mark.parametrize("slope", [0.3, 0.01])
@pytest.mark.parametrize("layer", [L.LeakyReLU, L.ReLU])
def test_a_leaky_relu_of_any_slope_becomes_two_relu_units(layer, slope):
    theirs = built(L.Dense(5), layer(negative_slope=slope), L.Dense(9), shape=(9,))
    rows, ours = data(5, 9), from_keras(theirs)
    near(ours.reconstruct(rows), predicted(theirs, rows))
    assert (ours.latent_dim, ours.code_activation) == (10, "relu")


def test_a_leaky_relu_may_be_between_convolutions():
    same = {"padding": "same"}
    theirs = built(
        *(L.Conv1D(3, 3, **same), L.BatchNormalization(), L.LeakyReLU(), L.Conv1D(2, 3, **same)),
        *(L.LeakyReLU(), L.Flatten(), L.Dense(4)),
    )
    near(from_keras(theirs).transform(X), predicted(theirs, X))


def test_batch_normalization_of_many_numbers_needs_no_large_matrix():
    size = 200_000  # a matrix would have 320 GB
    theirs = built(L.BatchNormalization(), L.Dense(2, activation="linear"), shape=(size,))
    rows = data(3, size)
    near(from_keras(theirs).transform(rows), predicted(theirs, rows))


def test_a_leaky_relu_of_too_many_units_is_refused():
    theirs = built(L.Dense(5000), L.LeakyReLU(name="odd"), L.Dense(2), shape=(2,))
    with pytest.raises(InputError) as caught:
        from_keras(theirs)
    assert str(caught.value) == (
        "LeakyReLU 'odd' cannot be imported: it acts on 5,000 units; at most 4,096 are supported."
    )


@pytest.mark.parametrize("after", ["mean", "max"])
def test_the_order_of_two_poolings_does_not_matter(after):
    x = Input((6, 2))
    h = L.LSTM(4, **SEQ)(x)
    pools = [L.GlobalAveragePooling1D()(h), L.GlobalMaxPooling1D()(h)]
    merged = L.Concatenate()(pools if after == "max" else pools[::-1])
    theirs = with_statistics(Model(x, L.Dense(3, activation="softmax")(merged)))
    ours = from_keras(theirs)
    near(ours.predict_proba(X), predicted(theirs, X))
    assert ours.autoencoder_.pooling == "mean_max"


@pytest.mark.parametrize("name", ["relu", "tanh", "softmax"])
@pytest.mark.parametrize("units", [3, 4])
def test_the_activation_of_a_dense_code_is_kept(name, units):
    theirs = built(L.LSTM(4), L.Dense(3, activation=name), *decoder(units=units))
    ours = from_keras(theirs)
    assert ours.code_activation == name
    near(ours.reconstruct(X), predicted(theirs, X))
    code = Model(theirs.inputs, theirs.layers[1].output)
    near(ours.transform(X), predicted(code, X))


def test_a_decoder_may_read_both_ways_alone():
    theirs = built(L.LSTM(4), L.RepeatVector(6), L.Bidirectional(L.LSTM(4, **SEQ)), L.Dense(2))
    ours = from_keras(theirs)
    assert ours.bidirectional == "decoder"
    near(ours.reconstruct(X), predicted(theirs, X))


def test_dense_layers_after_the_code_may_have_other_widths():
    theirs = built(
        *(L.Dense(7, "tanh"), L.Dense(3, "relu"), L.Dense(5, "tanh"), L.Dense(4, "tanh")),
        L.Dense(9),
        shape=(9,),
    )
    rows, ours = data(5, 9), from_keras(theirs)
    near(ours.reconstruct(rows), predicted(theirs, rows))
    assert (ours.hidden_units, ours.latent_dim, ours.decoder_units) == ((7,), 3, (5, 4))
    assert ours.import_notes_ == (
        f"Dense {theirs.layers[1].name!r}, the narrowest layer, is the code.",
    )


def test_a_masked_autoencoder_equals_that_of_keras_for_trailing_zeros():
    theirs = built(L.Masking(0.0, name="mask"), L.LSTM(4), *decoder())
    x = X.copy()
    x[2, 4:] = 0
    ours = from_keras(theirs)
    short = [row[: 4 if i == 2 else 6] for i, row in enumerate(x)]
    expected = predicted(theirs, x)
    for row, got, wanted in zip(short, ours.reconstruct(short), expected, strict=True):
        near(got[: len(row)], wanted[: len(row)])
    assert ours.import_notes_[0].startswith("Masking 'mask' skips each step whose values are all 0")


NOTES = {
    "forecast or code": (
        lambda: built(L.LSTM(4), L.Dense(3, name="last")),
        "Dense 'last' is read as a forecast of 3 numbers; if it makes the code of an encoder, use "
        "{}.",
        ("forecast=False", "--no-forecast"),
    ),
    "reconstruction or forecast": (
        lambda: built(L.LSTM(4), *decoder()),
        "the output has the 6 steps of the input, so it is a reconstruction; if it is a forecast, "
        "use {}.",
        ("forecast=True", "--forecast"),
    ),
    "second input": (
        lambda: nets.from_states(),
        "as the reversed input; {} changes that.",
        ("second_input='previous'", "--second-input previous"),
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_a_guess_is_noted_with_the_option_that_changes_it(case, tmp_path, capsys):
    build, text, (argument, flag) = NOTES[case]
    theirs, out = build(), tmp_path / "model.unspool"
    assert any(text.format(argument) in note for note in from_keras(theirs).import_notes_)
    theirs.save(tmp_path / "model.keras")
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["import", f"{tmp_path / 'model.keras'}", "-o", f"{out}"])
    assert text.format(flag) in " ".join(capsys.readouterr().err.split())
    assert out.is_file()


def test_an_argument_that_decides_is_not_noted():
    theirs = built(L.LSTM(4), L.Dense(3))
    assert from_keras(theirs, forecast=False).import_notes_ == ()


def test_the_command_names_flags_when_it_refuses(tmp_path, capsys):
    theirs = built(L.LSTM(4, name="odd", **SEQ), L.Dense(2))
    theirs.save(tmp_path / "model.keras")
    with pytest.raises(SystemExit):
        main(["import", f"{tmp_path / 'model.keras'}", "-o", f"{tmp_path / 'm.unspool'}"])
    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith("unspool: LSTM 'odd' cannot be imported: it passes the states")
    assert error.endswith("If the outputs are forecasts made after each step, use --forecast.")


def test_an_output_after_each_step_is_a_forecast_from_the_steps_before_it():
    theirs = built(L.GRU(4, **SEQ), L.Dense(2))
    ours, expected = from_keras(theirs, forecast=True), predicted(theirs, X)
    assert (ours.every_step, ours.horizon) == (True, 1)
    for end in (1, 4, 6):
        near(ours.forecast(X[:, :end]), expected[:, end - 1])
    assert np.isfinite(expected).all()
