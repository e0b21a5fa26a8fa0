"""Keras models of strided and transposed convolutions are imported with equal outputs."""

import numpy as np
import pytest
from keras import Input, Sequential
from keras import layers as L
from sklearn.base import clone

from tests.interop.nets import data, near, predicted, randomised
from unspool import ConvAutoencoder
from unspool.errors import InputError
from unspool.interop.keras import from_keras, to_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]
SAME = {"padding": "same", "activation": "relu"}
OUT = {"padding": "same", "activation": "sigmoid"}


def model(shape, *layers):
    return randomised(Sequential([Input(shape), *layers]))


def strided(shape, kernel, stride):
    """Two strided convolutions, their transposed counterparts, and a convolution."""
    conv, up = (L.Conv1D, L.Conv1DTranspose) if len(shape) == 2 else (L.Conv2D, L.Conv2DTranspose)
    return model(
        shape,
        *(conv(4, kernel, strides=stride, **SAME), conv(3, kernel, strides=stride, **SAME)),
        *(up(3, kernel, strides=stride, **SAME), up(4, kernel, strides=stride, **SAME)),
        conv(shape[-1], kernel, **OUT),
    )


@pytest.mark.parametrize("kernel", [1, 3, 4, 7])
@pytest.mark.parametrize(("shape", "stride"), [((12, 2), 2), ((18, 1), 3), ((8, 4, 1), 2)], ids=str)
def test_strided_and_transposed_convolutions_are_imported(shape, stride, kernel):
    theirs, X = strided(shape, kernel, stride), data(5, *shape)
    ours = from_keras(theirs)
    near(ours.reconstruct(X), predicted(theirs, X))
    assert (ours.strides, ours.pool_size, ours.upsampling) == (stride, 1, "transposed")
    assert (ours.kernel_size, ours.filters, ours.import_notes_) == (kernel, (4, 3), ())


LAYERS = {
    "several convolutions between poolings": (
        (8, 8, 1),
        [
            *(L.Conv2D(4, 3, **SAME), L.Conv2D(4, 3, **SAME), L.MaxPooling2D(2)),
            *(L.Conv2D(3, 3, **SAME), L.MaxPooling2D(2), L.Conv2D(3, 3, **SAME)),
            *(L.UpSampling2D(2), L.Conv2D(4, 3, **SAME), L.UpSampling2D(2)),
            *(L.Conv2D(4, 3, **SAME), L.Conv2D(1, 3, **OUT)),
        ],
        {"filters": (4, 4, 3), "pool_size": (1, 2, 2), "kernel_size": 3},
    ),
    "poolings of different sizes": (
        (12, 2),
        [
            *(L.Conv1D(4, 3, **SAME), L.MaxPooling1D(3), L.Conv1D(3, 3, **SAME)),
            *(L.MaxPooling1D(2), L.Conv1D(3, 3, **SAME), L.UpSampling1D(2)),
            *(L.Conv1D(4, 3, **SAME), L.UpSampling1D(3), L.Conv1D(2, 3, padding="same")),
        ],
        {"filters": (4, 3), "pool_size": (3, 2), "kernel_size": 3},
    ),
    "kernels of different sizes": (
        (12, 2),
        [
            *(L.Conv1D(4, 7, **SAME), L.MaxPooling1D(2), L.Conv1D(3, 5, **SAME)),
            *(L.MaxPooling1D(2), L.Conv1D(3, 5, **SAME), L.UpSampling1D(2)),
            *(L.Conv1D(4, 5, **SAME), L.UpSampling1D(2), L.Conv1D(2, 7, padding="same")),
        ],
        {"filters": (4, 3), "kernel_size": (7, 5)},
    ),
    "a decoder with smaller kernels, and flat ones": (
        (8, 6, 1),
        [
            *(L.Conv2D(4, (3, 5), **SAME), L.MaxPooling2D(2), L.Conv2D(4, 2, **SAME)),
            *(L.UpSampling2D(2), L.Conv2D(1, 4, **OUT)),
        ],
        {"filters": (4,), "kernel_size": 5},
    ),
    "no convolution before the first upsampling": (
        (8, 2),
        [
            *(L.Conv1D(4, 3, **SAME), L.MaxPooling1D(2), L.Conv1D(3, 3, **SAME)),
            *(L.MaxPooling1D(2), L.UpSampling1D(2), L.Conv1D(4, 3, **SAME)),
            *(L.UpSampling1D(2), L.Conv1D(2, 3, padding="same")),
        ],
        {"filters": (4, 3), "upsampling": "nearest"},
    ),
    "a last convolution without a stride, then transposed ones": (
        (8, 2),
        [
            *(L.Conv1D(4, 3, strides=2, **SAME), L.Conv1D(3, 3, **SAME)),
            *(L.Conv1DTranspose(4, 3, strides=2, **SAME), L.Conv1D(2, 3, padding="same")),
        ],
        {"filters": (4, 3), "strides": (2, 1), "upsampling": "transposed"},
    ),
    "transposed convolutions after upsampling": (
        (8, 2),
        [
            *(L.Conv1D(4, 4, **SAME), L.MaxPooling1D(2), L.Conv1DTranspose(4, 4, **SAME)),
            *(L.UpSampling1D(2), L.Conv1DTranspose(2, 4, padding="same")),
        ],
        {"filters": (4,), "kernel_size": 5, "upsampling": "nearest"},
    ),
    "pooling, then transposed convolutions": (
        (8, 4, 1),
        [
            *(L.Conv2D(4, 3, **SAME), L.MaxPooling2D(2), L.Conv2D(3, 3, **SAME)),
            *(L.MaxPooling2D(2), L.Conv2DTranspose(3, 3, strides=2, **SAME)),
            *(L.Conv2DTranspose(4, 3, strides=2, **SAME), L.Conv2D(1, 3, **OUT)),
        ],
        {"filters": (4, 3), "strides": 1, "pool_size": 2, "upsampling": "transposed"},
    ),
    "strides, then upsampling": (
        (8, 4, 1),
        [
            *(L.Conv2D(4, 3, strides=2, **SAME), L.Conv2D(4, 3, **SAME)),
            *(L.UpSampling2D(2), L.Conv2D(1, 3, **OUT)),
        ],
        {"filters": (4,), "strides": 2, "pool_size": 1, "upsampling": "nearest"},
    ),
    "a dense code with an activation": (
        (8, 2),
        [
            *(L.Conv1D(4, 3, strides=2, **SAME), L.Flatten(), L.Dense(3, activation="tanh")),
            *(L.Dense(16, activation="relu"), L.Reshape((4, 4))),
            *(L.Conv1DTranspose(4, 3, strides=2, **SAME), L.Conv1D(2, 3, padding="same")),
        ],
        {"latent_dim": 3, "code_activation": "tanh", "filters": (4,)},
    ),
    "dense layers around the code": (
        (8, 8, 1),
        [
            *(L.Conv2D(4, 3, strides=2, **SAME), L.Conv2D(3, 3, strides=2, **SAME)),
            *(L.Flatten(), L.Dense(2), L.Dense(12, activation="relu"), L.Reshape((2, 2, 3))),
            *(L.Conv2DTranspose(3, 3, strides=2, **SAME),),
            *(L.Conv2DTranspose(4, 3, strides=2, **SAME), L.Conv2DTranspose(1, 3, **OUT)),
        ],
        {"latent_dim": 2, "filters": (4, 3), "strides": 2, "upsampling": "transposed"},
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_convolutional_architectures_are_imported_with_equal_outputs(name):
    shape, layers, parameters = LAYERS[name]
    theirs, X = model(shape, *layers), data(5, *shape)
    ours = from_keras(theirs)
    near(ours.reconstruct(X), predicted(theirs, X))
    assert {key: getattr(ours, key) for key in parameters} == parameters
    fitted = clone(ours).set_params(epochs=1, verbose=0).fit(X)
    assert fitted.transform(X).shape == ours.transform(X).shape


@pytest.mark.parametrize("size", [7, 9, 12])
@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
def test_an_exported_model_of_any_length_is_imported_again(upsampling, size):
    each = {"strides": (2, 1), "pool_size": 1, "kernel_size": (4, 3)}
    ours = ConvAutoencoder(
        None, filters=(3, 2), upsampling=upsampling, epochs=1, verbose=0, random_state=0, **each
    ).fit(data(6, size, 2))
    X = data(4, size, 2)
    near(from_keras(to_keras(ours)).reconstruct(X), ours.reconstruct(X))


def test_kernels_of_other_sizes_are_named_in_the_notes():
    shape, layers, _ = LAYERS["a decoder with smaller kernels, and flat ones"]
    ours = from_keras(model(shape, *layers))
    names = [layer.name for layer in layers if isinstance(layer, L.Conv2D)]
    assert ours.import_notes_ == tuple(
        f"the kernel of Conv2D '{name}' has the size {size}, and that of the imported layer 5 × 5, "
        "with zeros around it; `fit` trains these too."
        for name, size in zip(names, ("3 × 5", "2 × 2", "4 × 4"), strict=True)
    )


def test_a_convolution_that_was_added_is_named_in_the_notes():
    shape, layers, _ = LAYERS["no convolution before the first upsampling"]
    (note,) = from_keras(model(shape, *layers)).import_notes_
    assert note == (
        f"a convolution that returns what it reads was added before UpSampling1D "
        f"'{layers[4].name}'; `fit` trains it too."
    )


def code():
    return [L.Conv1D(4, 3, strides=2, **SAME), L.Conv1D(3, 3, strides=2, **SAME)]


REFUSED = {
    "no convolution after the last transposed one": (
        [
            *(*code(), L.Conv1DTranspose(4, 3, strides=2, **SAME)),
            L.Conv1DTranspose(2, 3, strides=2, padding="same", name="odd"),
        ],
        "Conv1DTranspose 'odd' cannot be imported: a convolution was expected after it, since the "
        "decoder mirrors the encoder.",
    ),
    "another stride": (
        [
            *(*code(), L.Conv1DTranspose(3, 3, strides=4, name="odd", **SAME)),
            *(L.Conv1DTranspose(4, 3, **SAME), L.Conv1D(2, 3, padding="same")),
        ],
        "Conv1DTranspose 'odd' cannot be imported: its `strides` is (4,), but to mirror the "
        "encoder it must be (2,).",
    ),
    "another upsampling": (
        [
            *(*code(), L.Conv1D(3, 3, **SAME), L.UpSampling1D(4, name="odd")),
            *(L.Conv1D(4, 3, **SAME), L.Conv1D(2, 3, padding="same")),
        ],
        "UpSampling1D 'odd' cannot be imported: its `size` is (4,), but to mirror the encoder it "
        "must be (2,).",
    ),
    "filters that are not mirrored": (
        [
            *(*code(), L.Conv1DTranspose(9, 3, strides=2, **SAME)),
            *(L.Conv1DTranspose(4, 3, strides=2, **SAME), L.Conv1D(2, 3, name="odd", **OUT)),
        ],
        "Conv1D 'odd' cannot be imported: the decoder's convolutions have 9, 4, 2 filters; to "
        "mirror the encoder, they must have 3, 4, 2.",
    ),
    "unpadded": (
        [L.Conv1D(4, 3, activation="relu", name="odd"), L.Flatten(), L.Dense(2)],
        "Conv1D 'odd' cannot be imported: its `padding` is 'valid'; only 'same' is supported.",
    ),
    "padding of the output": (
        [
            *(L.Conv1D(4, 3, strides=2, **SAME), L.Conv1DTranspose(
                4, 3, strides=2, output_padding=1, name="odd", **SAME)),
            L.Conv1D(2, 3, padding="same"),
        ],
        "Conv1DTranspose 'odd' cannot be imported: its `output_padding` is (1,); only None is "
        "supported.",
    ),
    "a stride longer than the sequence": (
        [L.Conv1D(4, 3, strides=17, name="odd", **SAME), L.Flatten(), L.Dense(2)],
        "Conv1D 'odd' cannot be imported: its `strides` is (17,), larger than what it reads.",
    ),
    "a pool that is not square": (
        [L.Conv2D(4, 3, **SAME), L.MaxPooling2D((2, 1), name="odd"), L.Flatten(), L.Dense(2)],
        "MaxPooling2D 'odd' cannot be imported: its `pool_size` is (2, 1); its windows must be "
        "square.",
    ),
    "a decoder alone": (
        [L.Conv1DTranspose(4, 3, strides=2, name="odd", **SAME), L.Conv1D(2, 3, padding="same")],
        "Conv1DTranspose 'odd' cannot be imported: the model must start with a convolution; the "
        "encoder consists of convolutions, each of which may have a stride or be followed by one "
        "pooling layer.",
    ),
    "a tanh that nothing may repeat": (
        [
            *(L.Conv1D(4, 3, padding="same", activation="tanh"), L.MaxPooling1D(2)),
            *(L.UpSampling1D(2, name="odd"), L.Conv1D(2, 3, padding="same")),
        ],
        "UpSampling1D 'odd' cannot be imported: a convolution with 4 filters and tanh was expected "
        "before it.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_convolutions_are_refused_with_the_layer_and_a_reason(name):
    layers, message = REFUSED[name]
    shape = (8, 4, 2) if isinstance(layers[0], L.Conv2D) else (8, 2)
    with pytest.raises(InputError) as caught:
        from_keras(model(shape, *layers))
    assert str(caught.value) == message


def test_a_transposed_convolution_after_a_shift_is_refused():
    layers = [L.Conv1D(4, 3, strides=2, **SAME), L.BatchNormalization(name="odd")]
    layers += [L.Conv1DTranspose(4, 3, strides=2, **SAME), L.Conv1D(2, 3, padding="same")]
    theirs = Sequential([Input((8, 2)), *layers])
    layers[1].set_weights([np.full(4, value) for value in (0.9, 0.3, 0.2, 1.2)])
    with pytest.raises(InputError, match="BatchNormalization 'odd' cannot be imported: Conv1D"):
        from_keras(theirs)


def test_batch_normalization_before_the_activation_is_folded_into_a_transposed_convolution():
    def up(filters):
        return [
            L.Conv1DTranspose(filters, 3, strides=2, padding="same"),
            *(L.BatchNormalization(), L.ReLU()),
        ]

    theirs = model((8, 2), *code(), *up(3), *up(4), L.Conv1D(2, 3, padding="same"))
    for weight in theirs.weights:
        if "variance" in weight.path:
            weight.assign(np.abs(weight) + 0.5)
    X = data(5, 8, 2)
    near(from_keras(theirs).reconstruct(X), predicted(theirs, X))
