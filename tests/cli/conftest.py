import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib import pyplot

from tests.cli.tables import read_csv, write_csv
from unspool import AnomalyDetector, LSTMAutoencoder


@pytest.fixture(autouse=True)
def closed_pictures():
    """Close the pictures that commands leave open; a process of the command line just ends."""
    yield
    pyplot.close("all")


@pytest.fixture
def series(tmp_path):
    """A long series of two features with a time column and a label."""
    t = np.arange(60)
    return write_csv(
        tmp_path / "series.csv",
        {
            "time": [f"2024-01-01T{i // 60:02}:{i % 60:02}:00" for i in t],
            "a": np.sin(t / 3),
            "b": np.cos(t / 4) * 10,
            "label": np.where(t < 40, "ok", "bad"),
        },
    )


@pytest.fixture
def heartbeats(tmp_path):
    """Sequences of one feature in the format of the UCR archive, the label first."""
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(12) / 2 + rng.uniform(0, 6, (20, 1)))
    rows = [[i % 2 + 1, *row] for i, row in enumerate(values)]
    path = tmp_path / "beats_TRAIN.tsv"
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.fixture
def model(run, heartbeats, tmp_path) -> Path:
    """A model trained on the heartbeats."""
    path = tmp_path / "beats.unspool"
    assert (
        run("fit", heartbeats, "-o", path, "--epochs", 1, "--latent-dim", 3, "--seed", 0).code == 0
    )
    return path


@pytest.fixture
def series_model(run, series, tmp_path) -> Path:
    """A model trained on windows of the series."""
    path = tmp_path / "series.unspool"
    done = run(
        "fit", series, "--window", 8, "--stride", 3, "-o", path, "--epochs", 1, "--latent-dim", 3
    )
    assert done.code == 0, done.err
    return path


MINUTES = np.datetime64("2024-01-01") + np.arange(400) * np.timedelta64(1, "m")


@pytest.fixture
def machine(tmp_path):
    """A log of two sensors, one value per minute, with a failure at step 340."""
    t = np.arange(400)
    values = np.stack([np.sin(t / 4), np.cos(t / 5) * 10 + 50], axis=1)
    values += np.random.default_rng(0).normal(size=values.shape) * [0.05, 0.5]
    values[340:350, 1] += 60
    return write_csv(
        tmp_path / "machine.csv",
        {
            "time": [str(one).replace("T", " ") for one in MINUTES],
            "flow": values[:, 0],
            "heat": values[:, 1],
            "label": np.where((t >= 340) & (t < 350), "failed", "normal"),
        },
    )


TINY = ["--window", 8, "--seed", 0, "--quiet"]
TINY += ["--set", "epochs=2", "--set", "units=4", "--set", "latent_dim=2"]


@pytest.fixture
def tiny():
    """Options with which a detector is trained quickly."""
    return TINY


@pytest.fixture(scope="session")
def trained_detector(tmp_path_factory) -> Path:
    """A detector of series with the sensors "flow" and "heat"."""
    t = np.arange(240)
    values = np.stack([np.sin(t / 4), np.cos(t / 5) * 10 + 50], axis=1)
    values += np.random.default_rng(1).normal(size=values.shape) * [0.05, 0.5]
    table = pa.table({"flow": values[:, 0], "heat": values[:, 1]})
    path = tmp_path_factory.mktemp("detector") / "machine.unspool"
    model = LSTMAutoencoder(2, units=4, epochs=2, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        detector = AnomalyDetector(model, window=8, random_state=0, memory=50, threshold="moving")
        detector.fit([table]).save(path)
    return path


@pytest.fixture
def detector(trained_detector, tmp_path) -> Path:
    """A copy of that file in the folder of the test."""
    path = tmp_path / "machine.unspool"
    path.write_bytes(trained_detector.read_bytes())
    return path


@pytest.fixture
def follow(run, monkeypatch, detector):
    """Run `detect - --follow` on a text, and return its output, with its rows as a table."""

    def call(text, *options, model=detector):
        data = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        done = run("detect", "-", "--follow", "--model", model, *options)
        done.table = read_csv(done.out) if done.out else {}
        return done

    return call
