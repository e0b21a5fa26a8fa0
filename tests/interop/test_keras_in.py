"""Imported Keras models compute the same outputs, and have parameters that build them again."""

import numpy as np
import pytest
from keras import Input, Model, Sequential
from keras import layers as L
from sklearn.base import clone

import unspool
from tests.interop import nets
from tests.interop.nets import data, near, predicted, randomised
from unspool.errors import InputError
from unspool.interop.keras import from_keras, to_keras
from unspool.nn import gate_weights

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

SERIES, VIDEO, ROWS, IMAGES = data(7, 9, 1), data(7, 6, 5), data(7, 20), data(7, 8, 6, 1)
PAIRS = data(7, 6, 2)


def saved(model, tmp_path):
    """Save a Keras model, and import the file."""
    model.save(tmp_path / "model.keras")
    return from_keras(tmp_path / "model.keras")


def shapes(model):
    return {name: tuple(weight.shape) for name, weight in model.module_.state_dict().items()}


def check_rebuilt(model, *data, tmp_path):
    """A fitted clone has weights of the same shapes, and a model file keeps the weights."""
    parts = shapes(model)
    again = clone(model).set_params(epochs=1, verbose=0, random_state=0).fit(*data)
    assert shapes(again) == parts
    model.save(tmp_path / "model.unspool")
    loaded = unspool.load(tmp_path / "model.unspool")
    assert loaded.get_params() == model.get_params() or hasattr(model, "autoencoder_")
    for name, weight in loaded.module_.state_dict().items():
        np.testing.assert_array_equal(weight, model.module_.state_dict()[name])


def test_a_conditional_autoencoder_is_imported_and_can_be_fitted_again(tmp_path):
    theirs = nets.conditional()
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES, SERIES[:, ::-1]))
    assert (ours.decoder, ours.head_units, ours.output_activation) == (
        "reversed_input",
        (4,),
        "tanh",
    )
    assert ours.history_ == {"loss": [np.inf], "best_epoch": 0}
    check_rebuilt(ours, SERIES, tmp_path=tmp_path)


def test_the_weights_of_each_gate_are_slices_of_the_keras_kernels():
    theirs = nets.conditional(latent=4)
    gates = gate_weights(from_keras(theirs))
    encoder, decoder = [layer for layer in theirs.layers if isinstance(layer, L.LSTM)]
    for name, layer in (
        ("encoder.lstm.layers.0.0", encoder),
        ("decoders.reconstruction.lstm.layers.0.0", decoder),
    ):
        kernel, recurrent, bias = layer.get_weights()
        ours = gates[name]
        for i, gate in enumerate("ifco"):
            columns = slice(4 * i, 4 * (i + 1))
            np.testing.assert_array_equal(ours["w_hh"][gate], recurrent[:, columns].T)
            np.testing.assert_array_equal(ours["bias"][gate], bias[columns])
            own = kernel[4:] if "w_context" in ours else kernel
            np.testing.assert_array_equal(ours["w_ih"][gate], own[:, columns].T)
            if "w_context" in ours:
                np.testing.assert_array_equal(ours["w_context"][gate], kernel[:4, columns].T)


def gru_stack(bidirectional, layers, **options):
    """A GRU autoencoder with `layers` layers on each side."""

    def stack(x, *, sequences):
        for depth in range(layers):
            gru = L.GRU(4, return_sequences=sequences or depth < layers - 1, **options)
            x = (L.Bidirectional(gru) if bidirectional else gru)(x)
        return x

    read = Input((9, 1))
    code = L.RepeatVector(9)(stack(read, sequences=False))
    return randomised(Model(read, L.Dense(1)(stack(code, sequences=True))))


@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "relu"}], ids=str)
@pytest.mark.parametrize(("bidirectional", "layers"), [(False, 1), (True, 2)])
def test_gru_layers_become_gru_cells(bidirectional, layers, options, tmp_path):
    theirs = gru_stack(bidirectional, layers, **options)
    ours = saved(theirs, tmp_path)
    assert (ours.cell, ours.num_layers, ours.bidirectional) == ("gru", layers, bidirectional)
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES))
    check_rebuilt(ours, SERIES, tmp_path=tmp_path)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_gru_decoder_may_start_from_the_state_of_the_encoder(bidirectional):
    def layer(**options):
        gru = L.GRU(4, return_state=True, **options)
        return L.Bidirectional(gru) if bidirectional else gru

    read, backwards = Input((9, 1)), Input((9, 1))
    _, *states = layer()(read)
    written, *_ = layer(return_sequences=True)(backwards, initial_state=states)
    theirs = randomised(Model([read, backwards], L.Dense(1)(written)))
    ours = from_keras(theirs)
    assert (ours.decoder, ours.latent_dim) == ("state_reversed_input", 4 * len(states))
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES, SERIES[:, ::-1]))


def test_a_dense_layer_may_make_the_code_of_a_gru_and_the_state_of_its_decoder():
    read, backwards = Input((9, 1)), Input((9, 1))
    code = L.Dense(3)(L.GRU(4)(read))
    written = L.GRU(3, return_sequences=True)(backwards, initial_state=code)
    theirs = randomised(Model([read, backwards], L.Dense(1)(written)))
    ours = from_keras(theirs)
    assert (ours.latent_dim, ours.units, ours.decoder_units) == (3, 4, 3)
    near(ours.transform(SERIES), predicted(Model(read, code), SERIES))
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES, SERIES[:, ::-1]))


def test_a_second_input_may_be_concatenated_before_the_code():
    read, backwards = Input((9, 1)), Input((9, 1))
    hidden = L.RepeatVector(9)(L.LSTM(4)(read))
    states = L.LSTM(4, return_sequences=True)(L.Concatenate()([backwards, hidden]))
    theirs = randomised(Model([backwards, read], L.Dense(1)(states)))
    ours = from_keras(theirs)
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES[:, ::-1], SERIES))


def test_simple_and_composite_models_and_an_encoder_alone_are_imported(tmp_path):
    theirs = nets.simple()
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES))
    check_rebuilt(ours, SERIES, tmp_path=tmp_path)

    theirs = nets.composite()
    ours = saved(theirs, tmp_path)
    reconstruction, forecast = predicted(theirs, SERIES)
    near(ours.reconstruct(SERIES), reconstruction)
    near(ours.forecast(SERIES), forecast)
    assert ours.horizon == 8
    check_rebuilt(ours, SERIES, data(7, 8, 1, seed=2), tmp_path=tmp_path)
    turned = Model(theirs.inputs, theirs.outputs[::-1])
    near(from_keras(turned).forecast(SERIES), forecast)

    encoder = Model(theirs.inputs, theirs.layers[1].output)
    ours = saved(encoder, tmp_path)
    near(ours.transform(SERIES), predicted(encoder, SERIES))
    with pytest.raises(InputError, match="it has an encoder only"):
        ours.reconstruct(SERIES)


@pytest.mark.parametrize("kind", ["reshape", "flat"])
def test_nested_encoders_and_decoders_are_imported(kind, tmp_path):
    theirs = nets.nested(kind)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(VIDEO), predicted(theirs, VIDEO))
    assert ours.get_params()["decoder"] == kind
    assert ours.head_units is None
    check_rebuilt(ours, VIDEO, tmp_path=tmp_path)


def test_a_forecaster_is_imported_and_can_be_fitted_again(tmp_path):
    theirs = nets.forecaster()
    ours = saved(theirs, tmp_path)
    assert type(ours).__name__ == "LSTMForecaster"
    near(ours.forecast(SERIES[:, :5]), predicted(theirs, SERIES[:, :5]))
    check_rebuilt(ours, SERIES[:, :5], SERIES[:, 5:6], tmp_path=tmp_path)


def test_a_forecast_of_several_steps_and_features_is_imported():
    theirs = randomised(
        Sequential([Input((6, 2)), L.LSTM(4), L.Dense(5, "relu"), L.Dense(6), L.Reshape((3, 2))])
    )
    ours = from_keras(theirs)
    assert (ours.horizon_, ours.head_units, ours.head_activation) == (3, (5,), "relu")
    near(ours.forecast(PAIRS), predicted(theirs, PAIRS))


def test_dense_autoencoders_are_imported(tmp_path):
    theirs = nets.dense(12, 6, 12, 20, activations=("tanh", "relu", "tanh", "sigmoid"))
    ours = saved(theirs, tmp_path)
    assert type(ours).__name__ == "DenseAutoencoder"
    near(ours.reconstruct(ROWS), predicted(theirs, ROWS))
    check_rebuilt(ours, ROWS, tmp_path=tmp_path)

    theirs = nets.dense(12, 6, 12, 20, activations=("relu", "relu", "linear", "sigmoid"))
    ours = saved(theirs, tmp_path)
    assert type(ours).__name__ == "StackedAutoencoder"
    near(ours.reconstruct(ROWS), predicted(theirs, ROWS))
    check_rebuilt(ours, ROWS, tmp_path=tmp_path)

    encoder = Model(theirs.inputs, theirs.layers[2].output)
    with pytest.raises(InputError, match="it has an encoder only"):
        from_keras(encoder).reconstruct(ROWS)
    near(from_keras(encoder).transform(ROWS), predicted(encoder, ROWS))


def test_dense_layers_over_whole_sequences_are_imported():
    layers = [L.Flatten(), L.Dense(5, use_bias=False), L.Dense(30), L.Reshape((6, 5))]
    theirs = randomised(Sequential([Input((6, 5)), *layers, L.Activation("softmax")]))
    near(from_keras(theirs).reconstruct(VIDEO), predicted(theirs, VIDEO))


@pytest.mark.parametrize("of", ["rows", "series", "images"])
def test_a_softmax_on_an_encoder_becomes_a_classifier(of, tmp_path):
    if of == "rows":
        X, body = ROWS, [L.Dense(8, "relu"), L.Dense(6, "relu")]
    elif of == "series":
        X, body = PAIRS, [L.LSTM(4), L.Dense(7, "tanh")]
    else:
        X, body = IMAGES, [L.Conv2D(3, 3, padding="same"), L.MaxPooling2D(2), L.Flatten()]
    theirs = randomised(Sequential([Input(X.shape[1:]), *body, L.Dense(3, "softmax")]))
    ours = saved(theirs, tmp_path)
    assert type(ours).__name__ == "EncoderClassifier"
    near(ours.predict_proba(X), predicted(theirs, X))
    assert ours.classes_.tolist() == [0, 1, 2]
    check_rebuilt(ours, X, np.arange(7) % 3, tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("filters", "shape"), [((4,), (8, 6, 1)), ((3, 5), (8, 4, 2))], ids=["one", "two"]
)
def test_convolutional_autoencoders_are_imported(filters, shape, tmp_path):
    theirs, X = nets.pooled(filters, shape), data(7, *shape)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(X), predicted(theirs, X))
    assert (ours.filters, ours.latent_dim) == (filters, None)
    check_rebuilt(ours, X, tmp_path=tmp_path)


def test_convolutions_over_sequences_with_a_dense_code_are_imported(tmp_path):
    def conv(n, *activation):
        return L.Conv1D(n, 4, *[1, "same"], activation=activation[0] if activation else None)

    theirs = randomised(
        Sequential(
            [
                Input((7, 2)),
                *(conv(5, "tanh"), L.MaxPooling1D(2, padding="same"), L.Flatten(), L.Dense(3)),
                *(L.Dense(20, "tanh"), L.Reshape((4, 5)), conv(5), L.Activation("tanh")),
                *(L.UpSampling1D(2), conv(2), L.Cropping1D((0, 1))),
            ]
        )
    )
    X = data(7, 7, 2)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(X), predicted(theirs, X))
    near(ours.transform(X), predicted(Model(theirs.inputs, theirs.layers[3].output), X))
    check_rebuilt(ours, X, tmp_path=tmp_path)


def test_bidirectional_stacks_with_dropout_and_regularizers_are_imported(tmp_path):
    theirs = nets.stacked_both_ways()
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS))
    code = Model(theirs.inputs, next(x for x in theirs.layers if isinstance(x, L.Dense)).output)
    near(ours.transform(PAIRS), predicted(code, PAIRS))
    assert (ours.num_layers, ours.bidirectional, ours.max_length_) == (2, True, 6)
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)


@pytest.mark.parametrize("directions", [1, 2])
def test_layers_that_narrow_and_widen_again_are_imported(directions, tmp_path):
    theirs = nets.narrowing((7, 4), (4, 7), directions=directions)
    ours = saved(theirs, tmp_path)
    assert (ours.units, ours.decoder_units, ours.num_layers) == ((7, 4), None, 1)
    assert (ours.latent_dim, ours.decoder) == (4 * directions, "repeat")
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS))
    near(ours.transform(PAIRS), predicted(Model(theirs.inputs, theirs.layers[1].output), PAIRS))
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)
    assert ours.contents().blueprint == from_keras(to_keras(ours)).contents().blueprint


@pytest.mark.parametrize(
    ("encoder", "decoder", "parameters"),
    [
        ((7, 5, 4), (4, 7), ((7, 5, 4), (4, 7), 1)),
        ((4,), (4, 4), ((4,), (4, 4), 1)),
        ((5, 4), (5, 4), ((5, 4), (5, 4), 1)),
        ((5, 5), (4, 4), (None, 4, 2)),
        ((5, 5), (4, 3), ((5, 5), (4, 3), 1)),
        ((4, 4), (4, 4), (None, None, 2)),
    ],
    ids=str,
)
def test_the_units_of_imported_layers_become_parameters(encoder, decoder, parameters, tmp_path):
    theirs = nets.narrowing(encoder, decoder, activation="relu")
    ours = from_keras(theirs)
    assert (ours.units, ours.decoder_units, ours.num_layers) == parameters
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS))
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)


def test_layers_that_narrow_and_start_from_states_are_imported(tmp_path):
    read, second, states = Input((6, 2)), Input((6, 2)), []
    x = read
    for units in (5, 3):
        x, *state = L.LSTM(units, return_sequences=True, return_state=True)(x)
        states.append(state)
    x = second
    for units, state in zip((5, 3), states, strict=True):
        x = L.LSTM(units, return_sequences=True)(x, initial_state=state)
    theirs = randomised(Model([read, second], L.Dense(2)(x)))
    ours = from_keras(theirs)
    assert (ours.units, ours.decoder_units, ours.latent_dim) == ((5, 3), (5, 3), 16)
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS, PAIRS[:, ::-1]))
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)


@pytest.mark.parametrize("directions", [1, 2])
def test_decoders_that_start_from_the_encoder_state_are_imported(directions, tmp_path):
    theirs = nets.from_states(directions=directions)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS, PAIRS[:, ::-1]))
    assert (ours.decoder, ours.latent_dim) == ("state_reversed_input", 8 * directions)
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)


def test_a_decoder_that_reads_the_previous_step_is_imported():
    theirs = nets.from_states()
    ours = from_keras(theirs, second_input="previous")
    assert ours.decoder == "state_previous"
    written = ours.reconstruct(PAIRS).astype(np.float32)
    before = np.concatenate([np.zeros_like(written[:, :1]), written[:, :-1]], 1)
    near(written, predicted(theirs, PAIRS, before))


@pytest.mark.parametrize("gates", ["sigmoid", "hard_sigmoid"])
def test_layers_without_bias_and_with_hard_gates_are_imported(gates):
    theirs = nets.simple(use_bias=False, recurrent_activation=gates)
    ours = from_keras(theirs)
    assert ours.recurrent_activation == gates
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES))


def test_lengths_replace_a_masking_layer():
    units = {"units": 4, "return_sequences": True}
    theirs = randomised(
        Sequential(
            [
                *(Input((None, 2)), L.Masking(), L.LSTM(**units), L.LSTM(4), L.RepeatVector(6)),
                *(L.LSTM(**units), L.LSTM(**units), L.Dense(2)),
            ]
        )
    )
    lengths = np.array([6, 3, 1, 5, 2, 4, 6])
    past = np.arange(6) >= lengths[:, None]
    expected = predicted(theirs, np.where(past[:, :, None], 0, PAIRS))
    ours = from_keras(theirs)
    sequences = [x[:n] for x, n in zip(PAIRS, lengths, strict=True)]
    near(ours.reconstruct(sequences)[~past], expected[~past])


@pytest.mark.parametrize("undone", [True, False], ids=["undone", "learned"])
def test_a_scaling_of_the_input_becomes_the_scaler(undone):
    mean, variance = [30.0, -4.0], [4.0, 0.25]
    front = L.Normalization(mean=mean, variance=variance)
    layers = [front, L.LSTM(4), L.RepeatVector(6), L.LSTM(4, return_sequences=True), L.Dense(2)]
    if undone:
        layers.append(L.Normalization(mean=mean, variance=variance, invert=True))
    theirs = randomised(Sequential([Input((6, 2)), *layers]))
    X = PAIRS * [2, 0.5] + mean
    ours = from_keras(theirs)
    near(ours.reconstruct(X), predicted(theirs, X))
    np.testing.assert_allclose(ours.scaler_.shift, mean)
    np.testing.assert_allclose(ours.scaler_.scale, [2, 0.5])
    assert ours.scaling == "standard"


def test_the_import_command_writes_a_model_file(run, tmp_path):
    theirs = nets.forecaster()
    theirs.save(tmp_path / "model.keras")
    done = run("import", tmp_path / "model.keras", "-o", tmp_path / "model.unspool")
    assert done.code == 0, done.err
    plain = "code_dropout=0.0, horizon=1, latent_dim=6, linear_steps=0, normalization='none'"
    assert f"LSTMForecaster({plain}, scaling='none')" in done.err
    ours = unspool.load(tmp_path / "model.unspool")
    near(ours.forecast(SERIES[:, :5]), predicted(theirs, SERIES[:, :5]))
    assert "unknown, the model was imported" in run("inspect", tmp_path / "model.unspool").out
    done = run("import", tmp_path / "no.keras", "-o", tmp_path / "model.unspool")
    assert (done.code, done.err) == (
        1,
        f"unspool: {tmp_path / 'no.keras'}: there is no such file.\n",
    )


def test_an_open_time_axis_requires_max_length():
    model = randomised(Sequential([Input((None, 1)), L.LSTM(3), L.Dense(1)]))
    with pytest.raises(InputError) as caught:
        from_keras(model)
    assert str(caught.value) == (
        "The time axis of the model is None; give the number of steps of the longest sequence as "
        "`max_length`."
    )
    ours = from_keras(model, max_length=9)
    near(ours.forecast(SERIES), predicted(model, SERIES))
    assert ours.max_length_ == 9


def test_forecast_false_makes_a_dense_layer_the_code():
    model = randomised(Sequential([Input((9, 1)), L.LSTM(5), L.Dense(3)]))
    ours = from_keras(model, forecast=False)
    near(ours.transform(SERIES), predicted(model, SERIES))
    assert from_keras(model).horizon_ == 3
