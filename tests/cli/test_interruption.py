"""Ctrl-C and SIGTERM: what a command that trains writes, says and returns."""

import os
import signal
import subprocess
import sys

import pytest

from tests.signals import SignalInEpoch, fresh_signals  # noqa: F401
from unspool import load
from unspool.estimators import fit_arguments
from unspool.model_file import read

pytestmark = pytest.mark.usefixtures("fresh_signals")

FIT = ["--epochs", 3, "--latent-dim", 3, "--seed", 0, "--quiet", "--set", "units=4"]


@pytest.fixture
def send(monkeypatch):
    """Send signals in an epoch of the trainings of commands."""

    def at(epoch, *numbers):
        callbacks = fit_arguments.read_callbacks([SignalInEpoch(epoch, *numbers)])
        monkeypatch.setattr(fit_arguments, "read_callbacks", lambda _: callbacks)

    return at


def last_line(result):
    return result.err.splitlines()[-1].rstrip()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_fit_writes_the_best_weights_so_far_and_says_how_to_go_on(
    run, send, heartbeats, tmp_path, number, code
):
    path = tmp_path / "beats.unspool"
    send(3, number)
    done = run("fit", heartbeats, "-o", path, *FIT)
    assert done.code == code
    assert (
        f"training was interrupted after 2 of 3 epochs; {path} has the best weights so far, and "
        f"--initial {path} goes on from them\n"
    ) in done.err
    assert "warning" not in done.err
    assert len(load(path).history_["loss"]) == 2


def test_the_model_of_an_interrupted_fit_is_a_start(run, send, heartbeats, tmp_path):
    path, more = tmp_path / "beats.unspool", tmp_path / "more.unspool"
    send(2)
    assert run("fit", heartbeats, "-o", path, *FIT).code == 130
    assert run("fit", heartbeats, "--initial", path, "-o", more, "--quiet").code == 0
    assert load(more).history_["loss"][0] < load(path).history_["loss"][0]


@pytest.mark.parametrize("signals", [(1, [signal.SIGINT]), (2, [signal.SIGINT] * 2)])
def test_fit_writes_nothing_without_a_usable_model(run, send, heartbeats, tmp_path, signals):
    path = tmp_path / "beats.unspool"
    path.write_text("an older file")
    epoch, numbers = signals
    send(epoch, *numbers)
    done = run("fit", heartbeats, "-o", path, *FIT)
    assert (done.code, last_line(done)) == (130, "unspool: interrupted")
    assert path.read_text() == "an older file"
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name, heartbeats.name]


def test_detect_writes_the_detector_with_save(run, send, machine, tmp_path, tiny):
    path, events = tmp_path / "machine.unspool", tmp_path / "events.csv"
    send(2)
    done = run("detect", machine, "--save", path, "-o", events, *tiny)
    assert done.code == 130
    assert last_line(done) == (
        f"training was interrupted after 1 of 2 epochs; {path} holds a detector with the best "
        "weights so far, and no data were scored"
    )
    assert not events.exists()
    assert read(path).detector is not None
    assert run("detect", machine, "--model", path, "-o", events, "--quiet").code == 0


def test_detect_without_save_ends_at_once(run, send, machine, tmp_path, tiny):
    events = tmp_path / "events.csv"
    send(2)
    done = run("detect", machine, "-o", events, *tiny)
    assert (done.code, last_line(done)) == (130, "unspool: interrupted")
    assert not events.exists()


def test_detect_follow_with_save_writes_the_detector(run, send, machine, tmp_path, tiny):
    path = tmp_path / "machine.unspool"
    send(2)
    done = run("detect", machine, "--follow", "--normal", machine, "--save", path, *tiny)
    assert done.code == 130
    assert done.out == ""
    assert read(path).detector is not None


def test_a_demo_ends_at_once(run, send, tmp_path):
    send(2)
    done = run("demo", "ramp_composite", "-o", tmp_path / "demo", "--epochs", 3)
    assert (done.code, last_line(done)) == (130, "unspool: interrupted")


@pytest.mark.parametrize(
    ("number", "times", "code"),
    [("SIGINT", 2, 130), pytest.param("SIGTERM", 1, 143, marks=pytest.mark.slow)],
)
def test_a_process_of_its_own_ends_with_the_code_and_without_a_traceback(
    heartbeats, tmp_path, number, times, code
):
    path = tmp_path / "beats.unspool"
    program = f"""
import os, signal
from unspool.cli import main
from unspool.training.callbacks import KeepBest

def send(self, step, steps=[0]):
    steps[0] += 1
    if steps[0] == 2:
        for _ in range({times}):
            os.kill(os.getpid(), signal.{number})

KeepBest.on_batch_end = send
main({[str(one) for one in ("fit", heartbeats, "-o", path, *FIT)]!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert path.exists() == (times == 1)
    if times == 1:
        assert "training was interrupted" in done.stderr
    else:
        assert done.stderr.endswith("1 feature)\nunspool: interrupted\n")
