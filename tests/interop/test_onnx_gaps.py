"""An exported model agrees with the commands on files with an outage, as the guide describes."""

import numpy as np
import pytest

from tests.cli.tables import read_csv
from tests.interop.onnx_runs import outputs, session

WINDOW, STEPS, LAST = 6, 40, 24  # the outage follows step 24
RNG = np.random.default_rng(3)
VALUES = np.round(np.c_[np.sin(np.arange(STEPS) / 3), RNG.normal(size=STEPS)], 4)
FIT = ["--epochs", 1, "--set", "units=3", "--seed", 0, "--quiet", "--window", WINDOW]


def written(folder, times, rows=STEPS):
    lines = ["time,a,b", *(f"{t},{a},{b}" for t, (a, b) in zip(times, VALUES, strict=True))]
    path = folder / f"rows{rows}.csv"
    path.write_text("\n".join([*lines[: rows + 1], ""]))
    return path


def minutes():
    return np.arange(STEPS) + 50 * (np.arange(STEPS) > LAST)


def dates():
    return np.datetime64("2023-01-30T10:00") + minutes().astype("timedelta64[m]")


def windows():
    return np.lib.stride_tricks.sliding_window_view(VALUES, WINDOW, axis=0).swapaxes(1, 2)


@pytest.mark.parametrize("numeric", [False, True])
def test_codes_of_windows_that_do_not_cross_the_outage_are_those_of_encode(run, tmp_path, numeric):
    path = written(tmp_path, minutes() if numeric else dates())
    model, graph = tmp_path / "m.unspool", tmp_path / "m.onnx"
    assert run("fit", path, *FIT, "--latent-dim", 2, "-o", model).code == 0
    assert run("export", model, "-o", graph).code == 0
    table = read_csv(run("encode", model, path).out)
    found = np.array([table["code_0"], table["code_1"]], float).T
    starts = np.arange(STEPS - WINDOW + 1)
    if not numeric:  # times that are numbers cut nothing without --max-gap
        starts = starts[(starts + WINDOW - 1 <= LAST) | (starts > LAST)]
    codes = outputs(session(graph), windows()[starts], np.full(len(starts), WINDOW))["code"]
    np.testing.assert_allclose(codes, found, atol=1e-5)


def test_a_forecast_right_after_the_outage_reads_the_steps_after_it_alone(run, tmp_path):
    path, model, graph = written(tmp_path, dates()), tmp_path / "m.unspool", tmp_path / "m.onnx"
    kind = ["--kind", "forecaster", "--horizon", 2]
    assert run("fit", path, *FIT, *kind, "-o", model).code == 0
    assert run("export", model, "-o", graph).code == 0
    n = 3  # steps after the outage
    table = read_csv(run("forecast", model, written(tmp_path, dates(), LAST + 1 + n)).out)
    found = np.array([table["a"], table["b"]], float).T
    x = np.zeros((1, WINDOW, 2))
    x[0, :n] = VALUES[LAST + 1 : LAST + 1 + n]
    forecast = outputs(session(graph), x, [n])["forecast"][0]
    np.testing.assert_allclose(forecast, found, atol=1e-5)
