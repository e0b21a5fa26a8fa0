import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.plots import CodeTraceDisplay


def codes_of(n, dimensions):
    return np.random.default_rng(0).normal(size=(n, dimensions))


@pytest.mark.parametrize("dimensions", [1, 2, 10, 11, 64])
def test_each_dimension_is_a_line_over_the_windows(dimensions):
    codes = codes_of(80, dimensions)
    lines = CodeTraceDisplay(codes).plot().ax_.get_lines()
    assert len(lines) == dimensions
    for line, column in zip(lines, codes.T, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(80))
        np.testing.assert_array_equal(line.get_ydata(), column)
    assert len({str(line.get_color()) for line in lines}) == dimensions


def test_few_dimensions_get_a_legend_and_many_a_colour_bar():
    few = CodeTraceDisplay(codes_of(5, 10)).plot()
    texts = [text.get_text() for text in few.ax_.get_legend().get_texts()]
    assert texts == [str(i) for i in range(10)]
    assert len(few.figure_.axes) == 1
    many = CodeTraceDisplay(codes_of(5, 11)).plot()
    assert many.ax_.get_legend() is None
    _, bar = many.figure_.axes
    assert bar.get_ylabel() == "dimension"
    many.figure_.canvas.draw()
    ticks = [tick for tick in bar.get_yticks() if -0.5 <= tick <= 10.5]
    assert ticks == [0, 2, 4, 6, 8, 10]


def test_title_and_axis_labels():
    ax = CodeTraceDisplay(codes_of(80, 10)).plot().ax_
    assert ax.get_title() == "Code with 10 dimensions over 80 windows"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("window index", "code")


def test_start_sets_the_position_of_the_windows():
    ax = CodeTraceDisplay(codes_of(3, 2), start=[0, 12, 24]).plot().ax_
    assert ax.get_lines()[1].get_xdata().tolist() == [0, 12, 24]
    assert ax.get_xlabel() == "first time step of the window"


def test_a_single_window_is_visible_points():
    lines = CodeTraceDisplay(codes_of(1, 2)).plot().ax_.get_lines()
    assert [line.get_marker() for line in lines] == ["o", "o"]


def test_from_estimator_encodes_the_windows(autoencoder):
    windows = Windows(np.arange(9.0), 4)
    display = CodeTraceDisplay.from_estimator(autoencoder, windows, linewidth=3)
    expected = np.outer(np.arange(6) + 1.5, [1, 2, 3])
    np.testing.assert_allclose(display.codes, expected)
    assert {line.get_linewidth() for line in display.ax_.get_lines()} == {3}


def test_frames_are_passed_to_the_estimator_unchanged(autoencoder):
    transform, inputs = autoencoder.transform, []
    autoencoder.transform = lambda X: inputs.append(X) or pd.DataFrame(transform(X))
    X = pd.DataFrame(np.ones((4, 5)))
    display = CodeTraceDisplay.from_estimator(autoencoder, X, start=[1, 2, 3, 4])
    assert inputs[0] is X  # the estimator checks the columns of a frame
    np.testing.assert_allclose(display.codes, [[1, 2, 3]] * 4)
    assert display.start.tolist() == [1, 2, 3, 4]


def test_drawing_onto_given_axes_opens_no_figure():
    figure, ax = plt.subplots()
    display = CodeTraceDisplay(codes_of(5, 20)).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_the_legend_is_never_outside_of_the_figure(layout):
    figure, ax = plt.subplots(layout=layout)
    legend = CodeTraceDisplay(codes_of(5, 3)).plot(ax).ax_.get_legend()
    figure.canvas.draw()
    assert figure.bbox.x1 >= legend.get_window_extent().x1
    outside = legend.get_window_extent().x0 >= ax.get_window_extent().x1
    assert outside == (layout == "constrained")


@pytest.mark.parametrize(
    ("codes", "start", "message"),
    [
        (np.ones(5), None, "Expected codes of shape (N, L), got shape (5,)."),
        (np.ones((0, 3)), None, "Expected codes of shape (N, L), got shape (0, 3)."),
        (np.ones((3, 0)), None, "Expected codes of shape (N, L), got shape (3, 0)."),
        (
            [["a"]],
            None,
            "Expected real numbers in codes, got dtype <U1; convert text to numbers with "
            "X.astype(float).",
        ),
        (
            [[1.0, 2.0], [3.0, np.nan]],
            None,
            "Expected finite codes, got nan in dimension 1 of code 1.",
        ),
        (
            np.ones((3, 2)),
            [0, 1],
            "Expected `start` of shape (3,), one for every code, got (2,).",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(codes, start, message):
    with pytest.raises(InputError) as caught:
        CodeTraceDisplay(codes, start)
    assert str(caught.value) == message


def test_an_estimator_that_cannot_encode_or_is_not_fitted_is_refused(unfitted):
    with pytest.raises(InputError) as caught:
        CodeTraceDisplay.from_estimator(object(), np.ones((4, 5)))
    assert (
        str(caught.value)
        == "Expected an estimator with the method `transform`, but object has none."
    )
    for estimator in (unfitted, PCA()):
        with pytest.raises(NotFittedError) as caught:
            CodeTraceDisplay.from_estimator(estimator, np.ones((4, 5)))
        assert str(caught.value) == (
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' with "
            "appropriate arguments before using this estimator."
        )
    assert plt.get_fignums() == []
