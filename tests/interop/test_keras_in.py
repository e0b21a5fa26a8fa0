"""Keras models read: the same numbers, true parameters, and a refusal by name for the rest."""

import re

import keras
import numpy as np
import pytest
from keras import Input, Model, Sequential
from keras import layers as L
from sklearn.base import clone

import unspool
from tests.interop import nets
from tests.interop.nets import data, near, predicted, randomised
from unspool.errors import InputError
from unspool.interop.keras import from_keras
from unspool.nn import gate_weights

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

SERIES, VIDEO, ROWS, IMAGES = data(7, 9, 1), data(7, 6, 5), data(7, 20), data(7, 8, 6, 1)
PAIRS = data(7, 6, 2)


def saved(model, tmp_path):
    """The model by way of a file."""
    model.save(tmp_path / "model.keras")
    return from_keras(tmp_path / "model.keras")


def shapes(model):
    return {name: tuple(weight.shape) for name, weight in model.module_.state_dict().items()}


def check_rebuilt(model, *data, tmp_path):
    """A clone that is fitted has the same parts; a model file holds them."""
    parts = shapes(model)
    again = clone(model).set_params(epochs=1, verbose=0, random_state=0).fit(*data)
    assert shapes(again) == parts
    model.save(tmp_path / "model.unspool")
    loaded = unspool.load(tmp_path / "model.unspool")
    assert loaded.get_params() == model.get_params() or hasattr(model, "autoencoder_")
    for name, weight in loaded.module_.state_dict().items():
        np.testing.assert_array_equal(weight, model.module_.state_dict()[name])


def test_the_conditional_autoencoder(tmp_path):
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


def test_the_gates_are_slices_of_keras_kernels():
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


def test_an_input_before_the_code_is_told_from_one_behind_it():
    read, backwards = Input((9, 1)), Input((9, 1))
    hidden = L.RepeatVector(9)(L.LSTM(4)(read))
    states = L.LSTM(4, return_sequences=True)(L.Concatenate()([backwards, hidden]))
    theirs = randomised(Model([backwards, read], L.Dense(1)(states)))
    ours = from_keras(theirs)
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES[:, ::-1], SERIES))


def test_simple_and_composite_and_the_encoder_alone(tmp_path):
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
    with pytest.raises(InputError, match="an encoder alone"):
        ours.reconstruct(SERIES)


@pytest.mark.parametrize("kind", ["reshape", "flat"])
def test_encoder_and_decoder_nested_in_a_model(kind, tmp_path):
    theirs = nets.nested(kind)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(VIDEO), predicted(theirs, VIDEO))
    assert ours.get_params()["decoder"] == kind
    assert ours.head_units is None
    check_rebuilt(ours, VIDEO, tmp_path=tmp_path)


def test_the_forecaster(tmp_path):
    theirs = nets.forecaster()
    ours = saved(theirs, tmp_path)
    assert type(ours).__name__ == "LSTMForecaster"
    near(ours.forecast(SERIES[:, :5]), predicted(theirs, SERIES[:, :5]))
    check_rebuilt(ours, SERIES[:, :5], SERIES[:, 5:6], tmp_path=tmp_path)


def test_a_forecast_of_several_steps_and_features():
    theirs = randomised(
        Sequential([Input((6, 2)), L.LSTM(4), L.Dense(5, "relu"), L.Dense(6), L.Reshape((3, 2))])
    )
    ours = from_keras(theirs)
    assert (ours.horizon_, ours.head_units, ours.head_activation) == (3, (5,), "relu")
    near(ours.forecast(PAIRS), predicted(theirs, PAIRS))


def test_dense_autoencoders(tmp_path):
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
    with pytest.raises(InputError, match="an encoder alone"):
        from_keras(encoder).reconstruct(ROWS)
    near(from_keras(encoder).transform(ROWS), predicted(encoder, ROWS))


def test_sequences_through_dense_layers():
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
def test_convolutional_autoencoders(filters, shape, tmp_path):
    theirs, X = nets.pooled(filters, shape), data(7, *shape)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(X), predicted(theirs, X))
    assert (ours.filters, ours.latent_dim) == (filters, None)
    check_rebuilt(ours, X, tmp_path=tmp_path)


def test_convolutions_over_sequences_with_a_code_of_their_own(tmp_path):
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


def test_both_directions_two_layers_and_what_only_training_needs(tmp_path):
    theirs = nets.stacked_both_ways()
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS))
    code = Model(theirs.inputs, next(x for x in theirs.layers if isinstance(x, L.Dense)).output)
    near(ours.transform(PAIRS), predicted(code, PAIRS))
    assert (ours.num_layers, ours.bidirectional, ours.max_length_) == (2, True, 6)
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)


@pytest.mark.parametrize("directions", [1, 2])
def test_decoders_that_start_from_the_state(directions, tmp_path):
    theirs = nets.from_states(directions=directions)
    ours = saved(theirs, tmp_path)
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS, PAIRS[:, ::-1]))
    assert (ours.decoder, ours.latent_dim) == ("state_reversed_input", 8 * directions)
    check_rebuilt(ours, PAIRS, tmp_path=tmp_path)


def test_a_decoder_that_reads_the_step_before():
    theirs = nets.from_states()
    ours = from_keras(theirs, second_input="previous")
    assert ours.decoder == "state_previous"
    written = ours.reconstruct(PAIRS).astype(np.float32)
    before = np.concatenate([np.zeros_like(written[:, :1]), written[:, :-1]], 1)
    near(written, predicted(theirs, PAIRS, before))


@pytest.mark.parametrize("gates", ["sigmoid", "hard_sigmoid"])
def test_layers_without_bias_and_other_gates(gates):
    theirs = nets.simple(use_bias=False, recurrent_activation=gates)
    ours = from_keras(theirs)
    assert ours.recurrent_activation == gates
    near(ours.reconstruct(SERIES), predicted(theirs, SERIES))


def test_lengths_stand_in_for_a_masking_layer():
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
def test_a_scaling_in_front_becomes_the_scaler(undone):
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


def test_the_command_line_imports(run, tmp_path):
    theirs = nets.forecaster()
    theirs.save(tmp_path / "model.keras")
    done = run("import", tmp_path / "model.keras", "-o", tmp_path / "model.unspool")
    assert done.code == 0, done.err
    plain = "dropout=0.0, horizon=1, latent_dim=6, linear_steps=0, normalization='none'"
    assert f"LSTMForecaster({plain}, scaling='none')" in done.err
    ours = unspool.load(tmp_path / "model.unspool")
    near(ours.forecast(SERIES[:, :5]), predicted(theirs, SERIES[:, :5]))
    assert (
        "not known, the model comes from elsewhere"
        in run("inspect", tmp_path / "model.unspool").out
    )
    done = run("import", tmp_path / "no.keras", "-o", tmp_path / "model.unspool")
    assert (done.code, done.err) == (
        1,
        f"unspool: {tmp_path / 'no.keras'}: there is no such file.\n",
    )


def autoencoder(*, encoder=None, code=(), decoder=None, head=None, steps=6):
    """Layers of an autoencoder of which one is to be another."""
    return Sequential(
        [
            Input((6, 2)),
            *([L.LSTM(4, name="reads")] if encoder is None else encoder),
            *code,
            L.RepeatVector(steps),
            *([L.LSTM(4, return_sequences=True, name="writes")] if decoder is None else decoder),
            *([L.Dense(2, name="out")] if head is None else head),
        ]
    )


def lstm(name="odd", units=4, **options):
    return L.LSTM(units, name=name, **options)


def reading_forwards():
    read = Input((6, 2))
    beside = L.Concatenate()([L.RepeatVector(6)(L.LSTM(4)(read)), read])
    return Model(read, L.Dense(2)(lstm(return_sequences=True)(beside)))


def repeating_c():
    read = Input((6, 2))
    _, _, c = lstm(return_state=True)(read)
    return Model(read, L.Dense(2)(L.LSTM(4, return_sequences=True)(L.RepeatVector(6)(c))))


def two_codes():
    read = Input((6, 2))
    outputs = [
        L.Dense(2)(L.LSTM(4, return_sequences=True)(L.RepeatVector(n)(L.LSTM(4)(read))))
        for n in (6, 3)
    ]
    return Model(read, outputs)


REFUSED = {
    "the input as it is": (
        reading_forwards,
        "LSTM 'odd' cannot be carried over: it reads the encoder's input as it is; what can be had "
        "is the input backwards or the step before, as an input of its own.",
    ),
    "c instead of h": (
        repeating_c,
        "LSTM 'odd' cannot be carried over: the code has to be its h, not its c.",
    ),
    "two codes": (two_codes, "cannot be carried over: the outputs do not come from one code."),
    "noise at prediction": (
        lambda: Model(x := Input((9,)), L.Dense(9)(L.Dropout(0.5, name="odd")(x, training=True))),
        "Dropout 'odd' is called with training=True, and so disturbs what it reads when the model "
        "predicts as well; call it without.",
    ),
    "masked rows": (
        lambda: Sequential([Input((6,)), L.Masking(name="odd"), L.Dense(3), L.Dense(6)]),
        "Masking 'odd' cannot be carried over: it is for LSTM layers, which skip what is masked.",
    ),
    "a scaling that stays": (
        lambda: Sequential(
            [Input((9,)), L.Rescaling(2.0, name="odd"), L.Dense(3), L.Dense(9, "tanh")]
        ),
        "Rescaling 'odd' cannot be carried over: what is scaled has to be unscaled at the output, "
        "by Normalization(invert=True) or by a linear dense layer.",
    ),
    "another cell": (
        lambda: autoencoder(encoder=[L.GRU(4, name="odd")]),
        "GRU 'odd' cannot be carried over: there is no such layer here; known are ",
    ),
    "widths": (
        lambda: autoencoder(encoder=[lstm("a", 3, return_sequences=True), lstm()]),
        "LSTM 'odd' cannot be carried over: the encoder's layers have 3, 4 units; they have to be "
        "alike.",
    ),
    "merge mode": (
        lambda: autoencoder(encoder=[L.Bidirectional(L.LSTM(4), merge_mode="sum", name="odd")]),
        "Bidirectional 'odd' cannot be carried over: its merge_mode is 'sum', only 'concat' can be "
        "had.",
    ),
    "stateful": (
        lambda: Sequential([Input((6, 2), batch_size=7), lstm(stateful=True)]),
        "LSTM 'odd' cannot be carried over: it is stateful, and goes on from the batch before; "
        "here every sequence starts anew, so build it with stateful=False.",
    ),
    "backwards": (
        lambda: autoencoder(encoder=[lstm(go_backwards=True)]),
        "LSTM 'odd' cannot be carried over: go_backwards has no counterpart but in Bidirectional.",
    ),
    "activation": (
        lambda: autoencoder(encoder=[lstm(activation="softsign")]),
        "LSTM 'odd' cannot be carried over: its activation is 'softsign', known are tanh and relu.",
    ),
    "a function as activation": (
        lambda: autoencoder(head=[L.Dense(2, activation=lambda x: x + 1, name="odd")]),
        "Dense 'odd' cannot be carried over: its activation is ",
    ),
    "gates": (
        lambda: autoencoder(encoder=[lstm(recurrent_activation="tanh")]),
        "LSTM 'odd' cannot be carried over: its recurrent_activation is 'tanh', known are sigmoid "
        "and hard_sigmoid.",
    ),
    "bent code": (
        lambda: autoencoder(code=[L.Dense(3, activation="relu", name="odd")]),
        "Dense 'odd' cannot be carried over: what leads from LSTM to code has to be linear.",
    ),
    "one-way decoder": (
        lambda: autoencoder(encoder=[L.Bidirectional(L.LSTM(2))]),
        "LSTM 'writes' cannot be carried over: this decoder has to run in both directions, as the "
        "encoder.",
    ),
    "decoder too deep": (
        lambda: autoencoder(decoder=[lstm("a", return_sequences=True), lstm(return_sequences=1)]),
        "LSTM 'odd' cannot be carried over: the decoder has 2 LSTM layers, the encoder 1; they "
        "have to be as many.",
    ),
    "no code": (
        lambda: Sequential([Input((6, 2)), lstm(return_sequences=True), L.Dense(2)]),
        "LSTM 'odd' cannot be carried over: it gives the states of all steps to the output, and so "
        "leaves no code; the encoder's last layer needs return_sequences=False.",
    ),
    "another number of features": (
        lambda: autoencoder(head=[L.Dense(3, name="odd")]),
        "Dense 'odd' cannot be carried over: expected 2 features at every step, got 3.",
    ),
    "batch normalisation": (
        lambda: autoencoder(code=[L.BatchNormalization(name="odd")]),
        "BatchNormalization 'odd' cannot be carried over: there is no such layer here; known are ",
    ),
    "masked and both ways": (
        lambda: Sequential(
            [
                *(Input((6, 2)), L.Masking(), L.Bidirectional(L.LSTM(2)), L.RepeatVector(6)),
                *(L.Bidirectional(L.LSTM(2, return_sequences=True), name="odd"), L.Dense(2)),
            ]
        ),
        "Bidirectional 'odd' cannot be carried over: it writes from both ends without a mask, "
        "while the encoder has one; give it the encoder's.",
    ),
    "dense, not mirrored": (
        lambda: Sequential([Input((9,)), L.Dense(5), L.Dense(3), L.Dense(4), L.Dense(9, name="o")]),
        "Dense 'o' cannot be carried over: the layers have the widths 5, 3, 4, 9; those before the "
        "code have to come back in reverse behind it.",
    ),
    "dense on every step": (
        lambda: Sequential([Input((6, 2)), L.Dense(5, name="odd"), L.Dense(2)]),
        "Dense 'odd' cannot be carried over: it is applied to every step; put a Flatten before it, "
        "for a code.",
    ),
    "strides": (
        lambda: Sequential([Input((8, 6, 1)), L.Conv2D(2, 3, 2, "same", name="odd")]),
        "Conv2D 'odd' cannot be carried over: its `strides` is (2, 2), only 1 can be had.",
    ),
    "valid": (
        lambda: Sequential([Input((8, 6, 1)), L.Conv2D(2, 3, name="odd")]),
        "Conv2D 'odd' cannot be carried over: its `padding` is 'valid', only 'same' can be had.",
    ),
    "dilation": (
        lambda: Sequential([Input((8, 6, 1)), L.Conv2D(2, 3, dilation_rate=2, padding="same")]),
        "its `dilation_rate` is (2, 2), only 1 can be had.",
    ),
    "pixels dropped": (
        lambda: Sequential(
            [Input((7, 6, 1)), L.Conv2D(2, 3, padding="same"), L.MaxPooling2D(2, name="odd")]
        ),
        "MaxPooling2D 'odd' cannot be carried over: 7 do not divide into windows of 2; ",
    ),
    "a map is no code": (
        lambda: Sequential(
            [Input((8, 6, 1)), L.Conv2D(2, 3, padding="same"), L.MaxPooling2D(2, name="odd")]
        ),
        "MaxPooling2D 'odd' cannot be carried over: a map is no code; put a Flatten behind it.",
    ),
    "an own model": (
        lambda: type("Own", (keras.Model,), {})(name="odd"),
        "Expected a Sequential or functional Keras model, got Own 'odd'; a model that is a class "
        "of its own has no graph to read.",
    ),
    "not built": (
        lambda: Sequential([L.LSTM(3)], name="odd"),
        "Expected a Keras model with its weights, but 'odd' has not been built; give it a "
        "keras.Input, or call it once.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_counterpart_is_refused_by_name(case):
    build, message = REFUSED[case]
    with pytest.raises(InputError, match=re.escape(message)):
        from_keras(build())


def test_a_layer_of_the_users_own_is_refused():
    class Dense(L.Dense):
        """Named as one of Keras's."""

    model = Sequential([Input((9,)), Dense(3, name="odd"), L.Dense(9)])
    with pytest.raises(InputError, match=r"Dense 'odd' cannot be carried over: there is no such"):
        from_keras(model)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    model = Sequential([Input((9,)), L.Lambda(lambda x: x, name="odd"), L.Dense(9)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"model.keras cannot be loaded: Lambda 'odd' of keras"):
        from_keras(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"Expected a .keras file, got .*model.h5"):
        from_keras(tmp_path / "model.h5")


def test_lengths_that_are_left_open_have_to_be_told():
    model = randomised(Sequential([Input((None, 1)), L.LSTM(3), L.Dense(1)]))
    with pytest.raises(InputError) as caught:
        from_keras(model)
    assert str(caught.value) == (
        "The model does not say how long its sequences are (its time axis is None); tell the steps "
        "of the longest one with `max_length`."
    )
    ours = from_keras(model, max_length=9)
    near(ours.forecast(SERIES), predicted(model, SERIES))
    assert ours.max_length_ == 9


def test_a_dense_layer_may_make_the_code_or_a_forecast():
    model = randomised(Sequential([Input((9, 1)), L.LSTM(5), L.Dense(3)]))
    ours = from_keras(model, forecast=False)
    near(ours.transform(SERIES), predicted(model, SERIES))
    assert from_keras(model).horizon_ == 3


def test_options_are_looked_at():
    with pytest.raises(InputError, match="unknown `second_input` 'preceding'"):
        from_keras(nets.simple(), second_input="preceding")


def test_a_layer_that_no_reader_came_past_is_refused():
    model = nets.conditional()
    unused = Input((3,), name="odd")
    try:
        more = Model([*model.inputs, unused], model.outputs)
    except ValueError:
        pytest.skip("Keras before 3.14 refuses such a model itself")
    with pytest.raises(InputError) as caught:
        from_keras(more)
    assert str(caught.value) == (
        "InputLayer 'odd' cannot be carried over: it stands where no such layer is known; what can "
        "be read is an LSTM, dense or convolutional encoder, its code, and decoders of the same "
        "kind."
    )
