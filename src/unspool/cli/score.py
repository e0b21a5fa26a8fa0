"""`unspool score`: how badly the model reconstructs each sequence, or each step."""

import numpy as np

from unspool.cli.options import (
    Data,
    Device,
    Model,
    Output,
    Reading,
    able,
    load_model,
    reads_data,
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
    reading: Reading,
) -> None:
    """Write the reconstruction error of every sequence, or of every time step of long series.

    For long series the errors of overlapping windows are averaged step by step, and a last window
    is laid at the end of each series, so that every step has one, but for the last ones where
    --window adds the steps of a forecast. Errors are in the model's scaled
    units: about 1 is what the mean would do.

    Two scores of all of it go to stderr, 1 where reconstructions are perfect: R² is 0 for a model
    that always gives the mean of every feature, the skill score for one that gives the mean
    sequence.
    """
    from unspool.cli.by_step import step_columns
    from unspool.data.windows import Windows
    from unspool.data.write import check_writable, write_table

    check_writable(output)
    trained = able(load_model(model, device=device), "reconstruction_error")
    loaded = reading.read(data, trained, tail=True)
    if isinstance(loaded.source, Windows):
        by_step = trained.reconstruction_error(loaded.source, per="step", merge=True)
        index, errors = step_columns(loaded), np.concatenate(by_step)
    else:
        index, errors = loaded.index, trained.reconstruction_error(loaded.source)
    scores = trained._scores(loaded.source)
    say(f"R² {scores.explained:.4g}, skill score beyond the mean sequence {scores.skill:.4g}")
    write_table({**index, "error": errors}, output, array=errors)
