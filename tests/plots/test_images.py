import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from torch import nn

from unspool.data.sequences import Sequences
from unspool.errors import InputError
from unspool.plots import ImagesDisplay


class Halves(BaseEstimator):
    """Halves images of any shape, and stores its inputs."""

    def fit(self, X=None):
        self.inputs_ = []
        return self

    def transform(self, X):
        return X

    def reconstruct(self, X):
        self.inputs_.append(X)
        return (X.values if isinstance(X, Sequences) else np.asarray(X)) / 2


def images_of(*shape):
    return np.random.default_rng(0).uniform(1, 2, shape)


def error_of(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert plt.get_fignums() == []
    return str(caught.value)


def places(display, rows, columns, size, gap=1):
    """Return the images cut from the drawn sheet, and the values between them."""
    (drawn,) = display.ax_.images
    sheet = np.ma.filled(np.ma.asarray(drawn.get_array(), float), np.nan)
    height, width = size
    cut = [
        [
            sheet[r * (height + gap) :][:height, c * (width + gap) :][:, :width]
            for c in range(columns)
        ]
        for r in range(rows)
    ]
    assert sheet.shape[:2] == (rows * (height + gap) - gap, columns * (width + gap) - gap)
    between = np.ones(sheet.shape, bool)
    for r in range(rows):
        for c in range(columns):
            top, left = r * (height + gap), c * (width + gap)
            between[top : top + height, left : left + width] = False
    return np.array(cut), sheet[between]


def test_images_lie_in_their_rows_and_columns_with_nothing_between():
    images = images_of(2, 3, 5, 4)
    got, between = places(ImagesDisplay(images).plot(), 2, 3, (5, 4))
    np.testing.assert_array_equal(got, images)
    assert np.isnan(between).all()


def test_names_are_at_the_middle_of_rows_and_columns():
    display = ImagesDisplay(images_of(2, 3, 5, 4), ["in", "out"], ["a", "b", "c"]).plot()
    ax = display.ax_
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["in", "out"]
    assert ax.get_yticks().tolist() == [2, 8]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b", "c"]
    assert ax.get_xticks().tolist() == [1.5, 6.5, 11.5]
    bare = ImagesDisplay(images_of(2, 3, 5, 4)).plot().ax_
    assert len(bare.get_xticks()) == len(bare.get_yticks()) == 0
    assert not any(spine.get_visible() for spine in bare.spines.values())


@pytest.mark.parametrize("names", [["input", "a reconstruction of a long name"], None])
@pytest.mark.parametrize("columns", [1, 5, 20])
def test_nothing_is_cut_off_and_images_keep_their_proportions(names, columns):
    display = ImagesDisplay(
        images_of(2, columns, 28, 28), names, [str(i) for i in range(columns)]
    ).plot()
    figure, ax = display.figure_, display.ax_
    figure.canvas.draw()
    extent, whole = ax.get_tightbbox(), figure.bbox
    assert whole.x0 <= extent.x0 < extent.x1 <= whole.x1
    assert whole.y0 <= extent.y0 < extent.y1 <= whole.y1
    assert whole.height - extent.height < 0.25 * figure.dpi
    assert whole.width - extent.width < 0.25 * figure.dpi
    shown, (high, wide) = ax.get_window_extent(), ax.images[0].get_array().shape
    assert shown.width / shown.height == pytest.approx(wide / high)


def test_the_scale_is_shared_or_separate_for_each_image():
    images = np.array([[[[0.0, 1.0]], [[2.0, 6.0]]]])
    got, _ = places(ImagesDisplay(images).plot(), 1, 2, (1, 2))
    np.testing.assert_array_equal(got, images)
    scaled, _ = places(ImagesDisplay(images, shared_scale=False).plot(), 1, 2, (1, 2))
    np.testing.assert_array_equal(scaled, [[[[0, 1]], [[0, 1]]]])
    flat, _ = places(
        ImagesDisplay(np.full((1, 1, 2, 2), 7.0), shared_scale=False).plot(), 1, 1, (2, 2)
    )
    np.testing.assert_array_equal(flat, np.zeros((1, 1, 2, 2)))


def test_colours_are_scaled_to_0_to_1_and_the_rest_is_white():
    images = images_of(1, 2, 3, 3, 3) * 255
    images[0, 1] = np.nan
    got, between = places(ImagesDisplay(images).plot(), 1, 2, (3, 3))
    low, high = np.nanmin(images), np.nanmax(images)
    np.testing.assert_allclose(got[0, 0], (images[0, 0] - low) / (high - low))
    assert (got[0, 1] == 1).all()
    assert (between == 1).all()


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((20, 4, 4), {}),
        ((20, 16), {}),
        ((20, 4, 4, 1), {}),
        ((20, 16), {"image_shape": (2, 8)}),
        ((20, 2, 8), {"image_shape": (2, 8)}),
    ],
)
def test_only_the_images_shown_are_reconstructed(shape, options):
    model, X = Halves().fit(), images_of(*shape)
    display = ImagesDisplay.from_estimator(model, X, n_images=3, **options)
    chosen = X[[0, 10, 19]]  # 9.5 is rounded to even
    (inputs,) = model.inputs_
    np.testing.assert_array_equal(inputs, chosen)
    size = options.get("image_shape", (4, 4))
    expected = chosen.reshape(3, *size)
    np.testing.assert_array_equal(display.images, [expected, expected / 2])
    assert display.row_names == ["input", "reconstruction"]
    got, _ = places(display, 2, 3, size)
    np.testing.assert_array_equal(got, display.images)


def test_colour_images_are_reconstructed_too():
    X = images_of(4, 5, 5, 3)
    display = ImagesDisplay.from_estimator(Halves().fit(), X, [1])
    np.testing.assert_array_equal(display.images, [X[[1]], X[[1]] / 2])


def test_sequences_frames_and_lists_are_read():
    X = images_of(6, 16)
    expected = np.array([X[[4, 1]], X[[4, 1]] / 2]).reshape(2, 2, 4, 4)
    model = Halves().fit()
    for form in (Sequences(X[:, :, None]), Sequences(X.reshape(6, 4, 4)), X.tolist()):
        display = ImagesDisplay.from_estimator(model, form, [4, 1])
        np.testing.assert_allclose(display.images, expected)
    frame = pd.DataFrame(X)
    display = ImagesDisplay.from_estimator(model, frame, [4, 1])
    np.testing.assert_allclose(display.images, expected)
    assert model.inputs_[-1].index.tolist() == [4, 1]  # the estimator receives a frame


def test_weights_of_units_are_images_with_separate_scales():
    weights = images_of(10, 12) * np.arange(1, 11)[:, None]
    display = ImagesDisplay.from_weights(weights, image_shape=(3, 4), columns=4)
    got, _ = places(display, 3, 4, (3, 4))
    for unit, image in enumerate(got.reshape(12, 12)):
        if unit < 10:
            expected = weights[unit]
            np.testing.assert_allclose(image, (expected - expected.min()) / np.ptp(expected))
        else:
            assert np.isnan(image).all()


def model_with(encoder):
    model = Halves().fit()
    model.module_ = nn.Module()
    model.module_.encoder = encoder
    return model


def test_weights_of_an_estimator_are_those_of_its_encoders_first_layer():
    dense = nn.Linear(9, 5)
    display = ImagesDisplay.from_weights(model_with(nn.Sequential(nn.Flatten(), dense, nn.ReLU())))
    assert display.images.shape == (1, 5, 3, 3)
    np.testing.assert_array_equal(
        display.images[0].reshape(5, 9), dense.weight.detach().numpy().astype(float)
    )


def test_an_encoder_that_does_not_begin_with_a_dense_layer_has_no_weight_images():
    model = model_with(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Linear(4, 4)))
    assert error_of(ImagesDisplay.from_weights, model) == (
        "Expected an estimator whose encoder begins with a dense layer, got Conv1d in Halves."
    )


def test_feature_maps_are_arranged_in_rows_of_eight():
    maps = images_of(32, 5, 5)
    display = ImagesDisplay.from_maps(maps)
    assert display.images.shape == (4, 8, 5, 5)
    np.testing.assert_array_equal(display.images.reshape(32, 5, 5), maps)
    assert not display.shared_scale
    assert ImagesDisplay.from_maps(maps[:3]).images.shape == (1, 3, 5, 5)


def test_videos_are_rows_of_frames_with_a_column_for_each_step():
    videos = {"input": images_of(3, 4, 4), "forecast": images_of(2, 4, 4)}
    display = ImagesDisplay.from_frames(videos)
    assert display.row_names == ["input", "forecast"]
    assert display.column_names == ["1", "2", "3"]
    np.testing.assert_array_equal(display.images[0], videos["input"])
    np.testing.assert_array_equal(display.images[1, :2], videos["forecast"])
    assert np.isnan(display.images[1, 2]).all()
    assert display.shared_scale


def test_drawing_onto_given_axes_opens_no_figure_and_passes_options():
    figure, ax = plt.subplots()
    display = ImagesDisplay(images_of(1, 1, 4, 4)).plot(ax, cmap="gray_r")
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert ax.images[0].get_cmap().name == "gray_r"
    assert ImagesDisplay(images_of(1, 1, 4, 4)).plot().ax_.images[0].get_cmap().name == "gray"


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        (
            ImagesDisplay, {"images": np.ones((3, 4, 4))},
            "Expected images of shape (R, C, H, W) or (R, C, H, W, 3), got shape (3, 4, 4).",
        ),
        (
            ImagesDisplay, {"images": np.ones((1, 1, 4, 4, 2))},
            "Expected images of shape (R, C, H, W) or (R, C, H, W, 3), got shape (1, 1, 4, 4, 2).",
        ),
        (
            ImagesDisplay, {"images": np.ones((1, 0, 4, 4))},
            "Expected images of shape (R, C, H, W) or (R, C, H, W, 3), got shape (1, 0, 4, 4).",
        ),
        (
            ImagesDisplay, {"images": np.full((1, 1, 4, 4), np.inf)},
            "Expected images of finite numbers, got infinity, or only NaN.",
        ),
        (
            ImagesDisplay, {"images": np.full((1, 1, 4, 4), np.nan)},
            "Expected images of finite numbers, got infinity, or only NaN.",
        ),
        (
            ImagesDisplay, {"images": np.ones((2, 1, 4, 4)), "row_names": ["a"]},
            "Expected 2 row names, got 1.",
        ),
        (
            ImagesDisplay, {"images": np.ones((2, 1, 4, 4)), "column_names": ["a", "b"]},
            "Expected 1 column names, got 2.",
        ),
        (
            ImagesDisplay, {"images": np.ones((2, 1, 4, 4)), "shared_scale": 1},
            "`shared_scale` must be True or False, got 1.",
        ),
        (
            ImagesDisplay.from_weights, {"weights": np.ones((2, 10))},
            "Expected weights of 3 × 3 numbers per image, got 10; set `image_shape`.",
        ),
        (
            ImagesDisplay.from_weights, {"weights": np.ones((2, 9)), "columns": 0},
            "`columns` must be a whole number of at least 1, got 0.",
        ),
        (
            ImagesDisplay.from_weights, {"weights": np.ones(10)},
            "Expected weights as images of shape (N, H, W), got (10,).",
        ),
        (
            ImagesDisplay.from_maps, {"maps": np.ones((10, 10))},
            "Expected maps of shape (channels, H, W), got shape (10, 10).",
        ),
        (
            ImagesDisplay.from_frames, {"videos": {}},
            "Expected at least one video in `videos`, got none.",
        ),
        (
            ImagesDisplay.from_frames,
            {"videos": {"a": np.ones((2, 3, 3)), "b": np.ones((2, 3, 4))}},
            "Expected every video of shape (steps, H, W), with the frame size of the first, got "
            "shape (2, 3, 4) for 'b'.",
        ),
    ],
)  # fmt: skip
def test_arguments_that_do_not_match_are_refused(call, arguments, message):
    assert error_of(call, **arguments) == message


def test_arguments_of_from_estimator_are_checked():
    model, call = Halves().fit(), ImagesDisplay.from_estimator
    assert error_of(call, model, images_of(3, 4, 4), n_images=0) == (
        "`n_images` must be a whole number of at least 1, got 0."
    )
    assert error_of(call, model, images_of(3, 4, 4), []) == (
        "Expected at least one sequence to show, got none."
    )
    assert error_of(call, model, images_of(3, 4, 4), image_shape=(2, 8)) == (
        "Expected X as images of shape (N, 2, 8), got (3, 4, 4)."
    )
    model.reconstruct = lambda X: np.ones((len(X), 5, 5))
    assert error_of(call, model, images_of(3, 4, 4)) == (
        "Expected the reconstruction as images of shape (N, 4, 4), got (3, 5, 5)."
    )
    assert error_of(call, PCA(), images_of(3, 4, 4)) == (
        "Expected an estimator with the method `reconstruct`, but PCA has none."
    )
    for unfitted in (call, ImagesDisplay.from_weights):
        arguments = (Halves(), images_of(3, 4, 4)) if unfitted is call else (Halves(),)
        with pytest.raises(NotFittedError):
            unfitted(*arguments)
