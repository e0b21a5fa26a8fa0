"""`unspool score`: write the reconstruction error of each sequence, or of each step."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from unspool.cli.data_options import ReadingForModel, reads_data
from unspool.cli.options import Data, Device, Model, Output, load_model, require, say
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError

EXAMPLE = "unspool score etth1.unspool ETTh1.csv -o errors.csv"


@reads_data
def score(
    model: Model,
    data: Data,
    output: Output = None,
    per_feature: Annotated[
        bool,
        typer.Option(
            "--per-feature",
            help="Also write the error of each feature, in a column named after it.",
        ),
    ] = False,
    device: Device = "auto",
    *,
    reading: ReadingForModel,
) -> None:
    """Write the reconstruction error of every sequence, or of every time step of long series.

    For long series, the errors of overlapping windows are averaged at each step. The last window
    ends at the end of the series, so every step has an error, except steps next to a gap in which
    no window fits, steps that --stride skips with --dilation, and the last steps for a model with a
    horizon. Rows have the order, ids and times of DATA. Errors are in the model's scaled units, in
    which a model that always returns the mean has an error of about 1.

    With --per-feature, `error` is followed by a column for every target of the model, of which it
    is the mean. If another column has the name of a feature, `_error` is added to the name. An .npy
    file then has only the errors of the features, in an array of shape (rows, F).

    For a model that only forecasts, such as `lstm-forecaster`, there is one row for each window or
    sequence. `error` is the mean squared difference between the last steps, as many as the horizon,
    and their forecast from the steps before; `time` is the time of the first of them.

    Two scores of the whole data are printed to stderr. Both are 1 for perfect reconstructions. R²
    is 0 for a model that always returns the mean of every feature; the skill score is 0 for a model
    that always returns the mean sequence.
    """
    from unspool import _collect
    from unspool._types import Per
    from unspool.cli.step_columns import (
        names_of_targets,
        say_left_out,
        step_columns,
        step_order,
        window_columns,
    )
    from unspool.data.windows import Windows
    from unspool.io.write import check_writable

    check_writable(output)
    trained: Any = load_model(model, device=device)
    if not hasattr(trained, "reconstruction_error") and hasattr(trained, "forecast"):
        _score_forecasts(trained, data, output, reading, per_feature=per_feature)
        return
    trained = require(trained, "reconstruction_error", "score")
    if per_feature:
        _collect.check_has_feature_errors(trained._loss, "leave out --per-feature")
    loaded = reading.read(data, trained, tail=True)
    source = loaded.source
    if isinstance(source, Windows):
        per: Per = ("step", "feature") if per_feature else "step"
        errors = np.concatenate(trained.reconstruction_error(source, per=per, merge=True))
        say_left_out(source, errors)
        columns, order = step_columns(loaded), step_order(loaded)
    else:
        errors = trained.reconstruction_error(
            loaded.X, per="feature" if per_feature else "sequence"
        )
        columns, order = window_columns(loaded)
    scores = trained._scores(loaded.X)
    say(f"R² {scores.explained:.4g}, skill score beyond the mean sequence {scores.skill:.4g}")
    if not per_feature:
        _write({**columns, "error": errors}, {}, output, errors, order)
        return
    columns["error"] = _means(errors)
    named = dict(zip(names_of_targets(trained, source), errors.T, strict=True))
    _write(columns, named, output, errors, order)


def _means(errors: FloatArray) -> FloatArray:
    """Return the mean error of the features, NaN where none has an error."""
    known = ~np.isnan(errors)  # missing values have no error
    counts = known.sum(axis=1)
    sums = np.where(known, errors, 0).sum(axis=1)
    means: FloatArray = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return means


def _write(
    columns: dict[str, Any],
    features: dict[str, Any],
    output: Path | None,
    errors: FloatArray,
    order: IntArray | None,
) -> None:
    from unspool.io.time_output import in_order, with_features
    from unspool.io.write import write_table

    table = in_order(with_features(columns, features, "_error"), order)
    write_table(table, output, array=errors if order is None else errors[order])


def _score_forecasts(
    trained: Any, data: Path, output: Path | None, reading: ReadingForModel, *, per_feature: bool
) -> None:
    """Write the errors of the forecasts of the last steps of each window or sequence."""
    from unspool.cli.step_columns import forecast_times, names_of_targets, window_columns
    from unspool.data.windows import Windows

    if trained._form.n_responses:
        raise InputError(
            "This model predicts a quantity that is no feature of DATA, so that its forecasts have "
            "no errors; use `forecast`."
        )
    horizon = trained.horizon_
    loaded = reading.read(data, trained, more=horizon)
    source = loaded.source
    futures = trained._futures(source, horizon, None)
    _, _, future = futures.take_with_future(np.arange(len(source)))
    scaler = trained.target_scaler_
    distances = scaler.apply(trained._forecasts(futures)) - scaler.apply(futures.targets_of(future))
    squares = np.square(distances.astype(np.float64))
    features = squares.shape[2]
    errors = np.stack([_means(squares[:, :, i]) for i in range(features)], axis=1)
    columns, order = window_columns(loaded)
    if isinstance(source, Windows):
        past = source.size - horizon
        times = forecast_times(loaded, source, past, 1)
        if times is not None:
            columns["time"] = times
    named = dict(zip(names_of_targets(trained, source), errors.T, strict=True))
    total = _means(errors)
    say(f"mean squared error of the forecasts {np.nanmean(total):.4g}, in scaled units")
    columns["error"] = total
    array = errors if per_feature else total
    _write(columns, named if per_feature else {}, output, array, order)
