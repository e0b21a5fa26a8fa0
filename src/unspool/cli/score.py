"""`unspool score`: write the reconstruction error of each sequence, or of each step."""

import numpy as np

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
    device: Device = "auto",
    *,
    reading: ReadingForModel,
) -> None:
    """Write the reconstruction error of every sequence, or of every time step of long series.

    For long series, the errors of overlapping windows are averaged at each step. The last window
    ends at the end of the series, so every step has an error; a model with a horizon has none for
    the last steps. Errors are in the model's scaled units, in which a model that always returns the
    mean has an error of about 1.

    Two scores of the whole data are printed to stderr. Both are 1 for perfect reconstructions. R²
    is 0 for a model that always returns the mean of every feature; the skill score is 0 for a model
    that always returns the mean sequence.
    """
    from unspool.cli.step_columns import step_columns
    from unspool.data.windows import Windows
    from unspool.data.write import check_writable, write_table

    check_writable(output)
    trained = require(load_model(model, device=device), "reconstruction_error", "score")
    loaded = reading.read(data, trained, tail=True)
    if isinstance(loaded.source, Windows):
        by_step = trained.reconstruction_error(loaded.source, per="step", merge=True)
        index, errors = step_columns(loaded), np.concatenate(by_step)
    else:
        index, errors = loaded.index, trained.reconstruction_error(loaded.source)
    scores = trained._scores(loaded.source)
    say(f"R² {scores.explained:.4g}, skill score beyond the mean sequence {scores.skill:.4g}")
    write_table({**index, "error": errors}, output, array=errors)
