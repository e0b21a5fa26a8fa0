import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn.exceptions import NotFittedError

from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.plots import CodeScatterDisplay


def codes_of(n, dimensions):
    return np.random.default_rng(0).normal(size=(n, dimensions)) * np.arange(1, dimensions + 1)


def collections(ax):
    """Return label, colour and points of every collection."""
    return [
        (one.get_label(), to_hex(one.get_facecolor()[0]), np.asarray(one.get_offsets()))
        for one in ax.collections
    ]


def test_two_dimensions_are_drawn_as_they_are():
    codes = codes_of(9, 2)
    ax = CodeScatterDisplay(codes).plot().ax_
    ((_, _, points),) = collections(ax)
    np.testing.assert_array_equal(points, codes)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("code, dimension 0", "code, dimension 1")
    assert ax.get_title() == "9 codes"
    assert ax.get_legend() is None


def test_one_dimension_is_drawn_over_the_sequences():
    ax = CodeScatterDisplay([[0.5], [0.1]]).plot().ax_
    ((_, _, points),) = collections(ax)
    assert points.tolist() == [[0, 0.5], [1, 0.1]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("sequence index", "code")


def test_more_dimensions_are_drawn_in_the_plane_of_most_variance():
    codes = codes_of(50, 6)
    display = CodeScatterDisplay(codes).plot()
    ((_, _, points),) = collections(display.ax_)
    _, singular, axes = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)
    expected = (codes - codes.mean(axis=0)) @ axes[:2].T
    np.testing.assert_allclose(np.abs(points), np.abs(expected), rtol=1e-8)
    shares = singular**2 / np.sum(singular**2)
    assert display.ax_.get_xlabel() == f"principal component 1 ({shares[0]:.0%} of the variance)"
    assert display.ax_.get_ylabel() == f"principal component 2 ({shares[1]:.0%} of the variance)"


def test_equal_codes_have_no_share_of_the_variance():
    display = CodeScatterDisplay(np.ones((4, 3)))
    assert display.axis_names[0] == "principal component 1 (0% of the variance)"
    np.testing.assert_allclose(display.points, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["walk", "sit", "walk", "run"], ["run", "sit", "walk"]),
        ([10, 9, 10, 100], ["9", "10", "100"]),
        (np.array([1.5, 1.5, 0.5, 0.5]), ["0.5", "1.5"]),
        ([True, False, True, True], ["False", "True"]),
        ([1, "a", None, "a"], ["1", "None", "a"]),
        (pd.Series(["b", "a", "b", "b"], index=[7, 8, 9, 10]), ["a", "b"]),
        (["_hidden", "seen", "seen", "seen"], ["_hidden", "seen"]),
    ],
    ids=str,
)
def test_labels_of_any_type_are_classes_in_their_order(y, classes):
    codes = codes_of(4, 2)
    display = CodeScatterDisplay(codes, y).plot()
    assert display.classes == classes
    groups = collections(display.ax_)
    names = [str(one) for one in y]
    for name, (_, _, points) in zip(classes, groups, strict=True):
        np.testing.assert_array_equal(points, codes[[one == name for one in names]])
    assert len({color for _, color, _ in groups}) == len(classes)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == classes
    assert display.ax_.get_title() == f"4 codes of {len(classes)} classes"


def test_no_two_classes_look_the_same():
    y = np.arange(50) % 25
    ax = CodeScatterDisplay(codes_of(50, 2), y).plot().ax_
    shapes = [one.get_paths()[0].vertices.tobytes() for one in ax.collections]
    looks = {(color, shape) for (_, color, _), shape in zip(collections(ax), shapes, strict=True)}
    assert len(looks) == 25


def test_more_classes_than_fit_in_a_legend_have_no_legend():
    y = np.arange(41)
    assert CodeScatterDisplay(codes_of(41, 2), y).plot().ax_.get_legend() is None
    assert CodeScatterDisplay(codes_of(41, 2), y % 40).plot().ax_.get_legend() is not None


def test_from_estimator_encodes_and_colours(autoencoder):
    windows = Windows(np.arange(9.0), 4)
    display = CodeScatterDisplay.from_estimator(autoencoder, windows, list("aabbab"), marker="x")
    np.testing.assert_allclose(display.codes, np.outer(np.arange(6) + 1.5, [1, 2, 3]))
    assert display.axis_names[0] == "principal component 1 (100% of the variance)"
    assert [len(points) for _, _, points in collections(display.ax_)] == [3, 3]


def test_drawing_onto_given_axes_opens_no_figure():
    figure, ax = plt.subplots()
    display = CodeScatterDisplay(codes_of(5, 3), list("abcab")).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_the_legend_is_never_outside_of_the_figure(layout):
    figure, ax = plt.subplots(layout=layout)
    legend = CodeScatterDisplay(codes_of(5, 3), list("abcab")).plot(ax).ax_.get_legend()
    figure.canvas.draw()
    assert figure.bbox.x1 >= legend.get_window_extent().x1
    outside = legend.get_window_extent().x0 >= ax.get_window_extent().x1
    assert outside == (layout == "constrained")


@pytest.mark.parametrize(
    ("codes", "y", "message"),
    [
        (np.ones((4, 2, 1)), None, "Expected codes of shape (N, L), got shape (4, 2, 1)."),
        ([[1.0, np.inf]], None, "Expected finite codes, got inf in dimension 1 of code 0."),
        (np.ones((4, 2)), [1, 2, 3], "Expected one label for each of 4 codes, got 3."),
        (
            np.ones((1, 3)),
            None,
            "Expected at least 2 codes for a projection of 3 dimensions onto principal "
            "components, got 1.",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(codes, y, message):
    with pytest.raises(InputError) as caught:
        CodeScatterDisplay(codes, y)
    assert str(caught.value) == message


def test_an_estimator_that_is_not_fitted_is_refused(unfitted):
    with pytest.raises(NotFittedError) as caught:
        CodeScatterDisplay.from_estimator(unfitted, np.ones((4, 5)))
    assert str(caught.value) == (
        "This FakeAutoencoder instance is not fitted yet. Call 'fit' with appropriate arguments "
        "before using this estimator."
    )
    assert plt.get_fignums() == []
