"""`unspool forecast`: forecast the steps after the end of series or sequences."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from unspool.cli.data_options import ReadingForModel, reads_data
from unspool.cli.options import Data, Device, Model, Output, load_model, require, say

if TYPE_CHECKING:
    from unspool.data.convert import Source
    from unspool.data.futures import Futures
    from unspool.data.sequences import IntArray
    from unspool.io.file_data import FileData
    from unspool.io.time_output import OutputTimes

EXAMPLE = "unspool forecast etth1.unspool ETTh1.csv -o next_day.csv"


@reads_data
def forecast(
    model: Model,
    data: Data,
    output: Output = None,
    every: Annotated[
        bool,
        typer.Option(
            "--every", help="Forecast after every window of a long series, not only after the last."
        ),
    ] = False,
    future: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The features that are known ahead (fit --known), in the rows that follow DATA; "
            "further columns, and rows whose time is not later than DATA, are ignored.",
        ),
    ] = None,
    device: Device = "auto",
    *,
    reading: ReadingForModel,
) -> None:
    """Write a forecast of the steps after DATA, one row per step, in the units of the data.

    The forecast of a long series is computed from its last window. The column `ahead` counts the
    steps from 1. The column `time` continues the usual step of the times of DATA, by months,
    quarters or years if these are regular, in the form that DATA has. MODEL must have been trained
    with --horizon. Quantiles (`--set quantiles=[0.1,0.5,0.9]` in fit) are additional columns,
    NAME_q0.1 and so on. An .npy file has only the features, in an array of shape (N, K, F), or
    (N, K, F, 1 + Q) with Q quantiles after each feature. With --targets in fit, the features are
    the targets.

    If MODEL was trained with --known, give these features for the steps after DATA in --future.
    With --every they are read from DATA, and each window needs the rows after it.
    """
    from unspool.cli.long_outputs import state_of, unit_of, write_output
    from unspool.cli.step_columns import names_of_targets, window_columns, window_order
    from unspool.data.windows import Windows
    from unspool.errors import InputError
    from unspool.estimators.batch_runner import runner
    from unspool.io.long_output import Rows
    from unspool.io.time_output import in_order, with_features
    from unspool.io.write import check_writable

    check_writable(output)
    trained = require(load_model(model, device=device), "forecast", "forecast")
    if not trained.horizon_:
        raise InputError(
            f"`forecast` needs a model with a horizon, but this {type(trained).__name__} has none; "
            "train it with `unspool fit --horizon N`."
        )
    known, horizon = trained._form.known, trained.horizon_
    from_data = bool(known) and every and future is None
    loaded = reading.read(data, trained, more=horizon if from_data else 0)
    source, index = loaded.source, loaded.index
    if from_data and not isinstance(source, Windows):
        raise InputError(
            "With --every, the features that are known ahead are read from the steps after each "
            "window, but DATA holds sequences; give --window, or --future."
        )
    if future is not None and not known:
        raise InputError("The model was trained without --known features; leave --future out.")
    if future is not None and every and isinstance(source, Windows):
        raise InputError(
            "With --every, the features that are known ahead are read from DATA; leave --future "
            "out, or forecast only after the last window."
        )
    apart = source.dilation if isinstance(source, Windows) else 1
    every_window = every and isinstance(source, Windows)
    if isinstance(source, Windows) and not every:
        ends, size, missing = source.latest(), source.size, source.missing
        features = source.feature_names
        source = Windows(ends, size, short="keep", feature_names=features, missing=missing)
        index = {}
        if loaded.series_ids is not None:
            index = {"id": np.asarray(loaded.series_ids), **loaded.id_parts}
    given = None
    if not from_data:
        if future is not None:
            given = known_of_file(future, trained, reading, len(source), loaded, apart)
        elif known:
            raise InputError(
                "The model was trained with --known features; give them for the "
                f"{horizon} steps after DATA in --future, or use --every to read them from DATA."
            )
    source = trained._read(source)
    if not from_data:
        trained._form.with_known(source, given, horizon)  # raises if they have another form
    times_of = _times(loaded, horizon, every=every, future_in_windows=from_data)
    quantiles, names = getattr(trained, "quantiles", ()), names_of_targets(trained, source)

    def rows(position: int, state: Any) -> Iterator[Rows]:
        for start, stop in runner(trained).pieces(source):
            if stop <= position:
                continue
            part = source[start:stop]
            ahead: Source | Futures
            if from_data:
                ahead = trained._futures(part, horizon, None)
            else:
                of_part = None if given is None else given[start:stop]
                ahead = trained._form.with_known(part, of_part, horizon)
            values = trained._forecasts(ahead)
            count, steps, _ = values.shape
            if every_window:
                here = window_columns(loaded, start, stop)
            else:
                here = {name: one[start:stop] for name, one in index.items()}
            if not here and len(source) > 1:
                here = {"sequence": np.arange(start, stop)}
            columns = in_order(here, np.repeat(np.arange(count), steps))
            columns["ahead"] = np.tile(np.arange(1, steps + 1), count)
            times = times_of(np.arange(start, stop))
            if times is not None:
                columns["time"] = times
            named = {name: values[:, :, i].ravel() for i, name in enumerate(names)}
            if quantiles:
                spread = trained._quantiles(ahead)
                for i, name in enumerate(names):
                    for place, q in enumerate(quantiles):
                        named[f"{name}_q{q:g}"] = spread[:, :, i, place].ravel()
                values = np.concatenate([values[..., None], spread], axis=3)
            yield Rows(stop, with_features(columns, named, "_forecast"), values)

    order = window_order(loaded) if every_window else None
    write_output(
        output,
        rows,
        command="forecast",
        model=model,
        data=data,
        options={
            "every": every,
            "future": None if future is None else state_of(future),
            "device": device,
            "reading": reading,
        },
        total=len(source),
        unit=unit_of(source),
        order=order,
        rows_each=horizon,
    )


def _times(
    loaded: "FileData", horizon: int, *, every: bool, future_in_windows: bool
) -> "Callable[[IntArray], OutputTimes | None]":
    """Return a function that returns the times of the steps that are forecast for windows.

    The times of all windows, or of none, are known: it depends on the last one of each series.
    """
    from unspool.cli.step_columns import forecast_times, last_windows, times_at
    from unspool.data.windows import Windows

    source, times = loaded.source, loaded.steps.get("time")
    if times is None:
        return lambda indices: None
    if isinstance(source, Windows) and every:
        first = source.size - (horizon if future_in_windows else 0)
        of_windows = partial(forecast_times, loaded, source, first, horizon)
        known = of_windows(last_windows(source), quiet=False) is not None
        return of_windows if known else lambda indices: None
    apart = source.dilation if isinstance(source, Windows) else 1
    lengths = np.array([len(one) for one in times])
    steps = lengths[:, None] - 1 + apart * np.arange(1, horizon + 1)
    known = times_at(loaded, np.arange(len(times)), steps) is not None
    if not known:
        return lambda indices: None
    return lambda indices: times_at(loaded, indices, steps[indices], quiet=True)


def known_of_file(
    path: Path, trained: Any, reading: ReadingForModel, n: int, data: "FileData", apart: int
) -> Any:
    """Read the known features of the K steps after each of `n` sequences from a file.

    Series are matched by their ids, if both files have an id column. If both have times, rows that
    are not later than the end of DATA are left out. Steps of the forecast are `apart` rows apart.
    """
    from unspool.cli.reading import print_notes, read_as_trained, reading_of
    from unspool.cli.stdin import data_path
    from unspool.data.windows import Windows
    from unspool.errors import InputError
    from unspool.io.files import read_file
    from unspool.io.loading import has_column_names

    path = data_path(path)
    form, needed = trained._form, trained.horizon_ * apart
    names = form.feature_names
    columns = None
    if names is not None and has_column_names(path, reading.key):
        columns = [names[place] for place in form.known]
    # Each series stays whole, since only windows refer to series.
    read = partial(read_file, path, window=1, columns=columns)
    of_training = {name: value for name, value in reading_of(trained).items() if name != "rows"}
    arguments = {**reading.keywords(), "rows": False}
    loaded, _ = read_as_trained(path, read, arguments, columns, of_training)
    print_notes(path.name, loaded)
    assert isinstance(loaded.source, Windows)
    series, given, ids = loaded.source.series, loaded.series_ids, data.series_ids
    times = loaded.steps.get("time")
    if ids is not None and given is not None:
        places = {str(one): i for i, one in enumerate(given)}
        missing = [one for one in ids if str(one) not in places]
        if missing:
            raise InputError(f"{path} has no rows of the id {missing[0]!r}, which is in DATA.")
        order = [places[str(one)] for one in ids]
        series = [series[i] for i in order]
        times = None if times is None else [times[i] for i in order]
    if len(series) != n:
        raise InputError(
            f"Expected {n} series in {path}, as in DATA, got {len(series)}; give an id column, or "
            "forecast one series after another."
        )
    ends = data.steps.get("time")
    if times is not None and ends is not None and times[0].dtype.kind == ends[0].dtype.kind:
        later = [one > end[-1] for one, end in zip(times, ends, strict=True)]
        left_out = sum(int((~one).sum()) for one in later)
        if left_out:
            say(f"{path.name}: {left_out} rows that are not later than DATA are left out")
        series = [one[is_later] for one, is_later in zip(series, later, strict=True)]
    shortest = min(map(len, series))
    if shortest < needed:
        between = f", which are {apart} rows apart" if apart > 1 else ""
        raise InputError(
            f"Expected at least {needed} rows for each series in {path} after the end of DATA, for "
            f"the {trained.horizon_} steps of the forecast{between}, got {shortest}."
        )
    return np.stack([one[apart - 1 : needed : apart] for one in series])
