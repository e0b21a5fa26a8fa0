"""`unspool score`: write the reconstruction error of each sequence, or of each step."""

from typing import Annotated

import numpy as np
import typer

from unspool.cli.options import (
    Data,
    Device,
    Model,
    Output,
    ReadingForModel,
    load_model,
    reads_data,
    require,
    say,
)

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
    horizon. Errors are in the model's scaled units, in which a model that always returns the mean
    has an error of about 1.

    With --per-feature, `error` is followed by a column for every target of the model, of which it
    is the mean. If another column has the name of a feature, `_error` is added to the name. An .npy
    file then has only the errors of the features, in an array of shape (rows, F).

    Two scores of the whole data are printed to stderr. Both are 1 for perfect reconstructions. R²
    is 0 for a model that always returns the mean of every feature; the skill score is 0 for a model
    that always returns the mean sequence.
    """
    from unspool import _collect
    from unspool._types import Per
    from unspool.cli.step_columns import names_of_targets, say_left_out, step_columns
    from unspool.data.windows import Windows
    from unspool.io.write import check_writable, write_table

    check_writable(output)
    trained = require(load_model(model, device=device), "reconstruction_error", "score")
    if per_feature:
        _collect.check_has_feature_errors(trained._loss, "leave out --per-feature")
    loaded = reading.read(data, trained, tail=True)
    source = loaded.source
    if isinstance(source, Windows):
        per: Per = ("step", "feature") if per_feature else "step"
        errors = np.concatenate(trained.reconstruction_error(source, per=per, merge=True))
        say_left_out(source, errors)
        columns = step_columns(loaded)
    else:
        errors = trained.reconstruction_error(
            loaded.X, per="feature" if per_feature else "sequence"
        )
        columns = dict(loaded.index)
    scores = trained._scores(loaded.X)
    say(f"R² {scores.explained:.4g}, skill score beyond the mean sequence {scores.skill:.4g}")
    if not per_feature:
        write_table({**columns, "error": errors}, output, array=errors)
        return
    known = ~np.isnan(errors)  # missing values have no error
    counts = known.sum(axis=1)
    sums = np.where(known, errors, 0).sum(axis=1)
    columns["error"] = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    for i, feature in enumerate(names_of_targets(trained, source)):
        name = feature
        while name in columns:
            name += "_error"
        columns[name] = errors[:, i]
    write_table(columns, output, array=errors)
