"""`unspool fit --checkpoint` and `detect --checkpoint` continue, and say from where."""

import json
import signal

import pytest

from tests.killed import KilledError, killed_after
from tests.signals import SignalInEpoch, fresh_signals  # noqa: F401
from unspool.estimators import fit_arguments
from unspool.model_file import read
from unspool.model_file.checkpoint_file import read_checkpoint

pytestmark = pytest.mark.usefixtures("fresh_signals")

FIT = ["--window", 8, "--stride", 2, "--latent-dim", 3, "--quiet", "--set", "units=4"]
FIT += ["--batch-size", 8]


@pytest.fixture
def fit(run, series, tmp_path):
    """Run `unspool fit` with a checkpoint, in a folder with the model and the checkpoint."""

    def call(*more, model="model", checkpoint="fit.checkpoint"):
        return run(
            "fit", series, "-o", tmp_path / model, "--checkpoint", tmp_path / checkpoint, *FIT,
            *more,
        )  # fmt: skip

    return call


def weights(path):
    return {name: one.tobytes() for name, one in read(path).tensors.items()}


def test_the_same_command_continues_after_a_kill_and_ends_in_the_same_model(fit, tmp_path):
    seed = ["--seed", 3, "--epochs", 4]
    whole = fit(*seed, model="whole", checkpoint="other.checkpoint")
    assert "continuing" not in whole.err
    with killed_after(10), pytest.raises(KilledError):
        fit(*seed, "--checkpoint-every", 1)
    done = fit(*seed, "--checkpoint-every", "10s")
    assert (done.code, done.out) == (0, ""), done.err
    assert f"continuing from epoch 3 of 4 ({tmp_path / 'fit.checkpoint'})\n" in done.err
    assert weights(tmp_path / "model") == weights(tmp_path / "whole")
    again = fit(*seed)
    assert "fit.checkpoint: this fit has ended before, and nothing was trained\n" in again.err
    assert weights(tmp_path / "model") == weights(tmp_path / "whole")


def test_an_interrupted_command_says_that_the_same_one_continues(
    fit, series, run, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        callbacks = fit_arguments.read_callbacks([SignalInEpoch(2, signal.SIGINT)])
        patch.setattr(fit_arguments, "read_callbacks", lambda _: callbacks)
        done = fit("--epochs", 4)
    path = tmp_path / "fit.checkpoint"
    assert done.code == 130
    assert f"and the same command continues from {path}\n" in done.err
    assert f"continuing from epoch 2 of 4 ({path})\n" in fit("--epochs", 4).err


def test_a_signal_that_leaves_no_model_leaves_the_checkpoint(series, run, tmp_path, monkeypatch):
    path, model = tmp_path / "fit.checkpoint", tmp_path / "model"
    call = ["fit", series, "--window", 8, "--kind", "stacked", "--latent-dim", 3, "--epochs", 3]
    call += ["-o", model, "--checkpoint", path, "--quiet"]
    with monkeypatch.context() as patch:
        callbacks = fit_arguments.read_callbacks([SignalInEpoch(2, signal.SIGINT)])
        patch.setattr(fit_arguments, "read_callbacks", lambda _: callbacks)
        done = run(*call)
    assert done.code == 130
    assert f"the same command continues from {path}\n" in done.err
    assert not model.exists()
    done = run(*call)
    assert f"continuing from layer 0, epoch 2 of 3 ({path})\n" in done.err
    assert model.exists()


def test_inspect_says_what_a_checkpoint_is(fit, run, tmp_path):
    path = tmp_path / "fit.checkpoint"
    with killed_after(10), pytest.raises(KilledError):
        fit("--seed", 3, "--epochs", 4, "--checkpoint-every", 1)
    done = run("inspect", path)
    assert done.out.split()[:6] == ["checkpoint", "of", "a", "fit", "of", "LSTMAutoencoder"]
    losses = read_checkpoint(path)[1]["stages"][""]["series"]["loss"]
    assert f"2 of 4 epochs done, loss {losses[-1]:.4g}" in done.out
    assert "the command or call that wrote it continues from it" in done.out
    assert "written by" in done.out
    fit("--seed", 3, "--epochs", 4)
    assert "the fit has ended; more epochs continue it" in run("inspect", path).out


def test_messages_name_the_options(fit, run, series, tmp_path):
    fit("--epochs", 1)
    path = tmp_path / "fit.checkpoint"
    done = fit("--epochs", 1, "--seed", 3, "--latent-dim", 4)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"unspool: {path} is the checkpoint of another fit: --latent-dim was 3 and is 4 now; "
        "--seed was None and is 3 now. Give the same parameters and data to continue it, or "
        "another --checkpoint."
    )
    done = fit("--checkpoint-every", "soon")
    assert done.err.splitlines()[-1] == (
        "unspool: --checkpoint-every must be a whole number of batches of at least 1 or a duration "
        "above 0 such as '1min', got 'soon'."
    )
    done = run("fit", series, "-o", tmp_path / "model", "--checkpoint-every", 3)
    assert done.code == 2
    assert "it needs --checkpoint; leave it out" in done.err


def test_a_checkpoint_overwrites_no_other_file(fit, series, tmp_path):
    before = series.read_bytes()
    done = fit(checkpoint=series.name)
    assert done.err.splitlines()[-1] == (
        f"unspool: {series}: --checkpoint would overwrite the file of DATA, which is read; choose "
        "another file for --checkpoint."
    )
    assert series.read_bytes() == before
    done = fit(checkpoint="model")
    assert done.err.splitlines()[-1] == (
        f"unspool: {tmp_path / 'model'}: -o and --checkpoint name the same file; choose another "
        "for one of them."
    )


def test_a_killed_detection_continues_and_ends_in_the_same_detector(run, machine, tiny, tmp_path):
    detect = ["detect", machine, "--normal-until", "2024-01-01 04:00", *tiny]
    whole = run(*detect, "--save", tmp_path / "whole")
    assert whole.code == 0, whole.err
    checkpoint = ["--checkpoint", tmp_path / "fit.checkpoint", "--checkpoint-every", 1]
    with killed_after(3), pytest.raises(KilledError):
        run(*detect, *checkpoint)
    log = tmp_path / "log.jsonl"
    done = run(*detect, *checkpoint, "--save", tmp_path / "found", "--log-json", log)
    assert done.code == 0, done.err
    assert f"({tmp_path / 'fit.checkpoint'})" in done.err
    assert done.out == whole.out
    assert weights(tmp_path / "found") == weights(tmp_path / "whole")
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (events[0], events[-1]) == ("start", "end")
    other = run(*detect, *checkpoint, "--window", 9)
    assert other.code == 1
    assert other.err.splitlines()[-1].endswith("or another --checkpoint.")


def test_a_detection_without_training_has_no_checkpoint_and_no_log(run, machine, detector):
    for option in ("--checkpoint", "--log-json"):
        done = run("detect", machine, "--model", detector, option, machine.parent / "file")
        assert done.code == 2
        assert "it needs a model that this command trains; leave it or --model out" in done.err
        assert option in done.err


def test_the_checkpoint_of_a_detection_overwrites_no_other_file(run, machine, tmp_path):
    before = machine.read_bytes()
    done = run("detect", machine, "--checkpoint", machine)
    assert done.code == 1
    assert "--checkpoint would overwrite the file of DATA, which is read" in done.err
    assert machine.read_bytes() == before
    path = tmp_path / "one"
    done = run("detect", machine, "--checkpoint", path, "--save", path)
    assert done.err.splitlines()[-1] == (
        f"unspool: {path}: --save and --checkpoint name the same file; choose another for one of "
        "them."
    )
