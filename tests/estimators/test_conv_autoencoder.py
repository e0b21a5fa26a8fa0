"""`ConvAutoencoder`: images and sequences through convolutions, in the form they came in."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

import unspool
from tests.close import assert_close
from tests.estimators.feedforward import (
    QUICK,
    check_saving,
    check_scikit_learn,
    check_shapes_of_sequences,
    digits,
)
from tests.model_file.files import changed, rewrite
from unspool import ConvAutoencoder, Sequences
from unspool.errors import InputError, ModelFileError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

IMAGES = {"image_shape": (8, 8)}
ARTICLE = {
    "latent_dim": None, "output_activation": "relu", "loss": "binary_crossentropy",
    "scaling": "none", "optimizer": "rmsprop",
}  # fmt: skip


def make(**parameters):
    return ConvAutoencoder(**{**QUICK, "filters": (4,), **parameters})


def colours(n=40, shape=(7, 5, 3)):
    return np.random.default_rng(0).uniform(size=(n, *shape)).cumsum(axis=1) * [1, 10, 100]


def test_the_error_after_training_is_small():
    X = digits(600)
    model = make(**IMAGES, latent_dim=16, filters=(16,), epochs=12, learning_rate=0.005)
    model.fit(X[:500])
    assert model.score(X[500:]) > 0.65
    assert model.history_["val_loss"][0] > 1.5 * min(model.history_["val_loss"])


@pytest.mark.parametrize("seed", range(3))
def test_relu_outputs_under_crossentropy_train_and_do_not_die(seed):
    X = digits(500)
    given = {**ARTICLE, **IMAGES, "patience": None, "batch_size": 20}
    model = make(**given, filters=(8,), epochs=12, random_state=seed).fit(X[:400])
    again = model.reconstruct(X[400:])
    assert (again > 0).mean() > 0.3
    assert model.score(X[400:]) > 0.75


def scaled(X):
    return ((X - X.mean(axis=(0, 1, 2))) / X.std(axis=(0, 1, 2))).astype(np.float32)


@pytest.mark.cpu
def test_the_whole_model_in_torchs_own_functions():
    X = colours()
    model = make(filters=(4, 6), activation="elu", output_activation="tanh").fit(X)
    weights = dict(model.module_.state_dict())

    def convolved(images, name):
        weight, bias = (weights[f"{name}.{kind}"] for kind in ("weight", "bias"))
        return functional.conv2d(images, weight, bias, padding="same")

    images = torch.from_numpy(scaled(X)).permute(0, 3, 1, 2)
    for layer in range(2):
        images = functional.elu(convolved(images, f"encoder.convolutions.{layer}"))
        images = functional.max_pool2d(images, 2, ceil_mode=True)
    read = images.permute(0, 2, 3, 1).flatten(1)
    codes = functional.linear(
        read, weights["encoder.projection.weight"], weights["encoder.projection.bias"]
    )
    assert_close("codes", codes, model.transform(X))
    name = "decoders.reconstruction"
    images = functional.elu(
        functional.linear(codes, weights[f"{name}.start.weight"], weights[f"{name}.start.bias"])
    )
    images = images.view(40, 2, 2, 6).permute(0, 3, 1, 2)
    images = functional.elu(convolved(images, f"{name}.convolutions.0"))
    for layer, (height, width) in ((1, (4, 3)), (2, (7, 5))):
        images = functional.interpolate(images, scale_factor=2, mode="nearest")
        images = convolved(images, f"{name}.convolutions.{layer}")[:, :, :height, :width]
        images = functional.elu(images) if layer == 1 else torch.tanh(images)
    out = images.permute(0, 2, 3, 1).numpy()
    again = out * X.std(axis=(0, 1, 2)) + X.mean(axis=(0, 1, 2))
    assert_close("again", (again).astype(np.float32), model.reconstruct(X).astype(np.float32))
    errors = (out - scaled(X)) ** 2
    assert_close("errors", errors.mean(axis=(1, 2, 3)),
                 model.reconstruction_error(X).astype(np.float32))  # fmt: skip
    by_pixel = model.reconstruction_error(X, per="step")
    assert_close("errors of pixels", errors.mean(axis=3), by_pixel.astype(np.float32))


def test_images_come_back_in_the_shape_they_came_in():
    table = digits()
    forms = {
        "table": table, "stack": table.reshape(-1, 8, 8), "channels": table.reshape(-1, 8, 8, 1),
        "list": list(table.reshape(-1, 8, 8)),
    }  # fmt: skip
    frame = pd.DataFrame(table, columns=[f"pixel {i}" for i in range(64)])
    codes = make(**IMAGES).fit(table).transform(table)
    for name, form in forms.items():
        model = make(**IMAGES).fit(form)
        assert model.image_shape_ == (8, 8, 1)
        assert model.n_features_in_ == (64 if name == "table" else 1)
        assert model.inverse_transform(codes).shape == np.shape(form)
        for other in forms.values():
            assert_close(name, codes, model.transform(other))
            assert model.reconstruct(other).shape == np.shape(other)
        assert model.reconstruction_error(form, per="step").shape == (200, 8, 8)
        assert model.feature_maps(form).shape == (200, 4, 8, 8)
    named = make(**IMAGES).fit(frame)
    assert list(named.feature_names_in_) == list(frame.columns)
    assert np.array_equal(named.transform(frame), codes)
    assert make(**IMAGES).fit(forms["stack"]).reconstruct(frame).shape == (200, 64)


def test_images_with_channels_are_scaled_by_channel():
    X = colours()
    model = make().fit(X)
    assert_close("shift", X.mean(axis=(0, 1, 2)), model.scaler_.shift)
    assert model.image_shape_ == (7, 5, 3)
    table = X.reshape(40, -1)
    other = make(image_shape=(7, 5, 3)).fit(table)
    assert_close("codes", model.transform(X), other.transform(table))
    assert other.reconstruct(table).shape == table.shape
    assert model.reconstruct(X).shape == X.shape


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 2), (5, 3, 1)], ids=str)
@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("latent_dim", [None, 6])
@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
def test_every_size_pool_and_stride_works(shape, pool, stride, latent_dim, upsampling):
    X = colours(20, shape) if shape[2] == 3 else np.random.default_rng(0).normal(size=(20, *shape))
    given = {"filters": (3, 2), "kernel_size": 2, "epochs": 1, "latent_dim": latent_dim}
    given |= {"strides": stride, "upsampling": upsampling}
    model = make(**given, pool_size=pool).fit(X)
    height, width = (-(-n // (pool * stride) ** 2) for n in shape[:2])
    assert model.transform(X).shape == (20, latent_dim or height * width * 2)
    assert model.inverse_transform(model.transform(X)).shape == X.shape


def test_images_of_another_shape_are_refused():
    model = make(**IMAGES).fit(digits())
    for X in (
        np.zeros((3, 9, 8, 1)), np.zeros((3, 8, 8, 2)), np.zeros((3, 8, 7)),
        Sequences(np.zeros((3, 8, 8))), [np.zeros((8, 8)), np.zeros((7, 8))],
    ):  # fmt: skip
        for call in (model.transform, make(**IMAGES).fit):
            with pytest.raises(InputError, match=r"^Expected images of shape \(N, 8, 8, 1\) or"):
                call(X)
    with pytest.raises(InputError) as caught:
        make(**IMAGES).fit(digits()[:, :60])
    assert str(caught.value) == (
        "Expected images of shape (N, 8, 8, 1) or (N, 8, 8), or a table (N, 64), got shape "
        "(200, 60); fit another model to images of another shape."
    )
    with pytest.raises(ValueError, match="X has 60 features, but ConvAutoencoder is expecting 64"):
        model.transform(digits()[:, :60])
    with pytest.raises(InputError, match=r"or a table \(N, 105\), got shape \(3, 35\)"):
        make().fit(colours()).transform(np.zeros((3, 35)))
    with pytest.raises(InputError, match=r"or a table \(N, 105\), got shape \(3, 7, 5\)"):
        make().fit(colours()).transform(np.zeros((3, 7, 5)))


def test_an_image_that_ends_in_nan_is_refused():
    X = colours()
    X[7, -1, -1] = np.nan
    with pytest.raises(InputError, match=r"^Image 7 ends in NaN, but this model needs every value"):
        make().fit(X)


def test_sequences_in_every_form_have_the_same_codes():
    check_shapes_of_sequences(make)
    assert make().fit(digits().reshape(-1, 8, 8)).image_shape_ is None  # three axes: sequences
    table = make().fit(digits())
    assert table.reconstruct(digits()).shape == (200, 64)
    assert table.encoder_.shape == (64, 1)


def test_longer_sequences_than_in_fit_are_refused():
    model = make().fit(digits())
    with pytest.raises(InputError, match=r"^Expected sequences of at most 64 steps, as in `fit`"):
        model.transform(np.zeros((2, 65, 1)))
    assert model.transform(np.zeros((2, 5, 1))).shape == (2, 6)


@pytest.mark.cpu
def test_feature_maps_are_the_outputs_of_the_convolutions():
    X = colours()
    model = make(filters=(4, 6)).fit(X)
    images = torch.from_numpy(scaled(X)).permute(0, 3, 1, 2)
    for layer, shape in enumerate([(40, 4, 7, 5), (40, 6, 4, 3)]):
        convolution = model.module_.encoder.convolutions[layer]
        maps = functional.conv2d(images, convolution.weight, convolution.bias, padding=1).relu()
        assert maps.shape == shape
        assert_close(f"layer {layer}", maps, model.feature_maps(X, layer))
        images = functional.max_pool2d(maps, 2, ceil_mode=True)
    for layer, message in {
        2: "`layer` must be below 2, the number of convolutions, got 2.",
        -1: "`layer` must be a whole number of at least 0, got -1.",
    }.items():
        with pytest.raises(InputError) as caught:
            model.feature_maps(X, layer)
        assert str(caught.value) == message


@pytest.mark.cpu
def test_strided_and_transposed_convolutions_in_torchs_own_functions():
    X = colours(shape=(8, 6, 3))
    model = make(filters=(4, 6), strides=2, pool_size=1, latent_dim=None, upsampling="transposed")
    model.fit(X)
    weights = dict(model.module_.state_dict())
    images = torch.from_numpy(scaled(X)).permute(0, 3, 1, 2)
    for layer in range(2):  # an even side and a kernel of 3 need one zero, at the far edge
        name = f"encoder.convolutions.{layer}"
        odd = images.shape[3] % 2
        padded = functional.pad(images, (odd, 1, 0, 1))
        images = functional.conv2d(
            padded, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2
        ).relu()
    assert_close("codes", images.permute(0, 2, 3, 1).flatten(1), model.transform(X))
    for layer, (height, width) in enumerate([(4, 3), (8, 6)]):
        name = f"decoders.reconstruction.convolutions.{layer}"
        images = functional.conv_transpose2d(
            images, weights[f"{name}.weight"].transpose(0, 1), weights[f"{name}.bias"], stride=2
        )[:, :, :height, :width].relu()
    name = "decoders.reconstruction.convolutions.2"
    images = functional.conv2d(
        images, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1
    )
    expected = images.permute(0, 2, 3, 1).numpy() * X.std((0, 1, 2)) + X.mean((0, 1, 2))
    assert_close("images", expected.astype(np.float32), model.reconstruct(X).astype(np.float32))


def test_strides_and_pools_that_no_file_may_hold_are_refused_by_fit():
    X = np.random.default_rng(0).normal(size=(8, 40, 1))
    with pytest.raises(InputError) as caught:
        make(filters=(2,), strides=40, pool_size=40).fit(X)
    assert str(caught.value) == (
        "Expected `strides` times `pool_size` of at most 1024, got 40 · 40."
    )


def test_kernels_strides_and_pools_may_differ_between_convolutions():
    X = np.random.default_rng(0).normal(size=(20, 13, 2))
    each = {"kernel_size": [5, 4, 3], "strides": (1, 2, 1), "pool_size": (2, 1, 1)}
    model = make(filters=(4, 3, 2), latent_dim=None, **each).fit(X)
    shapes = [tuple(one.weight.shape[2:]) for one in model.module_.encoder.convolutions]
    assert shapes == [(5, 1), (4, 1), (3, 1)]
    decoder = model.module_.decoders["reconstruction"].convolutions
    assert [one.weight.shape[2] for one in decoder] == [3, 3, 4, 5]
    assert [one.up for one in decoder] == [(1, 1), (1, 1), (2, 1), (2, 1)]
    assert [model.feature_maps(X, layer).shape[2] for layer in range(3)] == [13, 4, 4]
    assert model.transform(X).shape == (20, 4 * 2)
    with pytest.raises(InputError) as caught:
        make(filters=(4, 3, 2), strides=(2, 1)).fit(X)
    assert str(caught.value) == (
        "`strides` has 2 numbers, but `filters` has 3; give one number for all convolutions, or "
        "one for each."
    )


def test_feature_maps_of_strided_convolutions_are_nan_past_the_ends_of_sequences():
    lengths = np.array([9, 4, 5, 1, 0] * 4)
    X = Sequences(np.random.default_rng(0).normal(size=(20, 9, 2)), lengths)
    model = make(filters=(4, 3), strides=(2, 1), pool_size=(1, 3)).fit(X)
    for layer in range(2):
        maps = model.feature_maps(X, layer)
        assert maps.shape == (20, 4 - layer, 5)
        assert (np.isnan(maps).sum((1, 2)) == (4 - layer) * (5 - (lengths + 1) // 2)).all()


def test_a_strided_autoencoder_learns_as_one_with_pooling_does():
    X = np.sin(np.arange(24) / 2 + np.random.default_rng(0).uniform(0, 6, (300, 1)))[..., None]
    given = {"latent_dim": None, "kernel_size": 7, "strides": 2, "pool_size": 1, "epochs": 12}
    for upsampling in ("nearest", "transposed"):
        model = make(filters=(8, 4), upsampling=upsampling, dropout=0.05, **given).fit(X[:250])
        assert model.score(X[250:]) > 0.9


def test_feature_maps_of_sequences_are_nan_past_their_ends():
    lengths = np.array([9, 4, 5, 1, 0] * 4)
    X = Sequences(np.random.default_rng(0).normal(size=(20, 9, 2)), lengths)
    model = make(filters=(4, 3)).fit(X)
    first, second = (model.feature_maps(X, layer) for layer in range(2))
    assert first.shape == (20, 4, 9)
    assert second.shape == (20, 3, 5)
    assert (np.isnan(first).sum(axis=(1, 2)) == 4 * (9 - lengths)).all()
    assert (np.isnan(second).sum(axis=(1, 2)) == 3 * (5 - (lengths + 1) // 2)).all()


@pytest.mark.parametrize(
    ("given", "X"),
    [
        (IMAGES, digits()),
        ({"filters": (3, 2), "kl_weight": 0.01, "code_l1": 0.01, "input_noise": 0.1}, colours()),
        ({**ARTICLE, **IMAGES}, digits().reshape(-1, 8, 8)),
        ({"activation": "gelu", "pool_size": 3, "kernel_size": 4}, digits().reshape(-1, 16, 4)),
        ({"latent_dim": None, "kl_weight": 0.01, "input_dropout": 0.2}, colours()),
    ],
    ids=["table", "colours", "stack", "sequences", "map"],
)
def test_saved_pickled_and_cloned_models_equal_the_original(given, X, tmp_path):
    check_saving(make(**given).fit(X), X, tmp_path)


def test_a_file_with_another_shape_of_images_is_refused(tmp_path):
    model = make(**IMAGES).fit(digits())
    for axes in ((8, 9), (8, 8, 2), (0, 8, 8)):
        model.save(tmp_path / "model")
        rewrite(tmp_path / "model", changed(fitted__axes=axes))
        with pytest.raises(ModelFileError, match="does not hold a usable model"):
            unspool.load(tmp_path / "model")


@pytest.mark.parametrize(
    "given",
    [{}, {"filters": (2, 3), "kl_weight": 0.1, "code_l1": 0.1, "input_noise": 0.1}],
    ids=str,
)
def test_pipelines_clones_and_searches_work(given):
    check_scikit_learn(ConvAutoencoder(**{"latent_dim": 2, "filters": (4,), "epochs": 2, **given}))


def test_bad_parameters_are_reported_together():
    bad = {"latent_dim": 0, "filters": (), "kernel_size": 0, "pool_size": 1.5, "activation": 3}
    bad |= {"strides": (2, 0), "upsampling": "transpose"}
    with pytest.raises(InputError) as caught:
        make(**bad, image_shape=(8,)).fit([[1]])
    assert str(caught.value).splitlines() == [
        "`latent_dim` must be a whole number of at least 1 or None, got 0.",
        "`filters` must have at least one number, got none.",
        "`kernel_size` must be a whole number of at least 1, or a list with one for each "
        "convolution, got 0.",
        "`strides` must be a whole number of at least 1, got 0.",
        "`pool_size` must be a whole number of at least 1, or a list with one for each "
        "convolution, got 1.5.",
        "unknown `upsampling` 'transpose': did you mean 'transposed'? Known are 'nearest', "
        "'transposed'.",
        "unknown `activation` 3: known are 'elu', 'gelu', 'linear', 'relu', 'sigmoid', "
        "'softmax', 'tanh'.",
        "`image_shape` must be (H, W) or (H, W, C), got (8,).",
    ]
    with pytest.raises(InputError, match="`image_shape` must be a list of whole numbers, got 8"):
        make(image_shape=8).fit([[1]])


def test_the_activation_of_the_code_follows_its_dense_layer():
    X = digits()
    model = make(**IMAGES, latent_dim=3, code_activation="sigmoid").fit(X)
    plain = make(**IMAGES, latent_dim=3).fit(X)
    plain.module_.load_state_dict(model.module_.state_dict())
    np.testing.assert_allclose(
        model.transform(X), 1 / (1 + np.exp(-plain.transform(X))), rtol=0, atol=1e-6
    )
    with pytest.raises(InputError, match="`code_activation` cannot follow the normal distribution"):
        make(code_activation="relu", kl_weight=0.1).fit(X)
