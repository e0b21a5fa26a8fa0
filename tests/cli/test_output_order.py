"""Rows of outputs have the order of the rows of DATA, whatever the order of its series."""

import csv
import io

import numpy as np
import pytest

from tests.cli.tables import read_csv
from unspool.cli import step_columns

STEPS = 14
NAMES = ("a", "b", "c")
WALKS = dict(zip(NAMES, np.random.default_rng(0).normal(size=(3, STEPS)).cumsum(1), strict=True))


def interleaved():
    """Rows of three series in turns."""
    return [(name, i) for i in range(STEPS) for name in NAMES]


def in_halves():
    """The first half of each series, then the second half."""
    half = STEPS // 2
    return [(name, i) for part in (range(half), range(half, STEPS)) for name in NAMES for i in part]


ORDERS = {
    "interleaved": interleaved(),
    "in halves": in_halves(),
    "one after another": [(name, i) for name in NAMES for i in range(STEPS)],
    "newest first": [(name, i) for name in NAMES for i in reversed(range(STEPS))],
}


def written(path, rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "time", "x"])
    for name, i in rows:
        writer.writerow([name, f"2024-01-01 00:{i:02}", WALKS[name][i]])
    path.write_text(text.getvalue())
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from unspool.cli import main

    folder = tmp_path_factory.mktemp("order")
    data = written(folder / "data.csv", ORDERS["one after another"])
    of_forecaster = ["--kind", "forecaster", "--horizon", 2]
    for name, options in {"autoencoder": [], "forecaster": of_forecaster}.items():
        arguments = ["fit", data, "-o", folder / name, "--window", 4, *options]
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in [*arguments, "--epochs", 1, "--seed", 0, "-q"]])
        assert not ended.value.code
    return folder


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("command", ["score", "reconstruct"])
def test_steps_have_the_order_of_the_file(run, models, tmp_path, command, order):
    data = written(tmp_path / "data.csv", ORDERS[order])
    done = run(command, models / "autoencoder", data)
    assert done.code == 0, done.err
    table = read_csv(done.out)
    expected = [(name, f"2024-01-01 00:{i:02}") for name, i in ORDERS[order]]
    assert list(zip(table["id"], table["time"], strict=True)) == expected
    values = [column for name, column in table.items() if name not in ("id", "time")]
    sorted_data = written(tmp_path / "sorted.csv", ORDERS["one after another"])
    of_sorted = read_csv(run(command, models / "autoencoder", sorted_data).out)
    place = {key: i for i, key in enumerate(ORDERS["one after another"])}
    for name, column in zip([*table][2:], values, strict=True):
        assert column == [of_sorted[name][place[key]] for key in ORDERS[order]]


@pytest.mark.parametrize("checked", [1 << 20, 11, 9])  # 11 and 9 windows of a series
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("command", "model", "options"),
    [
        ("encode", "autoencoder", []),
        ("score", "forecaster", []),
        ("forecast", "forecaster", ["--every"]),
    ],
)
def test_windows_have_the_order_of_the_rows_in_which_they_start(
    run, models, tmp_path, command, model, options, order, checked, monkeypatch
):
    monkeypatch.setattr(step_columns, "CHECKED", checked)
    data = written(tmp_path / "data.csv", ORDERS[order])
    done = run(command, models / model, data, *options)
    assert done.code == 0, done.err
    table = read_csv(done.out)
    starts = [int(one[-2:]) for one in table["start"]]
    found = list(dict.fromkeys(zip(table["id"], starts, strict=True)))
    assert found == [one for one in ORDERS[order] if one in set(found)]
    assert len(found) == 3 * (STEPS - (3 if command != "score" else 5))
