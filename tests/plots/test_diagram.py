import io
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn

from unspool.nn import LSTMEncoder
from unspool.nn._summary import Row, Summary
from unspool.plots import ModelDiagramDisplay

TRUNK = (
    Row("input", "", ("N", 9, 1), 0, "input"),
    Row("lstm", "LSTM 100 relu", ("N", 100), 40800, "encoder"),
    Row("code", "", ("N", 100), 0, "code"),
)


def decoder(part):
    return (
        Row("lstm", "LSTM 100 relu", ("N", 9, 100), 80400, part),
        Row("head", "Dense 1 linear", ("N", 9, 1), 1, part),
    )


SIMPLE = Summary("LSTMAutoencoder", TRUNK + decoder("reconstruction"))
COMPOSITE = Summary("LSTMAutoencoder", SIMPLE.rows + decoder("forecast"))


def texts(ax):
    return [text.get_text() for text in ax.texts]


def boxes(ax):
    """Return (x of the middle, bottom, top) of the boxes with an edge: layers, input and code."""
    drawn = [p for p in ax.patches if isinstance(p, FancyBboxPatch) and p.get_edgecolor()[3]]
    return [(b.get_x() + b.get_width() / 2, b.get_y(), b.get_y() + b.get_height()) for b in drawn]


def panels(ax):
    return [p for p in ax.patches if isinstance(p, FancyBboxPatch) and not p.get_edgecolor()[3]]


def arrows(ax):
    """Return the corners of each arrow, and whether it is dashed."""
    drawn = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    return [(a._path_original.vertices.tolist(), a.get_linestyle() != "solid") for a in drawn]


def test_a_box_shows_name_kind_shape_and_parameters():
    shown = texts(ModelDiagramDisplay(SIMPLE).plot().ax_)
    assert shown[0] == "LSTMAutoencoder · 121,201 parameters"
    assert shown[1:] == [
        "input", "(N, 9, 1)",
        "encoder", "lstm", "(N, 100)", "LSTM 100 relu", "40,800 parameters",
        "code", "(N, 100)",
        "reconstruction", "lstm", "(N, 9, 100)", "LSTM 100 relu", "80,400 parameters",
        "head", "(N, 9, 1)", "Dense 1 linear", "1 parameter",
    ]  # fmt: skip


def test_data_flows_down_from_box_to_box():
    ax = ModelDiagramDisplay(SIMPLE).plot().ax_
    drawn = boxes(ax)
    assert [x for x, _, _ in drawn] == pytest.approx([0] * 5)
    ends = {(tuple(points[0]), tuple(points[-1])) for points, _ in arrows(ax)}
    expected = [((0, upper[1]), (0, lower[2])) for upper, lower in itertools.pairwise(drawn)]
    assert len(ends) == 4
    for start, end in expected:
        assert any(np.allclose([start, end], one) for one in ends)
    assert all(lower[2] < upper[1] for upper, lower in itertools.pairwise(drawn))


def test_a_composite_model_branches_after_the_code():
    ax = ModelDiagramDisplay(COMPOSITE).plot().ax_
    drawn = boxes(ax)
    code, left, right = drawn[2], drawn[3], drawn[5]
    assert left[0] == -right[0] < 0
    assert left[1:] == right[1:]
    assert drawn[4][0] == left[0]
    assert drawn[6][0] == right[0]
    branches = [points for points, _ in arrows(ax) if len(points) == 4]
    for points, box in zip(branches, (left, right), strict=True):
        assert points[0] == pytest.approx([code[0], code[1]])
        assert points[-1] == pytest.approx([box[0], box[2]])
    left_panel, right_panel = panels(ax)[1:]
    assert left_panel.get_x() + left_panel.get_width() < right_panel.get_x()


def test_a_decoder_that_reads_the_input_gets_a_dashed_arrow_around_the_encoder():
    plain = ModelDiagramDisplay(COMPOSITE).plot().ax_
    assert not any(dashed for _, dashed in arrows(plain))
    summary = Summary("Model", COMPOSITE.rows, reads_input=("forecast",))
    ax = ModelDiagramDisplay(summary).plot().ax_
    ((points, _),) = [arrow for arrow in arrows(ax) if arrow[1]]
    drawn = boxes(ax)
    assert points[0][1] == pytest.approx((drawn[0][1] + drawn[0][2]) / 2)
    assert points[-1][1] == pytest.approx((drawn[5][1] + drawn[5][2]) / 2)
    lane = points[1][0]
    assert lane == points[2][0]
    assert all(panel.get_x() + panel.get_width() < lane for panel in panels(ax))
    assert lane < ax.get_xlim()[1]


@pytest.mark.parametrize(
    "summary",
    [
        SIMPLE,
        COMPOSITE,
        Summary("A", COMPOSITE.rows, ("reconstruction", "forecast")),
        Summary("A model of a very long name indeed, longer than its boxes", TRUNK[:1]),
        Summary("A", (*TRUNK, Row("dense", "Dense 1", ("N", 1), 1, "a_decoder_of_a_long_name"))),
    ],
)
def test_all_that_is_drawn_is_inside_of_the_figure_and_texts_do_not_touch(summary):
    display = ModelDiagramDisplay(summary).plot()
    figure = display.figure_
    figure.canvas.draw()
    extents = [text.get_window_extent() for text in display.ax_.texts]
    for patch in display.ax_.patches:
        extent = patch.get_window_extent()
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1 + 1e-6
        assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1 + 1e-6
    for i, one in enumerate(extents):
        assert figure.bbox.x0 <= one.x0
        assert one.x1 <= figure.bbox.x1
        assert not any(one.overlaps(other) for other in extents[i + 1 :])


def test_a_long_name_of_a_part_stays_left_of_the_arrow():
    row = Row("dense", "Dense 1", ("N", 1), 1, "a_decoder_of_a_long_name")
    display = ModelDiagramDisplay(Summary("A", (*TRUNK, row))).plot()
    display.figure_.canvas.draw()
    (title,) = [text for text in display.ax_.texts if text.get_text() == row.part]
    middle = display.ax_.transData.transform((0, 0))[0]
    assert title.get_window_extent().x1 < middle


def test_layers_that_do_not_run_are_left_out():
    idle = Row("log_variance", "Dense 5", (), 30, "encoder")
    summary = Summary("Model", (*TRUNK[:2], idle, TRUNK[2]))
    ax = ModelDiagramDisplay(summary).plot().ax_
    assert "log_variance" not in texts(ax)
    assert texts(ax)[0] == "Model · 40,830 parameters"


def test_from_estimator_draws_the_rows_of_its_summary():
    display = ModelDiagramDisplay.from_estimator(LSTMEncoder(2, 5), steps=7)
    assert display.summary.rows[0].output_shape == ("N", 7, 2)
    assert texts(display.ax_)[2] == "(N, 7, 2)"
    model = nn.Sequential(nn.Conv1d(1, 4, 3), nn.MaxPool1d(2))
    display = ModelDiagramDisplay.from_estimator(model, input_shape=(1, 12))
    assert texts(display.ax_)[-4:] == ["maxpool1d", "(N, 4, 5)", "MaxPool1D 2", ""]


def test_in_given_axes_the_diagram_shrinks_and_opens_no_figure():
    figure, axes = plt.subplots(1, 2, figsize=(4, 3))
    display = ModelDiagramDisplay(COMPOSITE).plot(axes[0])
    assert display.ax_ is axes[0]
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()
    inside = axes[0].get_window_extent()
    for text in axes[0].texts:
        extent = text.get_window_extent()
        assert inside.x0 - 1 <= extent.x0 < extent.x1 <= inside.x1 + 1 or not text.get_text()
    large = ModelDiagramDisplay(COMPOSITE).plot().ax_.texts[0].get_fontsize()
    assert axes[0].texts[0].get_fontsize() < large / 2


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_diagram_can_be_saved(ending):
    file = io.BytesIO()
    ModelDiagramDisplay(COMPOSITE).plot().figure_.savefig(file, format=ending)
    assert file.tell() > 5000
