from pathlib import Path

import numpy as np
import pytest

from tests.cli.tables import write_csv


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
    """Sequences of one feature in the UCR archive's form, a label first."""
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
    assert run("fit", heartbeats, "-o", path, "--epochs", 1, "--latent", 3, "--seed", 0).code == 0
    return path


@pytest.fixture
def series_model(run, series, tmp_path) -> Path:
    """A model trained on windows of the series."""
    path = tmp_path / "series.unspool"
    done = run(
        "fit", series, "--window", 8, "--stride", 3, "-o", path, "--epochs", 1, "--latent", 3
    )
    assert done.code == 0, done.err
    return path
