"""What a fit shows: a bar in a terminal or a notebook, or one line for each epoch."""

import io
import re
import sys
import types

import numpy as np
import pytest

from tests.training.one_number import Number, batches, sgd
from unspool import DenseAutoencoder
from unspool.training import progress as progress_module
from unspool.training.callbacks import Step
from unspool.training.loop import train
from unspool.training.pace import Pace
from unspool.training.progress import (
    EpochLines,
    NotebookBar,
    ProgressBar,
    epoch_line,
    pace_of,
    progress,
)

LINE = re.compile(
    r"Epoch (\d+)/3 - \d+\.\d+s - [\d,]+ sequences/s - \d:\d\d:\d\d left"
    r" - loss: \d+\.\d{4}( - val_loss: \d+\.\d{4})?"
    r" - learning_rate: \d\.\de-\d+"
)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"loss": 0.12344, "val_loss": 0.23456}, "loss: 0.1234 - val_loss: 0.2346"),
        ({"loss": 1e-3, "learning_rate": 1e-3}, "loss: 1.0000e-3 - learning_rate: 1.0e-3"),
        ({"loss": 123456.0, "accuracy": 0.5}, "loss: 123456.0000 - accuracy: 0.5000"),
        ({"loss": float("nan"), "learning_rate": 2.5e-12}, "loss: nan - learning_rate: 2.5e-12"),
    ],
)
def test_a_line_has_the_form_of_keras(values, text):
    assert epoch_line("3/20", 1.234, values) == f"Epoch 3/20 - 1.2s - {text}"


def test_the_throughput_and_the_time_left_are_before_the_losses():
    line = epoch_line("3/20", 1.234, {"loss": 0.5}, ["810 sequences/s", "0:00:20 left"])
    assert line == "Epoch 3/20 - 1.2s - 810 sequences/s - 0:00:20 left - loss: 0.5000"


def test_the_pace_is_that_of_the_epoch_and_the_time_left_that_of_all_batches():
    now = [100.0]
    pace = Pace(4, 10, clock=lambda: now[0])
    assert (pace.throughput, pace.left) == ("", "")
    for epoch in (1, 2):
        pace.begin_epoch()
        for _ in range(10):
            now[0] += epoch  # the second epoch is slower
            pace.step(Step(32, 320))
        assert pace.throughput == ("32 sequences/s", "16 sequences/s")[epoch - 1]
        now[0] += 5  # validation
        assert pace.throughput == ("32 sequences/s", "16 sequences/s")[epoch - 1]
        pace.end_epoch(epoch)
    assert pace.left == "0:00:40 left"  # 40 s for 20 batches, 20 batches more
    pace.begin_epoch()
    now[0] += 2
    pace.step(Step(32, 320))
    assert pace.left == "0:00:38 left"


def test_epochs_before_the_beginning_are_not_left():
    now = [0.0]
    pace = Pace(10, 2, clock=lambda: now[0])
    pace.begin_epoch()
    for _ in range(2):
        now[0] += 3
        pace.step(Step(1, 1))
    pace.end_epoch(8)  # seven epochs were trained earlier
    assert pace.left == "0:00:12 left"


def test_a_long_epoch_has_lines_with_its_batches(capsys):
    now = [0.0]
    lines = EpochLines()
    lines.on_train_begin(None, 2, 9000)
    lines.pace = Pace(2, 9000, clock=lambda: now[0])
    lines.on_epoch_begin(None)
    for _ in range(130):
        now[0] += 1
        lines.on_batch_end(Step(8, 8))
    assert capsys.readouterr().err.splitlines() == [
        "Epoch 1/2 - 60.0s - batch 60/9000 - 8 sequences/s - 4:59:00 left",
        "Epoch 1/2 - 120.0s - batch 120/9000 - 8 sequences/s - 4:58:00 left",
    ]


@pytest.mark.parametrize("seconds", [progress_module.LONG_EPOCH - 1, progress_module.LONG_EPOCH])
def test_bars_show_the_batches_of_long_epochs(seconds):
    now = [0.0]
    pace = Pace(2, 100, clock=lambda: now[0])
    pace.begin_epoch()
    now[0] += seconds
    pace.step(Step(40, 40))
    long = "batch 1/100  " if seconds == progress_module.LONG_EPOCH else ""
    rate = f"{40 / seconds:,.0f} sequences/s"
    assert pace_of(pace).startswith(f"{long}{rate}  0:")


def test_verbose_selects_what_is_shown(monkeypatch):
    kinds = [[type(one) for one in progress(verbose)] for verbose in (0, 1, 2, 3)]
    assert kinds == [[], [ProgressBar], [EpochLines], [EpochLines]]
    monkeypatch.setattr(progress_module, "in_notebook", lambda: True)
    assert [type(one) for one in progress(1)] == [NotebookBar]
    assert [type(one) for one in progress(2)] == [EpochLines]
    assert [[type(one) for one in progress(v, 7)] for v in (0, 1, 2)] == [[], [], [EpochLines]]


@pytest.mark.parametrize("shell", ["ZMQInteractiveShell", "TerminalInteractiveShell", None])
def test_a_notebook_is_recognised_by_its_shell(monkeypatch, shell):
    if shell is None:
        monkeypatch.delitem(sys.modules, "IPython", raising=False)
    else:
        running = type(shell, (), {})()
        fake = types.SimpleNamespace(get_ipython=lambda: running)
        monkeypatch.setitem(sys.modules, "IPython", fake)
    assert progress_module.in_notebook() == (shell == "ZMQInteractiveShell")


def run(callback, epochs=3, validated=True):
    model = Number()
    return train(
        model, model.objective, batches([[1, 1], [2, 2], [3, 3]]), optimizer=sgd(model),
        epochs=epochs, validation=batches([[1, 1]]) if validated else None, callbacks=[callback],
    )  # fmt: skip


@pytest.mark.parametrize("validated", [True, False])
def test_each_epoch_is_a_line_without_carriage_returns(capsys, validated):
    history = run(EpochLines(), validated=validated)
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    lines = err.splitlines()
    assert [LINE.fullmatch(line)[1] for line in lines] == ["1", "2", "3"]
    assert all(("val_loss" in line) == validated for line in lines)
    assert f"loss: {history.loss[1]:.4f}" in lines[1]


def test_lines_of_partial_fit_count_on(capsys):
    run(EpochLines(4), epochs=1)
    assert capsys.readouterr().err.startswith("Epoch 5 - ")


def test_the_bar_of_a_notebook_is_written_over_itself(monkeypatch):
    monkeypatch.setattr(progress_module, "MIN_SECONDS", 0)
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    run(NotebookBar())
    text = stdout.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    shown = text[:-1].split("\r")
    assert shown[0] == ""
    assert shown[1].startswith("epoch 0/3")
    assert "val_loss" in shown[-1]
    assert "epoch 3/3 " + "━" * progress_module.BAR_WIDTH in shown[-1]
    widths = [len(one) for one in shown[1:]]
    assert widths == sorted(widths)  # each covers the one before


def test_the_bar_of_a_notebook_is_not_updated_more_often_than_is_seen(monkeypatch):
    monkeypatch.setattr(progress_module, "MIN_SECONDS", 1000)
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    run(NotebookBar())
    assert stdout.getvalue().count("\r") == 2  # the first and the last state


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
def test_verbose_2_of_an_estimator_prints_lines(capsys):
    X = np.random.default_rng(0).normal(size=(40, 6))
    model = DenseAutoencoder(2, epochs=3, validation_split=0.2, random_state=0, verbose=2).fit(X)
    lines = capsys.readouterr().err.splitlines()
    assert [LINE.fullmatch(line)[1] for line in lines] == ["1", "2", "3"]
    model.partial_fit(X)
    assert capsys.readouterr().err.startswith("Epoch 4 - ")
    model.set_params(verbose=0).fit(X)
    assert capsys.readouterr().err == ""
