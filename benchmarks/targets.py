"""What covariates, known features and other targets are worth: `python -m benchmarks.targets DATA`.

DATA is a folder with `cmapss/` (FD001) and `ett/ETTh1.csv`.

C-MAPSS: the remaining life of an engine, at most 125 cycles, from the last 30 cycles of its sensors
and operating settings. The score is the RMSE of the 100 test engines, from their last window, as in
the literature. Shorter test engines are padded in front by their first cycle.

ETTh1: the next 24 hours of the oil temperature (OT) from the last 96 hours of all seven variables,
next to a forecast of all variables, and with the hour of the day known ahead. Errors of OT only,
over all windows of the test part, in units of the training part's standard deviation.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from benchmarks.forecasts import TEST, TRAIN, VALIDATION
from benchmarks.machine import describe
from unspool import LSTMForecaster, Windows
from unspool.io.files import read_file

Array = npt.NDArray[np.float64]

CYCLES, MOST = 30, 125
CONSTANT = (4, 5, 9, 10, 14, 20, 22, 23)  # columns that do not change in FD001
WINDOW, HORIZON = 96, 24
SEEDS = range(3)
PENALTIES = np.logspace(-2, 5, 15)


def engines(path: Path) -> list[Array]:
    """Return the settings and sensors (T, F) of each engine, without those that are constant."""
    table = np.loadtxt(path)
    keep = [column for column in range(2, table.shape[1]) if column not in CONSTANT]
    return [table[table[:, 0] == engine][:, keep] for engine in np.unique(table[:, 0])]


def last_cycles(engine: Array) -> Array:
    """Return the last cycles of an engine, padded in front by its first one."""
    return np.pad(engine, ((max(0, CYCLES - len(engine)), 0), (0, 0)), "edge")[-CYCLES:]


def remaining_life(folder: Path) -> None:
    """Print the errors of remaining life on C-MAPSS, FD001."""
    runs = engines(folder / "train_FD001.txt")
    windows, life, owner = [], [], []
    for number, run in enumerate(runs):
        for end in range(CYCLES, len(run) + 1):
            windows.append(run[end - CYCLES : end])
            life.append(min(MOST, len(run) - end))
            owner.append(number)
    X, y, groups = np.array(windows), np.array(life, float), np.array(owner)
    test = np.array([last_cycles(one) for one in engines(folder / "test_FD001.txt")])
    truth = np.minimum(np.loadtxt(folder / "RUL_FD001.txt"), MOST)

    def show(name: str, *predicted: Array) -> None:
        errors = [float(np.sqrt(np.mean((one - truth) ** 2))) for one in predicted]
        spread = f" ± {np.std(errors):.1f}" if len(errors) > 1 else ""
        print(f"{name:52s}{np.mean(errors):6.1f}{spread}")

    print(f"\nC-MAPSS FD001: RMSE of the remaining life of {len(test)} test engines, in cycles")
    show("mean of the training windows", np.full(len(test), y.mean()))

    def ridge(read: Array, read_test: Array) -> Array:
        scaler = StandardScaler().fit(read)
        model = RidgeCV(PENALTIES).fit(scaler.transform(read), y)
        return np.clip(model.predict(scaler.transform(read_test)), 0, MOST)

    show("ridge regression on the last cycle", ridge(X[:, -1], test[:, -1]))
    show("ridge regression on the means of the window", ridge(X.mean(1), test.mean(1)))
    show(
        "ridge regression on the whole window",
        ridge(X.reshape(len(X), -1), test.reshape(len(test), -1)),
    )
    fitted, untrained = [], []
    for seed in SEEDS:
        model = LSTMForecaster(32, epochs=30, steps_per_epoch=100, random_state=seed, verbose=0)
        model.fit(X, y, groups=groups)
        fitted.append(model.predict(test))
        model.module_ = model._build(torch.Generator().manual_seed(seed))
        untrained.append(ridge(codes(model, X), codes(model, test)))
    show("ridge regression on codes of an untrained encoder", *untrained)
    show("LSTMForecaster of y, 3 seeds", *fitted)


def codes(model: LSTMForecaster, X: Array) -> Array:
    """Return the codes of a forecaster's encoder."""
    from unspool.estimators.batch_runner import runner

    return runner(model).codes(model._read(X)).astype(float)


def oil_temperature(path: Path) -> None:
    """Print the errors of forecasts of the oil temperature on ETTh1."""
    loaded = read_file(path, window=WINDOW)
    assert isinstance(loaded.source, Windows)
    (values,) = loaded.source.series
    hour = np.arange(len(values)) % 24 / 24 * 2 * np.pi
    values = np.column_stack([values, np.sin(hour), np.cos(hour)])[: TRAIN + VALIDATION + TEST]
    names = [*(loaded.source.feature_names or ()), "sin", "cos"]
    before, spread = values[:TRAIN, 6].mean(), values[:TRAIN, 6].std()
    series, test = values[: TRAIN + VALIDATION], values[TRAIN + VALIDATION - WINDOW :]
    both = np.lib.stride_tricks.sliding_window_view(test, WINDOW + HORIZON, 0).swapaxes(1, 2)
    past, truth = both[:, :WINDOW], (both[:, WINDOW:, 6] - before) / spread

    def show(name: str, *predicted: Array) -> None:
        errors = [((one - before) / spread - truth) for one in predicted]
        mse = [float((one**2).mean()) for one in errors]
        spread_of = f" ± {np.std(mse):.4f}" if len(mse) > 1 else ""
        mae = np.mean([abs(one).mean() for one in errors])
        print(f"{name:52s}{np.mean(mse):8.4f}{spread_of:10s}{mae:8.4f}")

    print(f"\nETTh1: MSE and MAE of OT over the next {HORIZON} hours, {len(past)} test windows")
    show("last value", np.repeat(past[:, -1:, 6], HORIZON, 1))
    show("same hour of the day before", past[:, -HORIZON:, 6])
    cases = {
        "LSTMForecaster of OT from OT alone": (["OT"], None, ()),
        "LSTMForecaster of all seven variables": (names[:7], None, ()),
        "LSTMForecaster, targets=('OT',)": (names[:7], ("OT",), ()),
        "the same, the hour is read": (names, ("OT",), ()),
        "the same, the hour is known ahead": (names, ("OT",), ("sin", "cos")),
    }
    for name, (columns, targets, known) in cases.items():
        places = [names.index(column) for column in columns]
        predicted = []
        for seed in SEEDS:
            model = LSTMForecaster(
                horizon=HORIZON,
                targets=targets,
                known=known,
                epochs=15,
                steps_per_epoch=100,
                validation_split=VALIDATION / (TRAIN + VALIDATION),
                random_state=seed,
                verbose=0,
            )
            windows = Windows(series[:, places], WINDOW + HORIZON, feature_names=columns)
            model.fit(windows)
            future = both[:, WINDOW:, -2:] if known else None
            forecast = model.forecast(past[:, :, places], future)
            predicted.append(forecast[:, :, list(model.targets_).index(places.index(6))])
        show(name, *predicted)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    print(describe())
    print(f"seeds {list(SEEDS)}; 15 epochs (ETTh1) or 30 (C-MAPSS) of 100 batches")
    remaining_life(data / "cmapss")
    oil_temperature(data / "ett" / "ETTh1.csv")


if __name__ == "__main__":
    main()
