"""Two fits do not use one checkpoint at a time; a process that ends gives it back."""

import os
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from tests.signals import SignalInEpoch, fresh_signals  # noqa: F401
from unspool import AnomalyDetector, DenseAutoencoder, EncoderClassifier
from unspool.errors import InputError, ModelFileError
from unspool.estimators.function_code import code_checksum
from unspool.training import checkpoint as checkpoints
from unspool.training.lock import Lock

fcntl = pytest.importorskip("fcntl")
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

X = np.random.default_rng(0).normal(size=(24, 8))
QUICK = {"epochs": 3, "batch_size": 6, "random_state": 0, "verbose": 0}
# Another process that trains until it is told to stop.
HOLD = """
import sys
from pathlib import Path
from unspool.training.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.readline()
"""


def dense(**more):
    return DenseAutoencoder(3, **{"hidden_units": (5,), **QUICK, **more})


@pytest.fixture
def other(tmp_path):
    """Another process that uses the checkpoint "fit" in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "fit")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_checkpoint_that_another_process_uses_is_refused(other, tmp_path):
    path = tmp_path / "fit"
    with pytest.raises(InputError) as error:
        dense().fit(X, checkpoint=path)
    assert str(error.value) == (
        f"{path} is in use by another fit (process {other.pid} on {os.uname().nodename}), which "
        "has not ended; wait for it, or give another `checkpoint`."
    )
    dense().fit(X, checkpoint=tmp_path / "another")


def test_a_process_that_is_killed_gives_the_checkpoint_back(other, tmp_path):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / ".fit.lock").exists()
    dense().fit(X, checkpoint=tmp_path / "fit")
    assert os.listdir(tmp_path) == ["fit"]


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """As by the process that had the lock, after its file was opened here."""
    files = [tmp_path / ".fit.lock"]
    flock = fcntl.flock

    def late(descriptor, how):
        if files:
            files.pop().unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    lock = Lock(tmp_path / "fit")
    with pytest.raises(InputError, match="is in use by another fit"):
        Lock(tmp_path / "fit")
    lock.release()


def test_the_file_that_a_killed_process_left_names_the_new_one(tmp_path):
    (tmp_path / ".fit.lock").write_text("process 1234567 on " + 40 * "x")
    lock = Lock(tmp_path / "fit")
    with pytest.raises(InputError, match=rf"\(process {os.getpid()} on {os.uname().nodename}\)"):
        Lock(tmp_path / "fit")
    lock.release()
    assert not list(tmp_path.iterdir())


def test_a_process_that_is_forked_leaves_the_lock_to_its_parent(tmp_path, monkeypatch):
    lock = Lock(tmp_path / "fit")
    child = Lock(tmp_path / "other")
    child._descriptor, descriptor = os.dup(lock._descriptor), child._descriptor
    child.path = lock.path
    os.close(descriptor)
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        child.release()
    with pytest.raises(InputError, match="is in use by another fit"):
        Lock(tmp_path / "fit")
    lock.release()


def test_a_damaged_checkpoint_is_not_held_while_its_error_is_kept(tmp_path):
    (tmp_path / "fit").write_text("damaged")
    with pytest.raises(ModelFileError) as error:
        dense().fit(X, checkpoint=tmp_path / "fit")
    (tmp_path / "fit").unlink()
    dense().fit(X, checkpoint=tmp_path / "fit")
    assert error.tb is not None


def test_a_fit_inside_a_fit_cannot_use_its_checkpoint(tmp_path):
    refused = []

    def inner(model, history):
        with pytest.raises(InputError, match=f"in use by another fit .process {os.getpid()} on "):
            dense().fit(X, checkpoint=tmp_path / "fit")
        refused.append(True)

    model = dense().fit(X, checkpoint=tmp_path / "fit", callbacks=[inner])
    assert len(refused) == 3
    assert os.listdir(tmp_path) == ["fit"]
    assert dense().fit(X, checkpoint=tmp_path / "fit").history_ == model.history_


@pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
def test_every_estimator_gives_its_checkpoint_back_also_after_an_error(tmp_path):
    series = np.sin(np.arange(300.0) / 5)[:, None]
    fits = {
        "model": lambda **more: dense().fit(X, **more),
        "classifier": lambda **more: EncoderClassifier(dense(), **QUICK).fit(
            X, np.arange(24) % 2, **more
        ),
        "detector": lambda **more: AnomalyDetector(dense(), window=8, random_state=0).fit(
            series, **more
        ),
    }

    def stop(model, history):
        raise ZeroDivisionError

    for name, fit in fits.items():
        with pytest.raises(ZeroDivisionError):
            fit(checkpoint=tmp_path / name, callbacks=[stop])
        fit(checkpoint=tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == sorted(fits)
    (tmp_path / "model").write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(ModelFileError, match="The checkpoint cannot be used"):
            fits["model"](checkpoint=tmp_path / "model")
    assert ".model.lock" not in os.listdir(tmp_path)


@pytest.mark.usefixtures("fresh_signals")
@pytest.mark.filterwarnings("ignore::unspool.errors.InterruptedWarning")
def test_an_interruption_writes_the_checkpoint_once(tmp_path, monkeypatch):
    written = []
    write = checkpoints.write_checkpoint

    def counted(*given):
        written.append(given)
        write(*given)

    monkeypatch.setattr(checkpoints, "write_checkpoint", counted)
    model = dense().fit(X, checkpoint=tmp_path / "fit", callbacks=[SignalInEpoch(2)])
    assert model.interrupted_
    assert len(written) == 1
    whole = dense().fit(X)
    assert dense().fit(X, checkpoint=tmp_path / "fit").history_ == whole.history_


def squares(power):
    """A loss function with a value of the function around it."""

    def loss(prediction, target):
        return (prediction - target).abs() ** power

    return loss


def test_a_loss_function_of_the_same_name_that_computes_something_else_is_refused(tmp_path):
    def loss(prediction, target):
        # comments do not matter
        return (prediction - target) ** 2

    dense(loss=loss).fit(X, checkpoint=tmp_path / "fit")
    dense(loss=loss, epochs=4).fit(X, checkpoint=tmp_path / "fit")

    def loss(prediction, target):
        return (prediction - target) ** 2

    dense(loss=loss, epochs=4).fit(X, checkpoint=tmp_path / "fit")

    def loss(prediction, target):
        return (prediction - target) ** 2 / 2

    with pytest.raises(InputError, match=r"`loss` was .*loss \(code .*and is .*\(code "):
        dense(loss=loss, epochs=4).fit(X, checkpoint=tmp_path / "fit")
    dense(loss=squares(2.0)).fit(X, checkpoint=tmp_path / "powers")
    dense(loss=squares(2.0), epochs=4).fit(X, checkpoint=tmp_path / "powers")
    with pytest.raises(InputError, match="`loss` was "):
        dense(loss=squares(2.5), epochs=4).fit(X, checkpoint=tmp_path / "powers")


class Powers:
    """A loss as an object, which refers to itself."""

    def __init__(self, power):
        self.powers = {"all": [np.array([power])], "this": self}

    def __call__(self, prediction, target):
        return (prediction - target).abs() ** float(self.powers["all"][0])


@pytest.mark.parametrize(
    "made",
    [
        lambda power: squares(np.float32(power)),
        lambda power: squares(torch.tensor(power)),
        lambda power: squares({power}),
        lambda power: partial(squares, power=[power]),
        Powers,
    ],
    ids=["NumPy", "PyTorch", "set", "partial", "object"],
)
def test_the_checksum_of_a_function_depends_on_the_values_in_it(made):
    assert code_checksum(made(2.0)) == code_checksum(made(2.0))
    assert code_checksum(made(2.0)) != code_checksum(made(3.0))


def test_the_checksum_of_a_value_that_contains_itself_is_computed():
    without_end = [1.0]
    without_end.append(without_end)
    assert code_checksum(squares(without_end)) == code_checksum(squares(without_end))


def test_a_training_inside_a_fit_keeps_the_checkpoint_for_the_rest(tmp_path):
    refused = []

    def second(model, history):
        with pytest.raises(InputError, match="is in use by another fit"):
            Lock(tmp_path / "fit")
        refused.append(True)

    labels = np.arange(24) % 2
    EncoderClassifier(dense(), **QUICK).fit(
        X, labels, checkpoint=tmp_path / "fit", callbacks=[second]
    )
    assert refused
