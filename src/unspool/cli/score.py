"""`unspool score`: write the reconstruction error of each sequence, or of each step."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from unspool.cli.data_options import ReadingForModel, reads_data
from unspool.cli.options import Data, Device, Model, Output, load_model, require, say
from unspool.data.sequences import FloatArray
from unspool.errors import InputError

if TYPE_CHECKING:
    from unspool._types import Per

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
    from unspool.cli.long_outputs import unit_of, write_output
    from unspool.cli.step_columns import (
        Steps,
        empty_rows,
        names_of_targets,
        say_left_out,
        window_columns,
        window_order,
    )
    from unspool.data.windows import Windows
    from unspool.io.long_output import Rows
    from unspool.io.write import check_writable

    check_writable(output)
    trained: Any = load_model(model, device=device)
    options = {"per_feature": per_feature, "device": device, "reading": reading}
    if not hasattr(trained, "reconstruction_error") and hasattr(trained, "forecast"):
        _score_forecasts(trained, model, data, output, reading, options)
        return
    trained = require(trained, "reconstruction_error", "score")
    if per_feature:
        _collect.check_has_feature_errors(trained._loss, "leave out --per-feature")
    loaded = reading.read(data, trained, tail=True)
    source, steps = loaded.source, Steps(loaded)
    merge = isinstance(source, Windows)
    per: Per = "feature" if per_feature else "sequence"
    if merge:
        per = ("step", "feature") if per_feature else "step"

    def rows(position: int, state: Any) -> Iterator[Rows]:
        before, left_out = state or (None, 0)
        sums = trained._score_sums(loaded.X, before)
        errors = trained._reconstruction_error(loaded.X, per=per, merge=merge, sums=sums)
        for start, stop, values in errors.pieces(position):
            if merge:
                left_out += empty_rows(values)
                columns = steps.columns(start, stop)
            else:
                columns = window_columns(loaded, start, stop)
            table = _with_errors(columns, values, names_of_targets(trained, source), per_feature)
            yield Rows(stop, table, values, (sums.state(), left_out))
        if isinstance(source, Windows):
            say_left_out(source, left_out, steps.count)
        scores = sums.scores()
        say(f"R² {scores.explained:.4g}, skill score beyond the mean sequence {scores.skill:.4g}")

    write_output(
        output,
        rows,
        command="score",
        model=model,
        data=data,
        options=options,
        total=steps.count if merge else len(source),
        unit="steps" if merge else unit_of(source),
        order=steps.order() if merge else window_order(loaded),
    )


def _with_errors(
    columns: dict[str, Any], errors: FloatArray, names: list[str], per_feature: bool
) -> dict[str, Any]:
    """Return columns with a column of errors, and with one for each feature if there are."""
    from unspool.io.time_output import with_features

    if not per_feature:
        return {**columns, "error": errors}
    named = dict(zip(names, errors.T, strict=True))
    return with_features({**columns, "error": _means(errors)}, named, "_error")


def _means(errors: FloatArray) -> FloatArray:
    """Return the mean error of the features, NaN where none has an error."""
    known = ~np.isnan(errors)  # missing values have no error
    counts = known.sum(axis=1)
    sums = np.where(known, errors, 0).sum(axis=1)
    means: FloatArray = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return means


def _score_forecasts(
    trained: Any,
    model: Path,
    data: Path,
    output: Path | None,
    reading: ReadingForModel,
    options: dict[str, Any],
) -> None:
    """Write the errors of the forecasts of the last steps of each window or sequence."""
    from unspool.cli.long_outputs import unit_of, write_output
    from unspool.cli.step_columns import (
        forecast_times,
        names_of_targets,
        window_columns,
        window_order,
    )
    from unspool.data.windows import Windows
    from unspool.estimators.batch_runner import runner
    from unspool.io.long_output import Rows

    if trained._form.n_responses:
        raise InputError(
            "This model predicts a quantity that is no feature of DATA, so that its forecasts have "
            "no errors; use `forecast`."
        )
    horizon, per_feature = trained.horizon_, options["per_feature"]
    loaded = reading.read(data, trained, more=horizon)
    source, names = loaded.source, names_of_targets(trained, loaded.source)
    scaler = trained.target_scaler_

    def rows(position: int, state: Any) -> Iterator[Rows]:
        total, count = state or (0.0, 0)
        for start, stop in runner(trained).pieces(source):
            if stop <= position:
                continue
            indices = np.arange(start, stop)
            futures = trained._futures(source[start:stop], horizon, None)
            _, _, future = futures.take_with_future(indices - start)
            forecasts = scaler.apply(trained._forecasts(futures))
            differences = forecasts - scaler.apply(futures.targets_of(future))
            squares = np.square(differences.astype(np.float64))
            by_feature = [_means(squares[:, :, i]) for i in range(squares.shape[2])]
            errors = np.stack(by_feature, axis=1)
            columns = window_columns(loaded, start, stop)
            if isinstance(source, Windows):
                times = forecast_times(loaded, source, source.size - horizon, 1, indices)
                if times is not None:
                    columns["time"] = times
            means = _means(errors)
            total, count = total + float(np.nansum(means)), count + int((~np.isnan(means)).sum())
            values = errors if per_feature else means
            table = _with_errors(columns, values, names, per_feature)
            yield Rows(stop, table, values, (total, count))
        mean = total / count if count else np.nan
        say(f"mean squared error of the forecasts {mean:.4g}, in scaled units")

    write_output(
        output,
        rows,
        command="score",
        model=model,
        data=data,
        options=options,
        total=len(source),
        unit=unit_of(source),
        order=window_order(loaded),
    )
