"""Keras models and files that are refused, with the whole message."""

import re

import keras
import pytest
from keras import Input, Model, Sequential
from keras import layers as L

from tests.interop import nets
from unspool.errors import InputError
from unspool.interop.keras import from_keras


def autoencoder(*, encoder=None, code=(), decoder=None, head=None, steps=6):
    """An autoencoder, some of whose layers are replaced."""
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


def two_outputs(*stacks, ahead=None):
    """A reconstruction and a forecast, whose LSTM layers have these units."""
    read = Input((6, 2))
    code, outputs = L.LSTM(4)(read), []
    for steps, units in zip((6, 3), stacks, strict=True):
        x = L.RepeatVector(steps)(code)
        for one in units[:-1]:
            x = L.LSTM(one, return_sequences=True)(x)
        name = "odd" if outputs else "reads"
        head = ahead if outputs and ahead else L.Dense(2)
        outputs.append(head(L.LSTM(units[-1], return_sequences=True, name=name)(x)))
    return Model(read, outputs)


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


def starting_from_the_last_layer():
    read, again = Input((6, 2)), Input((6, 2))
    states = L.GRU(4, return_sequences=True)(read)
    h = L.GRU(4)(states)
    written = L.GRU(4, return_sequences=True, name="odd")(again, initial_state=h)
    return Model([read, again], L.Dense(2)(written))


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
        "LSTM 'odd' cannot be imported: it reads the encoder's input unchanged; give the "
        "reversed input or the previous step as a separate input of the model.",
    ),
    "c instead of h": (
        repeating_c,
        "LSTM 'odd' cannot be imported: the code must be its output, not one of its other states.",
    ),
    "two codes": (
        two_codes,
        "cannot be imported: the outputs have different codes; all decoders must start from the "
        "same one.",
    ),
    "noise at prediction": (
        lambda: Model(x := Input((9,)), L.Dense(9)(L.Dropout(0.5, name="odd")(x, training=True))),
        "Dropout 'odd' is called with training=True, which makes predictions random; call it "
        "without.",
    ),
    "masked rows": (
        lambda: Sequential([Input((6,)), L.Masking(name="odd"), L.Dense(3), L.Dense(6)]),
        "Masking 'odd' cannot be imported: only LSTM layers use a mask; remove it from a model "
        "without them.",
    ),
    "a scaling that stays": (
        lambda: Sequential(
            [Input((9,)), L.Rescaling(2.0, name="odd"), L.Dense(3), L.Dense(9, "tanh")]
        ),
        "Rescaling 'odd' cannot be imported: a scaled input needs an output that is scaled "
        "back; end the model with Normalization(invert=True) or with a linear dense layer.",
    ),
    "another cell": (
        lambda: autoencoder(encoder=[L.SimpleRNN(4, name="odd")]),
        "SimpleRNN 'odd' cannot be imported: unspool has no such layer; supported are ",
    ),
    "GRU that resets before the product": (
        lambda: autoencoder(encoder=[L.GRU(4, name="odd", reset_after=False)]),
        "GRU 'odd' cannot be imported: its reset_after is False, but unspool's GRU resets the "
        "state after the product; build and train it with reset_after=True, the default of Keras.",
    ),
    "LSTM and GRU": (
        lambda: autoencoder(decoder=[L.GRU(4, return_sequences=True, name="odd")]),
        "GRU 'odd' cannot be imported: some recurrent layers are LSTM and some GRU; they must be "
        "the same.",
    ),
    "directions of two kinds": (
        lambda: autoencoder(
            encoder=[
                L.Bidirectional(L.LSTM(4), backward_layer=L.GRU(4, go_backwards=True), name="odd")
            ]
        ),
        "Bidirectional 'odd' cannot be imported: its two layers are LSTM and GRU; they must be the "
        "same.",
    ),
    "a decoder that starts from one of two GRU layers": (
        starting_from_the_last_layer,
        "GRU 'odd' cannot be imported: it must start from the states of all layers and directions "
        "of the encoder.",
    ),
    "outputs of different widths": (
        lambda: two_outputs((4, 3), (3, 4)),
        "LSTM 'odd' cannot be imported: the recurrent layers of the two outputs have 4, 3 and 3, 4 "
        "units; they must be the same.",
    ),
    "merge mode": (
        lambda: autoencoder(encoder=[L.Bidirectional(L.LSTM(4), merge_mode="mul", name="odd")]),
        "Bidirectional 'odd' cannot be imported: its merge_mode is 'mul'; supported are "
        "'concat', 'sum' and 'ave'.",
    ),
    "stateful": (
        lambda: Sequential([Input((6, 2), batch_size=7), lstm(stateful=True)]),
        "LSTM 'odd' cannot be imported: it is stateful, but unspool starts every sequence from "
        "a zero state; build it with stateful=False.",
    ),
    "backwards": (
        lambda: autoencoder(encoder=[lstm(go_backwards=True)]),
        "LSTM 'odd' cannot be imported: go_backwards=True is supported only within Bidirectional, "
        "and after a RepeatVector.",
    ),
    "activation": (
        lambda: autoencoder(encoder=[lstm(activation="softsign")]),
        "LSTM 'odd' cannot be imported: its activation is 'softsign'; supported are tanh and relu.",
    ),
    "a function as activation": (
        lambda: autoencoder(head=[L.Dense(2, activation=lambda x: x + 1, name="odd")]),
        "Dense 'odd' cannot be imported: its activation is ",
    ),
    "gates": (
        lambda: autoencoder(encoder=[lstm(recurrent_activation="tanh")]),
        "LSTM 'odd' cannot be imported: its recurrent_activation is 'tanh'; supported are "
        "sigmoid and hard_sigmoid.",
    ),
    "no code": (
        lambda: Sequential([Input((6, 2)), lstm(return_sequences=True), L.Dense(2)]),
        "LSTM 'odd' cannot be imported: it passes the states of all steps on, so the model has "
        "no code; the encoder's last layer needs return_sequences=False. If the outputs are "
        "forecasts made after each step, use forecast=True.",
    ),
    "another number of features": (
        lambda: autoencoder(head=[L.Dense(3, name="odd")]),
        "Dense 'odd' cannot be imported: its outputs per step are 3, but the input has 2 "
        "features; use forecast=True if they are to be predicted from the input (the `y` of an "
        "LSTMForecaster). For a reconstruction of some features, train an "
        "LSTMAutoencoder with `targets` instead.",
    ),
    "a composite of other quantities": (
        lambda: two_outputs((4, 3), (4, 3), ahead=L.Dense(3, name="wide")),
        "Dense 'wide' cannot be imported: its outputs per step are 3, but the input has 2 "
        "features; in a model of two outputs both must have those of the input.",
    ),
    "batch normalisation": (
        lambda: autoencoder(
            head=[L.Dense(2, "tanh", name="last"), L.BatchNormalization(name="odd")]
        ),
        "BatchNormalization 'odd' cannot be imported: Dense 'last' comes before it and it is the "
        "end of the model; unspool writes it into the weights of a Dense or convolutional layer "
        "without activation before it, or of a Dense, LSTM or GRU layer after it.",
    ),
    "batch normalisation of channels before padding": (
        lambda: Sequential(
            [
                *(Input((8, 2)), L.Conv1D(3, 3, padding="same", activation="relu", name="first")),
                L.BatchNormalization(beta_initializer="ones", name="odd"),
                L.Conv1D(2, 3, padding="same", name="next"),
            ]
        ),
        "BatchNormalization 'odd' cannot be imported: Conv1D 'first' comes before it and Conv1D "
        "'next' follows; unspool writes it into the weights",
    ),
    "batch normalisation of another axis": (
        lambda: autoencoder(
            code=[L.Reshape((4, 1)), L.BatchNormalization(axis=1, name="odd"), L.Flatten()]
        ),
        "BatchNormalization 'odd' cannot be imported: it must normalize the last axis (axis=-1).",
    ),
    "leaky cells": (
        lambda: autoencoder(code=[L.LeakyReLU(name="odd")]),
        "LeakyReLU 'odd' cannot be imported: it must follow a Dense or convolutional layer "
        "without an activation.",
    ),
    "a decoder with a mixed number of directions": (
        lambda: autoencoder(
            decoder=[
                L.LSTM(4, return_sequences=True),
                L.Bidirectional(L.LSTM(2, return_sequences=True), name="odd"),
            ]
        ),
        "Bidirectional 'odd' cannot be imported: only some of the decoders' layers are "
        "bidirectional; make all or none of them so.",
    ),
    "masked and both ways": (
        lambda: Sequential(
            [
                *(Input((6, 2)), L.Masking(), L.Bidirectional(L.LSTM(2)), L.RepeatVector(6)),
                *(L.Bidirectional(L.LSTM(2, return_sequences=True), name="odd"), L.Dense(2)),
            ]
        ),
        "Bidirectional 'odd' cannot be imported: it is bidirectional and has no mask, while "
        "the encoder has one; give it the mask of the encoder.",
    ),
    "dense on every step": (
        lambda: Sequential([Input((6, 2)), L.Dense(5, name="odd"), L.Dense(2)]),
        "Dense 'odd' cannot be imported: it is applied to every step; put a Flatten before it.",
    ),
    "states of all steps": (
        lambda: Sequential(
            [
                *(Input((6, 2)), L.LSTM(4, return_sequences=True)),
                *(L.Flatten(name="odd"), L.Dense(1)),
            ]
        ),
        "Flatten 'odd' cannot be imported: it joins the states of all steps, which no estimator "
        "does; end the recurrent layers with return_sequences=False, GlobalAveragePooling1D or "
        "GlobalMaxPooling1D.",
    ),
    "strides": (
        lambda: Sequential([Input((8, 6, 1)), L.Conv2D(2, 3, (2, 1), "same", name="odd")]),
        "Conv2D 'odd' cannot be imported: its `strides` is (2, 1); both must be the same.",
    ),
    "valid": (
        lambda: Sequential([Input((8, 6, 1)), L.Conv2D(2, 3, name="odd")]),
        "Conv2D 'odd' cannot be imported: its `padding` is 'valid'; only 'same' is supported.",
    ),
    "dilation": (
        lambda: Sequential([Input((8, 6, 1)), L.Conv2D(2, 3, dilation_rate=2, padding="same")]),
        "its `dilation_rate` is (2, 2); only 1 is supported.",
    ),
    "pixels dropped": (
        lambda: Sequential(
            [Input((7, 6, 1)), L.Conv2D(2, 3, padding="same"), L.MaxPooling2D(2, name="odd")]
        ),
        "MaxPooling2D 'odd' cannot be imported: its input of 7 is not a multiple of its pool size "
        "2, and Keras and unspool treat the surplus pixels differently",
    ),
    "a map is no code": (
        lambda: Sequential(
            [Input((8, 6, 1)), L.Conv2D(2, 3, padding="same"), L.MaxPooling2D(2, name="odd")]
        ),
        "MaxPooling2D 'odd' cannot be imported: a code must be a vector; add a Flatten after it.",
    ),
    "an own model": (
        lambda: type("Own", (keras.Model,), {})(name="odd"),
        "Expected a Sequential or functional Keras model, got Own 'odd'; a subclass of keras.Model "
        "has no graph to read.",
    ),
    "not built": (
        lambda: Sequential([L.LSTM(3)], name="odd"),
        "Expected a built Keras model, but 'odd' has no weights yet; add a keras.Input, or call it "
        "once.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unsupported_models_are_refused_with_the_name_of_the_layer(case):
    build, message = REFUSED[case]
    with pytest.raises(InputError, match=re.escape(message)):
        from_keras(build())


def test_a_custom_layer_is_refused():
    class Dense(L.Dense):
        """Has the name of a Keras layer."""

    model = Sequential([Input((9,)), Dense(3, name="odd"), L.Dense(9)])
    with pytest.raises(InputError, match=r"Dense 'odd' cannot be imported: unspool has no such"):
        from_keras(model)


def test_a_file_with_a_lambda_layer_is_refused(tmp_path):
    model = Sequential([Input((9,)), L.Lambda(lambda x: x, name="odd"), L.Dense(9)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"model.keras cannot be loaded: Lambda 'odd' of keras"):
        from_keras(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"Expected a .keras, .h5 or .hdf5 file, got .*model.onnx"):
        from_keras(tmp_path / "model.onnx")


def test_an_unknown_second_input_is_refused():
    with pytest.raises(InputError, match="unknown `second_input` 'preceding'"):
        from_keras(nets.simple(), second_input="preceding")


def test_an_unused_input_is_refused():
    model = nets.conditional()
    unused = Input((3,), name="odd")
    try:
        more = Model([*model.inputs, unused], model.outputs)
    except ValueError:
        pytest.skip("Keras before 3.14 refuses such a model itself")
    with pytest.raises(InputError) as caught:
        from_keras(more)
    assert str(caught.value) == (
        "InputLayer 'odd' cannot be imported: no InputLayer is expected at this place; models "
        "that can be imported consist of an LSTM, dense or convolutional encoder, its code, and "
        "decoders of the same kind."
    )
