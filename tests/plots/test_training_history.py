import matplotlib.pyplot as plt
import pytest
from sklearn.exceptions import NotFittedError

from unspool.errors import InputError
from unspool.plots import TrainingHistoryDisplay

HISTORY = {"loss": [0.9, 0.5, 0.4, 0.3], "val_loss": [1.0, 0.6, 0.5, 0.55]}


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_each_loss_is_a_curve_over_epochs_from_one():
    ax = TrainingHistoryDisplay(HISTORY).plot().ax_
    training, validation = ax.get_lines()
    assert training.get_xdata().tolist() == validation.get_xdata().tolist() == [1, 2, 3, 4]
    assert training.get_ydata().tolist() == HISTORY["loss"]
    assert validation.get_ydata().tolist() == HISTORY["val_loss"]
    assert labels_of(ax) == ["training", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    assert ax.get_title() == "Training history"


def test_without_validation_there_is_one_curve():
    ax = TrainingHistoryDisplay({"loss": [0.9, 0.5]}).plot().ax_
    assert labels_of(ax) == ["training"]


def test_a_single_epoch_is_a_visible_point():
    ax = TrainingHistoryDisplay({"loss": [0.9]}).plot().ax_
    (line,) = ax.get_lines()
    assert line.get_marker() == "o"
    left, right = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if left <= tick <= right] == [1]


@pytest.mark.parametrize(
    ("history", "curve", "value"),
    [(HISTORY, "val_loss", "0.5"), ({"loss": HISTORY["loss"]}, "loss", "0.4")],
)
def test_the_best_epoch_is_marked_on_the_curve_that_chose_it(history, curve, value):
    ax = TrainingHistoryDisplay(history, best_epoch=2).plot().ax_
    vertical, point = ax.get_lines()[-2:]
    assert vertical.get_xdata() == [3, 3]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (3, history[curve][2])
    assert labels_of(ax)[-1] == f"best epoch: 3 (loss {value})"


@pytest.mark.parametrize(
    ("loss", "val_loss", "scale"),
    [
        ([1.0, 0.11], [1.0, 0.2], "linear"),
        ([1.0, 0.09], [1.0, 0.2], "log"),
        ([1.0, 0.5], [0.9, 0.05], "log"),
        ([1.0, float("nan")], [0.9, 0.05], "log"),
        ([1.0, 0.0], [0.9, 0.05], "linear"),
        ([-1.0, -0.01], [-0.9, -0.5], "linear"),
    ],
)
def test_losses_that_span_more_than_a_decade_get_a_logarithmic_axis(loss, val_loss, scale):
    display = TrainingHistoryDisplay({"loss": loss, "val_loss": val_loss}).plot()
    assert display.ax_.get_yscale() == scale


def test_from_estimator_reads_its_history(autoencoder):
    autoencoder.history_["best_epoch"] = 1
    display = TrainingHistoryDisplay.from_estimator(autoencoder, color="black")
    assert display.history is autoencoder.history_
    assert display.best_epoch == 1
    assert display.ax_.get_lines()[0].get_color() == "black"


def test_drawing_onto_given_axes_opens_no_figure():
    figure, ax = plt.subplots()
    display = TrainingHistoryDisplay(HISTORY).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]


def test_every_plot_without_axes_opens_one_figure():
    display = TrainingHistoryDisplay(HISTORY)
    first, second = display.plot().figure_, display.plot().figure_
    assert plt.get_fignums() == [first.number, second.number]


@pytest.mark.parametrize(
    ("history", "best_epoch", "message"),
    [
        (
            {"val_loss": [1.0]},
            None,
            "Expected a history with the loss of at least one epoch under 'loss', got "
            "{'val_loss': [1.0]}.",
        ),
        (
            {"loss": []},
            None,
            "Expected a history with the loss of at least one epoch under 'loss', got "
            "{'loss': []}.",
        ),
        (
            {"loss": [1.0, 0.5], "val_loss": [1.0]},
            None,
            "Expected 'val_loss' of 2 epochs like 'loss', got 1.",
        ),
        (
            {"loss": [1.0, 0.5]},
            2,
            "Expected `best_epoch` from 0 to 1 (epochs count from 0), got 2.",
        ),
        (
            {"loss": [1.0, 0.5]},
            -1,
            "Expected `best_epoch` from 0 to 1 (epochs count from 0), got -1.",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(history, best_epoch, message):
    with pytest.raises(InputError) as caught:
        TrainingHistoryDisplay(history, best_epoch)
    assert str(caught.value) == message


def test_an_estimator_that_is_not_fitted_is_refused(unfitted):
    with pytest.raises(NotFittedError) as caught:
        TrainingHistoryDisplay.from_estimator(unfitted)
    assert str(caught.value) == (
        "This FakeAutoencoder instance is not fitted yet. Call 'fit' with appropriate arguments "
        "before using this estimator."
    )
    assert plt.get_fignums() == []
