"""Fits in processes that are killed at random moments, with SIGKILL; see `fit_with_kills`."""

import multiprocessing
import random
import time
import warnings

import numpy as np
import torch

from tests.full_disk import full_disk
from unspool import EncoderClassifier, LSTMAutoencoder, StackedAutoencoder
from unspool.training import checkpoint

X = np.random.default_rng(0).normal(size=(60, 10, 2)).cumsum(1)
COMMON = {"batch_size": 6, "epochs": 10, "verbose": 0, "random_state": 0, "device": "cpu"}
KINDS = {
    "default": lambda: LSTMAutoencoder(4, **COMMON),
    "stacked": lambda: StackedAutoencoder(
        3, hidden_units=(6, 5), fine_tune=True, input_noise=0.1, **COMMON
    ),
    "composite": lambda: LSTMAutoencoder(4, units=8, horizon=2, input_dropout=0.2, **COMMON),
    "classifier": lambda: EncoderClassifier(
        LSTMAutoencoder(4, units=8, code_dropout=0.2, **COMMON),
        fine_tune=True,
        validation_split=0.2,
        **COMMON,
    ),
}


def fit(kind, folder, *, full=False, **arguments):
    """Fit a model and write it to the folder; with `full`, half of all checkpoints fail."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if full:
        random.seed()
        checkpoint.write_checkpoint = sometimes_full(checkpoint.write_checkpoint)
    y = {"y": np.arange(60) % 3} if kind == "classifier" else {}
    KINDS[kind]().fit(X, **y, **arguments).save(folder / "model")


def sometimes_full(write):
    def call(*arguments):
        if random.random() < 0.5:
            with full_disk():
                write(*arguments)
        else:
            write(*arguments)

    return call


def fit_with_kills(kind, folder, kills, rng, seconds, *, full=False):
    """Fit in processes that are killed after a random time; yield each model that is made.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    folder : Path
        Folder of the checkpoint and the model.
    kills : int
        Number of processes to kill.
    rng : numpy Generator
        Draws the moments.
    seconds : float
        Time that a whole fit takes.
    full : bool, default False
        Whether the disk is full at every second checkpoint.
    """
    killed, file = 0, folder / "checkpoint"
    while True:
        process = multiprocessing.get_context("fork").Process(
            target=fit,
            args=(kind, folder),
            kwargs={"full": full, "checkpoint": file, "checkpoint_every": 1},
        )
        process.start()
        process.join(None if killed == kills else rng.uniform(0, 0.3) * seconds)
        process.kill()
        process.join()
        if process.exitcode == 0:
            yield (folder / "model").read_bytes()
            file.unlink()
            if killed == kills:
                return
        else:
            assert process.exitcode == -9, process.exitcode
            killed += 1


def uninterrupted(kind, folder):
    """Return the model of a fit without kills, and the seconds that it took with checkpoints."""
    fit(kind, folder)
    model, start = (folder / "model").read_bytes(), time.perf_counter()
    fit(kind, folder, checkpoint=folder / "whole", checkpoint_every=1)
    assert (folder / "model").read_bytes() == model
    return model, time.perf_counter() - start
