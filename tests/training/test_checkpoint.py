"""When checkpoints are written, and what happens if they cannot be."""

import logging
import math
import os
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.full_disk import FULL, full_disk
from tests.killed import KilledError, differences, fitted_with_kills, killed_after
from tests.training.one_number import Number, sgd
from unspool import LSTMAutoencoder
from unspool.errors import CheckpointWarning, DivergedError, ModelFileError
from unspool.training import checkpoint
from unspool.training.checkpoint import CheckpointFile
from unspool.training.divergence import DivergenceRecovery
from unspool.training.loop import Training

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs

X = np.random.default_rng(0).normal(size=(24, 8, 2)).cumsum(1)
MODEL = {"latent_dim": 3, "units": 4, "batch_size": 6, "epochs": 3, "random_state": 0}


def fit(checkpoint=None, checkpoint_every="1min", **parameters):
    model = LSTMAutoencoder(**{**MODEL, "verbose": 0, **parameters})
    return model.fit(X, checkpoint=checkpoint, checkpoint_every=checkpoint_every)


def messages(warned):
    return [str(one.message) for one in warned if one.category is CheckpointWarning]


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by the test."""
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    return now


def test_a_checkpoint_is_due_after_some_batches(tmp_path):
    file = CheckpointFile(tmp_path / "file", "Model", {}, steps=3)
    assert [file.due() for _ in range(7)] == [False, False, True, False, False, True, False]


def test_a_checkpoint_is_due_after_some_time(tmp_path, clock):
    file = CheckpointFile(tmp_path / "file", "Model", {}, seconds=60)
    due = []
    for now in (1, 59, 60, 70):
        clock[0] = now
        due.append(file.due())
    assert due == [False, False, True, True]
    file.write()
    assert not file.due()
    clock[0] = 130
    assert file.due()


def test_slow_writes_are_rarer(tmp_path, clock, monkeypatch):
    def slow(*_):
        clock[0] += 3

    monkeypatch.setattr(checkpoint, "write_checkpoint", slow)
    file = CheckpointFile(tmp_path / "file", "Model", {}, seconds=60)
    clock[0] = 100
    file.write()
    clock[0] = 103 + 299
    assert not file.due()
    clock[0] = 103 + 300
    assert file.due()


def test_one_is_written_at_the_end_of_a_training_and_of_the_fit(tmp_path):
    finished = []
    with patch.object(
        checkpoint, "write_checkpoint", lambda _, facts, *__: finished.append(facts["finished"])
    ):
        fit(checkpoint=tmp_path / "file")
    assert finished == [False, True]


def test_a_result_that_is_refused_is_not_written_as_the_end(tmp_path, monkeypatch):
    path = tmp_path / "file"

    def refuse(training):
        raise DivergedError

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_check_result", refuse)
        with pytest.raises(DivergedError):
            fit(checkpoint=path, checkpoint_every=5)
        with pytest.raises(DivergedError), killed_after(0) as batches:
            fit(checkpoint=path, checkpoint_every=5)
    assert len(batches) == 2  # of 12, of which ten were written
    assert not differences(fit(), fit(checkpoint=path))


def test_the_last_batch_is_known_after_all_batches_were_done_before(tmp_path, monkeypatch):
    path, last = tmp_path / "file", []
    check = Training._check_result

    def note(training):
        last.append(training.last.x.numpy().tobytes())
        check(training)

    monkeypatch.setattr(Training, "_check_result", note)
    with patch.object(Training, "_validate", side_effect=KilledError), pytest.raises(KilledError):
        fit(checkpoint=path, checkpoint_every=4, validation_split=0.0, epochs=1)
    fit(checkpoint=path, validation_split=0.0, epochs=1)
    fit(validation_split=0.0, epochs=1)
    assert last[0] == last[1]


def test_a_full_disk_does_not_end_training_and_is_warned_of_once(tmp_path):
    path = tmp_path / "file"
    with killed_after(4), pytest.raises(KilledError):
        fit(checkpoint=path, checkpoint_every=1)
    good = path.read_bytes()
    with full_disk(), pytest.warns(CheckpointWarning) as warned:
        model = fit(checkpoint=path, checkpoint_every=1)
    assert messages(warned) == [
        f"A checkpoint could not be written, and training goes on without it: {path}: {FULL}"
    ]
    assert path.read_bytes() == good
    assert os.listdir(tmp_path) == ["file"]
    assert not differences(fit(), model)
    assert not differences(fit(), fit(checkpoint=path))


def test_a_disk_that_has_room_again_gets_a_checkpoint(tmp_path):
    path, real, count = tmp_path / "file", checkpoint.write_checkpoint, []

    def write(*arguments):
        count.append(1)
        if len(count) < 4:
            with full_disk():
                real(*arguments)
        real(*arguments)

    with (
        patch.object(checkpoint, "write_checkpoint", write),
        pytest.warns(CheckpointWarning),
        killed_after(7),
        pytest.raises(KilledError),
    ):
        fit(checkpoint=path, checkpoint_every=1)
    assert not differences(fit(), fit(checkpoint=path))


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_kill_within_a_write_leaves_the_checkpoint_before(where, number, tmp_path):
    path, calls = tmp_path / "file", []

    def killing(real):
        def call(*arguments):
            calls.append(1)
            if len(calls) == number:
                raise KilledError
            return real(*arguments)

        return call

    owner = os if where == "fsync" else Path
    with patch.object(owner, where, killing(getattr(owner, where))), pytest.raises(KilledError):
        fit(checkpoint=path, checkpoint_every=1)
    assert path.exists() == (number > 1)
    assert not differences(fit(), fit(checkpoint=path))


def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path):
    path = tmp_path / "file"
    fit(checkpoint=path)
    damaged = path.read_bytes()[:-1]
    path.write_bytes(damaged)
    with pytest.raises(
        ModelFileError, match=r"The checkpoint cannot be used\. .* remove a damaged"
    ):
        fit(checkpoint=path)
    assert path.read_bytes() == damaged


def test_other_versions_of_packages_are_warned_of(tmp_path, monkeypatch):
    path = tmp_path / "file"
    with killed_after(5), pytest.raises(KilledError):
        fit(checkpoint=path, checkpoint_every=1)
    monkeypatch.setattr(torch, "__version__", "99")
    with pytest.warns(CheckpointWarning) as warned:
        fit(checkpoint=path)
    version = torch.version.__version__
    assert messages(warned) == [
        f"{path} was written with torch {version} and is continued with 99; the result may differ "
        "from that of an uninterrupted fit."
    ]


def test_where_training_continues_is_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, "unspool.training")
    path = tmp_path / "file"
    fitted_with_kills(fit, path, [8])
    fit(checkpoint=path)
    assert [one.message for one in caplog.records if str(path) in one.message] == [
        f"continuing from epoch 2 of 3 ({path})",
        f"{path}: this fit has ended before, and nothing was trained",
    ]


def test_a_state_of_other_layers_is_refused(tmp_path):
    path = tmp_path / "file"
    fit(checkpoint=path)
    file = CheckpointFile(path, "LSTMAutoencoder", {}, steps=1)
    del file.stages[""]["model"]["encoder.projection.bias"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        file.write()
        file.lock.release()
        with pytest.raises(ModelFileError) as refused:
            fit(checkpoint=path)
    assert str(refused.value) == (
        "The checkpoint does not fit the model: its weights differ in 'encoder.projection.bias'; "
        "remove the checkpoint to start anew."
    )


def test_recoveries_from_divergence_continue():
    model = Number(1.0)
    recovery = DivergenceRecovery(model, sgd(model))
    with torch.no_grad():
        model.value.fill_(2.0)
    recovery.keep()
    recovery.reference_losses, recovery.attempts = {"loss": math.inf}, 1
    recovery.recoveries_left = 3
    kept = checkpoint.as_arrays(recovery.state())
    other = DivergenceRecovery(Number(1.0), sgd(model))
    other.load_state(kept)
    assert other.last[0]["value"] == 2.0
    assert other.initial[0]["value"] == 1.0
    found = other.reference_losses, other.attempts, other.recoveries_left
    assert found == ({"loss": math.inf}, 1, 3)
