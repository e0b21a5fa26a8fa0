"""Messages about Keras models that no other test compares; the layer is named first."""

import keras
import pytest
from keras import Input, Model, Sequential
from keras import layers as L

from unspool.errors import InputError
from unspool.interop.keras import from_keras


def lstm(units=4, **options):
    return L.LSTM(units, **options)


def steps(units=4, **options):
    return L.LSTM(units, return_sequences=True, **options)


def stack(*layers, shape=(6, 2)):
    return Sequential([Input(shape), *layers])


def repeat(*encoder, decoder=None, head=(), steps_out=6):
    """An autoencoder that repeats its code."""
    decoder = [steps(name="writes")] if decoder is None else decoder
    return stack(*encoder, L.RepeatVector(steps_out), *decoder, *(head or [L.Dense(2)]))


def written(code, n=6, units=4, **options):
    return L.Dense(2)(steps(units, **options)(L.RepeatVector(n)(code)))


def conv(*layers, shape=(8, 6, 2)):
    return stack(L.Conv2D(2, 3, padding="same", name="reads"), *layers, shape=shape)


def with_lora():
    dense = L.Dense(3, name="with lora")
    model = stack(dense, L.Dense(9), shape=(9,))
    dense.enable_lora(2)
    return model


def two_second_inputs():
    read, one, two = Input((6, 2)), Input((6, 2)), Input((3, 2), name="second")
    code = lstm()(read)
    outputs = [
        L.Dense(2)(steps()(L.Concatenate()([L.RepeatVector(n)(code), more])))
        for n, more in ((6, one), (3, two))
    ]
    return Model([read, one, two], outputs)


def second_input(more=None, features=2, join=None, of=None, name=None):
    """An autoencoder whose decoder has a second input that `more` changes."""
    read, second = Input((6, 2)), Input((6, features), name=name)
    code = L.RepeatVector(6)(lstm()(read if of is None else of(read)))
    parts = [code, second if more is None else more(second)]
    joined = L.Concatenate()(parts) if join is None else join(parts)
    return Model([read, second], L.Dense(2)(steps(name="writes")(joined)))


def masked_second_input():
    read, second = Input((6, 2)), Input((6, 2))
    code, more = L.RepeatVector(6)(lstm()(read)), L.Masking(name="odd")(second)
    del more._keras_mask
    return Model([read, second], L.Dense(2)(steps()(L.Concatenate()([code, more]))))


def without_recurrent_encoder():
    read = Input((5,), name="rows")
    return Model(read, written(L.Dense(4)(read)))


def starting_encoder():
    read, h, c = Input((6, 2)), Input((4,)), Input((4,))
    code = lstm(name="started")(read, initial_state=[h, c])
    return Model([read, h, c], written(code))


def crossed_states():
    """A decoder whose first layer starts from the states of the encoder's second layer."""
    read, again = Input((6, 2)), Input((6, 2))
    x, h1, c1 = steps(return_state=True)(read)
    _, h2, c2 = lstm(return_state=True)(x)
    x = steps(name="crossed")(again, initial_state=[h2, c2])
    x = steps()(x, initial_state=[h1, c1])
    return Model([read, again], L.Dense(2)(x))


def state_of_a_layer_of_steps():
    read = Input((6, 2))
    _, h, _ = steps(return_state=True, name="of steps")(read)
    return Model(read, written(h))


def masked(*, second=False, decoder=False, head=False):
    """An autoencoder some of whose layers have another mask than the first one."""
    read, given, more = Input((6, 2)), Input((6,), dtype="bool"), Input((6,), dtype="bool")
    x = steps(name="first")(read, mask=given)
    x = lstm(name="second")(x, mask=more if second else given)
    x = L.RepeatVector(6)(x)
    x = steps(name="writes")(x, mask=more) if decoder else steps(name="writes")(x)
    each = L.TimeDistributed(L.Dense(2), name="each")
    x = each(x, mask=more) if head else each(x)
    return Model([read, given, more], x)


def unused_mask():
    read = Input((6, 2))
    x = L.Masking(name="unused")(read)
    return Model(read, written(lstm()(x, mask=None)))


def three_outputs():
    read = Input((6, 2))
    code = lstm()(read)
    return Model(read, [written(code, n) for n in (6, 3, 2)])


def two_heads():
    read = Input((6, 2))
    code = lstm()(read)
    one, two = (steps()(L.RepeatVector(n)(code)) for n in (6, 3))
    return Model(read, [L.Dense(2)(one), L.Dense(2, name="odd")(L.Dense(5)(two))])


def both_ways_from_a_state():
    read, again = Input((6, 2)), Input((6, 2))
    _, h, c, h2, c2 = L.Bidirectional(lstm(return_state=True))(read)
    x = L.Bidirectional(steps(), name="odd")(again, initial_state=[h, c, h2, c2])
    return Model([read, again], L.Dense(2)(x))


def final_state_of_the_decoder():
    read = Input((6, 2))
    x = L.RepeatVector(6)(lstm()(read))
    _, h, _ = lstm(return_state=True, name="final")(x)
    return Model(read, L.Dense(2)(h))


def two_dense_outputs():
    read = Input((9,))
    code = L.Dense(3)(read)
    return Model(read, [L.Dense(9)(code), L.Dense(4)(code)])


def attention():
    read, other = Input((6, 2)), Input((6, 2))
    x = L.MultiHeadAttention(1, 2, name="odd")(read, other)
    return Model([read, other], written(lstm()(x)))


NO_CODE = (
    "an LSTM or GRU was expected at this place; models that can be imported consist of an LSTM, "
    "dense or convolutional encoder, its code, and decoders of the same kind."
)
CASES = {
    # Convolutions.
    "RepeatVector 'odd'": (
        lambda: conv(L.Flatten(), L.Dense(3), L.RepeatVector(4, name="odd")),
        "only convolution, max pooling, upsampling, cropping, global average pooling and dense "
        "layers are supported here.",
    ),
    "InputLayer 'odd'": (
        lambda: Sequential(
            [Input((96,), name="odd"), L.Reshape((8, 6, 2)), L.Conv2D(2, 3, padding="same")]
        ),
        "expected an input of shape (H, W, channels) or (steps, features).",
    ),
    "Rescaling 'odd'": (
        lambda: conv(L.Flatten(), L.Dense(3), L.Rescaling(2.0, name="odd")),
        "a code must not be scaled.",
    ),
    "Dense 'on pixels'": (
        lambda: conv(L.Dense(3, name="on pixels"), L.Flatten()),
        "it is applied to every pixel; put a Flatten before it.",
    ),
    "Reshape 'odd'": (
        lambda: conv(
            *(L.Flatten(), L.Dense(3), L.Dense(96), L.Reshape((6, 8, 2), name="odd")),
            L.Conv2D(2, 3, padding="same"),
        ),
        "its shape is (6, 8, 2), but the encoder's last map has (8, 6, 2).",
    ),
    "Dense 'of one width'": (
        lambda: conv(L.Flatten(), L.Dense(96, name="of one width")),
        "the dense layer before the code must have another width than 96.",
    ),
    "Dense 'second'": (
        lambda: conv(L.Flatten(), L.Dense(5), L.Dense(3, name="second")),
        "expected one dense layer before the code, and one of 96 units after it.",
    ),
    "Conv2D 'writes'": (
        lambda: conv(
            *(L.MaxPooling2D(2), L.Flatten(), L.Dense(3), L.Dense(24), L.Reshape((4, 3, 2))),
            L.Conv2D(2, 3, padding="same"),
            L.Conv2D(2, 3, padding="same", name="writes"),
        ),
        "an upsampling layer was expected at this place, since the decoder mirrors the encoder.",
    ),
    "Conv2D 'strided'": (
        lambda: conv(
            *(L.Flatten(), L.Dense(3), L.Dense(96), L.Reshape((8, 6, 2))),
            L.Conv2D(2, 3, 2, padding="same", name="strided"),
            L.Conv2D(2, 3, padding="same"),
        ),
        "a convolution of a decoder must not have strides.",
    ),
    "Cropping2D 'odd'": (
        lambda: conv(
            *(L.MaxPooling2D(2, padding="same"), L.Flatten(), L.Dense(3), L.Dense(24)),
            *(L.Reshape((4, 3, 2)), L.Conv2D(2, 3, padding="same"), L.UpSampling2D(2)),
            *(L.Conv2D(2, 3, padding="same"), L.Cropping2D(((1, 0), (0, 1)), name="odd")),
            shape=(7, 5, 2),
        ),
        "its `cropping` must be [[0, 1], [0, 1]], to undo the pooling.",
    ),
    # Dense models.
    "Dense 'of images'": (
        lambda: stack(L.Flatten(), L.Dense(3, name="of images"), shape=(4, 3, 2)),
        "expected an input of shape (values,) or (steps, features), got (4, 3, 2).",
    ),
    "Rescaling 'of others'": (
        lambda: stack(
            *(L.Rescaling(0.5), L.Dense(3), L.Dense(8), L.Rescaling(2.0, name="of others")),
            shape=(9,),
        ),
        "its output has 8 values, but the input has 9; both must be the same.",
    ),
    "Dense 'classes'": (
        lambda: stack(L.Dense(3, "softmax", name="classes"), shape=(9,)),
        "no layer precedes this softmax; an encoder was expected before it.",
    ),
    "Dense 'alone'": (
        lambda: stack(L.Dense(9, name="alone"), shape=(9,)),
        "it is the only dense layer; expected one to a code before it.",
    ),
    "Dense 'after'": (
        lambda: stack(
            *(L.Dense(3), L.Dense(5, "relu"), L.Dense(6, "tanh", name="after"), L.Dense(9)),
            shape=(9,),
        ),
        "the layers after the code have the activations relu, tanh; they must be the same.",
    ),
    "Dense 'with lora'": (
        lambda: with_lora(),
        "its weights are quantized or have LoRA parts; plain float weights are supported.",
    ),
    # Layers.
    "ReLU 'odd'": (
        lambda: repeat(lstm(), head=[L.Dense(2), L.ReLU(max_value=6, name="odd")]),
        "its activation is a leaky or bounded ReLU; supported are linear, relu, tanh, sigmoid, "
        "elu, gelu, softmax.",
    ),
    "Softmax 'odd'": (
        lambda: repeat(lstm(), head=[L.Dense(2), L.Softmax(1, name="odd")]),
        "its activation is softmax over another axis; supported are linear, relu, tanh, sigmoid, "
        "elu, gelu, softmax.",
    ),
    "TimeDistributed 'odd'": (
        lambda: repeat(lstm(), head=[L.TimeDistributed(L.Flatten(), name="odd"), L.Dense(2)]),
        "it applies a Flatten to every step; only Dense is supported.",
    ),
    "Bidirectional 'odd'": (
        lambda: repeat(L.Bidirectional(L.SimpleRNN(4), name="odd")),
        "it wraps a SimpleRNN; only LSTM and GRU are supported.",
    ),
    "Bidirectional 'backwards'": (
        lambda: repeat(
            L.Bidirectional(lstm(go_backwards=True), backward_layer=lstm(), name="backwards")
        ),
        "its forward layer has go_backwards=True; build it without.",
    ),
    "Rescaling 'negative'": (
        lambda: repeat(L.Rescaling(-1.0, name="negative"), lstm()),
        "its scale must be positive.",
    ),
    "Normalization 'odd'": (
        lambda: repeat(L.Normalization(axis=1, mean=[0.0] * 6, variance=[1.0] * 6, name="odd"),
                       lstm()),
        "it must scale each feature separately (axis=-1).",
    ),
    # Recurrent models.
    "RepeatVector 'last'": (
        lambda: stack(lstm(), L.RepeatVector(6, name="last")),
        NO_CODE,
    ),
    "Dense 'before'": (
        lambda: stack(L.Dense(3, name="before"), lstm()),
        "it is the input of a recurrent layer; an encoder must read a model input, and a decoder "
        "a RepeatVector or Reshape of the code.",
    ),
    "Dense 'in front'": (
        lambda: repeat(L.Dense(3, name="in front"), lstm()),
        "expected a model input at this place; an encoder may read it through scaling, masking and "
        "convolutions only.",
    ),
    "Concatenate 'odd'": (
        lambda: second_input(join=lambda parts: L.Concatenate(name="odd")([*parts, parts[0]])),
        "expected a RepeatVector of the code and a second input, concatenated on axis -1.",
    ),
    "Masking 'odd'": (
        lambda: masked_second_input(),
        "only the encoder's input may be masked; remove this layer.",
    ),
    "InputLayer 'wide'": (
        lambda: second_input(features=3, name="wide"),
        "expected 2 features, as in the first input.",
    ),
    "InputLayer 'scaled'": (
        lambda: second_input(name="scaled", of=L.Rescaling(0.5)),
        "it must be scaled like the first input.",
    ),
    "InputLayer 'second'": (
        lambda: two_second_inputs(),
        "all decoders must share one reversed input.",
    ),
    "InputLayer 'rows'": (
        lambda: without_recurrent_encoder(),
        "the final state of a recurrent encoder was expected at this place.",
    ),
    "LSTM 'started'": (
        lambda: starting_encoder(),
        "an encoder starts from zeros; call it without `initial_state`.",
    ),
    "LSTM 'crossed'": (
        lambda: crossed_states(),
        "each of its layers must start from the states of the same layer of the encoder.",
    ),
    "LSTM 'of steps'": (
        lambda: state_of_a_layer_of_steps(),
        "the last layer of an encoder needs return_sequences=False.",
    ),
    "Dense 'same width'": (
        lambda: repeat(lstm(), L.Dense(4, name="same width")),
        "the dense layer between LSTM and code must change the width, but both are 4; remove it, "
        "or give it another number of units.",
    ),
    "LSTM 'second'": (
        lambda: masked(second=True),
        "it has another mask than the first layer; call both with the same mask.",
    ),
    "LSTM 'writes'": (
        lambda: masked(decoder=True),
        "it has another mask than the encoder; call it with that mask, or without.",
    ),
    "TimeDistributed 'each'": (
        lambda: masked(head=True),
        "it has another mask than the encoder; call it with that mask, or without.",
    ),
    "Masking 'unused'": (
        lambda: unused_mask(),
        "no layer uses its mask; remove it.",
    ),
    "LSTM 'last'": (
        lambda: repeat(L.Bidirectional(steps(2), name="first"), lstm(name="last")),
        "only some of the encoder's layers are bidirectional; make all or none of them so.",
    ),
    "LSTM 'hard'": (
        lambda: repeat(lstm(), decoder=[steps(recurrent_activation="hard_sigmoid", name="hard")]),
        "the recurrent layers differ in `recurrent_activation`; it must be the same.",
    ),
    "Dense 'odd'": (
        lambda: two_heads(),
        "the dense layers of the two outputs differ; their widths and activations must be the "
        "same.",
    ),
    "LSTM 'one state'": (
        lambda: repeat(lstm(), decoder=[lstm(name="one state")],
                       head=[L.Dense(12), L.Reshape((6, 2))]),
        "it needs return_sequences=True.",
    ),
    "LSTM 'final'": (
        lambda: final_state_of_the_decoder(),
        "its output must be the states of its steps, not its final state.",
    ),
    "Dense 'of maps'": (
        lambda: stack(lstm(12, name="reads"), L.Dense(3), L.Dense(12, name="of maps"),
                      L.Reshape((2, 3, 2))),
        "expected a Reshape to (steps, features), got (2, 3, 2).",
    ),
    "Dense 'flat'": (
        lambda: stack(lstm(6), L.Reshape((6, 1)), lstm(5), L.Dense(7, name="flat")),
        "its 7 outputs are not one step of 2 features; add a Reshape to (steps, features) after "
        "it.",
    ),
    "Activation 'odd'": (
        lambda: stack(lstm(12), L.Reshape((6, 2)), L.Activation("tanh", name="odd")),
        "it must follow a Reshape of a dense layer without an activation.",
    ),
    "Activation 'first'": (
        lambda: repeat(lstm(), head=[L.Dense(2), L.Activation("tanh", name="first"),
                                     L.Activation("relu")]),
        "another activation follows it; keep one of the two.",
    ),
    "Rescaling 'first'": (
        lambda: repeat(L.Rescaling(2.0, name="first"), L.Rescaling(2.0), lstm()),
        "the input is scaled twice; keep one of the two layers.",
    ),
    "Rescaling 'of the output'": (
        lambda: repeat(lstm(), head=[L.Dense(2), L.Rescaling(2.0, name="of the output")]),
        "it scales an output, but the input is not scaled; remove it, or scale the input the other "
        "way round.",
    ),
    "Rescaling 'other'": (
        lambda: repeat(L.Rescaling(0.5, name="first"), lstm(),
                       head=[L.Dense(2), L.Rescaling(3.0, name="other")]),
        "it does not undo the scaling of Rescaling 'first'; give it the inverse of shift and "
        "scale.",
    ),
    "Rescaling 'scaled'": (
        lambda: stack(lstm(name="reads"), L.Rescaling(2.0, name="scaled")),
        "a code must be neither reshaped nor scaled.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_layer_that_cannot_be_imported_is_named_with_the_reason(name):
    build, message = CASES[name]
    with pytest.raises(InputError) as caught:
        from_keras(build())
    assert str(caught.value) == f"{name} cannot be imported: {message}"


def unknown_mask():
    read, second = Input((6, 2)), Input((6, 2))
    mask = keras.ops.any(keras.ops.not_equal(second, 0.0), axis=-1)
    return Model([read, second], written(lstm()(read, mask=mask)))


def dense_reconstruction():
    read = Input((6, 2))
    code = lstm()(read)
    return Model(read, [L.Dense(7, name="odd")(code), written(code, 3)])


OTHERS = {
    "a decoder in both directions that reads its output": (
        lambda: both_ways_from_a_state(),
        {"second_input": "previous"},
        "Bidirectional 'odd' cannot be imported: this decoder must be one-directional; build it "
        "without Bidirectional.",
    ),
    "outputs of another width that are no forecast": (
        lambda: dense_reconstruction(),
        {},
        "Dense 'odd' cannot be imported: its 7 outputs are not one step of 2 features; add a "
        "Reshape to (steps, features) after it.",
    ),
    "three outputs": (
        lambda: three_outputs(),
        {},
        "Expected a reconstruction, a forecast or both, got 3 outputs; make a keras.Model with "
        "those outputs.",
    ),
    "two outputs of a dense model": (
        lambda: two_dense_outputs(),
        {},
        "Expected one input and one output in a model without LSTM layers, got 1 and 2; make a "
        "keras.Model with one of each.",
    ),
    "a number of steps that is not known": (
        lambda: stack(L.Dense(3), L.Dense(2), shape=(None, 2)),
        {},
        "InputLayer 'input_layer' has an axis of its shape None; build the model with a number.",
    ),
    "a layer of two inputs": (
        lambda: attention(),
        {},
        "MultiHeadAttention 'odd' is called with more than one input, which cannot be imported.",
    ),
    "batch normalisations on both sides of a Flatten": (
        lambda: stack(
            *(L.BatchNormalization(name="first"), L.Flatten(), L.BatchNormalization(name="odd")),
            *(L.Dense(3), L.Dense(12)),
        ),
        {},
        "BatchNormalization 'odd' cannot be imported: BatchNormalization 'first' comes before the "
        "Flatten before it; remove one of the two.",
    ),
    "a mask of another input": (
        lambda: unknown_mask(),
        {},
        "Any 'any' cannot be imported: a mask must come from a Masking layer after the input, or "
        "be an input.",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_model_that_cannot_be_imported_is_refused_with_the_reason(case):
    build, options, message = OTHERS[case]
    keras.backend.clear_session()  # numbers in names start anew
    with pytest.raises(InputError) as caught:
        from_keras(build(), **options)
    assert str(caught.value) == message
