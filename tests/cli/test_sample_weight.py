"""`unspool fit --sample-weight COLUMN`: weights of steps or rows in a column of the file."""

import re

import numpy as np
import pytest

import unspool
from tests.cli.tables import write_csv
from unspool import LSTMAutoencoder, Windows
from unspool.io.files import read_file

QUICK = ["--epochs", 1, "--latent-dim", 3, "--seed", 0]
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

RNG = np.random.default_rng(0)
VALUES, WEIGHTS = RNG.normal(size=(60, 2)), RNG.uniform(size=60)


@pytest.fixture
def log(tmp_path):
    """Two features and a weight of every step."""
    columns = {"a": VALUES[:, 0], "trust": WEIGHTS, "b": VALUES[:, 1]}
    return write_csv(tmp_path / "log.csv", {**columns, "id": np.repeat(["x", "y"], 30)})


def fitted(run, tmp_path, *arguments):
    path = tmp_path / "m.unspool"
    done = run("fit", *arguments, "-o", path, *QUICK)
    assert done.code == 0, done.err
    assert re.search("^trust +weight +named by the user", done.err, re.MULTILINE)
    return unspool.load(path)


def test_weights_of_the_steps_of_series_are_read(run, log, tmp_path):
    model = fitted(run, tmp_path, log, "--window", 8, "--sample-weight", "trust")
    windows = Windows([VALUES[:30], VALUES[30:]], 8)
    expected = LSTMAutoencoder(3, epochs=1, steps_per_epoch=100, random_state=0, verbose=0)
    expected.fit(windows, sample_weight=[WEIGHTS[:30], WEIGHTS[30:]])
    np.testing.assert_array_equal(model.transform(windows), expected.transform(windows))
    mean = np.average(VALUES, axis=0, weights=WEIGHTS)
    np.testing.assert_allclose(model.scaler_.shift, mean, rtol=1e-6)


def test_weights_of_the_steps_of_whole_series_are_read(run, log, tmp_path):
    model = fitted(run, tmp_path, log, "--sample-weight", "trust")
    mean = np.average(VALUES, axis=0, weights=WEIGHTS)
    np.testing.assert_allclose(model.scaler_.shift, mean, rtol=1e-6)


def test_weights_of_rows_are_read(run, tmp_path):
    table = RNG.normal(size=(30, 5))
    columns = {f"t{i}": table[:, i] for i in range(5)}
    path = write_csv(tmp_path / "rows.csv", {**columns, "trust": WEIGHTS[:30]})
    model = fitted(run, tmp_path, path, "--rows", "--sample-weight", "trust")
    expected = LSTMAutoencoder(3, epochs=1, random_state=0, verbose=0)
    expected.fit(table, sample_weight=WEIGHTS[:30])
    np.testing.assert_allclose(model.transform(table), expected.transform(table), atol=1e-6)


def test_weights_of_the_validation_data_are_read(run, log, tmp_path):
    options = ["--window", 8, "--sample-weight", "trust"]
    model = fitted(run, tmp_path, log, *options, "--validation", log)
    windows, weights = read_file(log, window=8, columns=["a", "b"]).source, WEIGHTS
    expected = LSTMAutoencoder(3, epochs=1, steps_per_epoch=100, random_state=0, verbose=0)
    parts = [weights[:30], weights[30:]]
    with pytest.warns(unspool.errors.OverlapWarning):
        expected.fit(windows, sample_weight=parts, validation_data=(windows, None, parts))
    assert model.history_["val_loss"] == expected.history_["val_loss"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("trusted", "--sample-weight: unknown column 'trusted': did you mean 'trust'?"),
        ("low", "--sample-weight must be at least 0, got -1 (first at step 2 of number 0)."),
    ],
    ids=["unknown", "negative"],
)
def test_columns_that_hold_no_weights_are_refused(run, tmp_path, column, message):
    low = np.where(np.arange(60) == 2, -1.0, 1)
    columns = {"a": VALUES[:, 0], "trust": WEIGHTS, "low": low}
    path = write_csv(tmp_path / "log.csv", columns)
    done = run("fit", path, "--window", 8, "--sample-weight", column, "-o", tmp_path / "m", *QUICK)
    assert done.code == 1
    assert message in " ".join(done.err.split())
