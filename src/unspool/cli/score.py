"""`unspool score`: how badly the model reconstructs each sequence, or each step."""

import numpy as np

from unspool.cli import options
from unspool.cli.options import (
    Columns,
    Data,
    Device,
    Id,
    Label,
    Model,
    Output,
    PadShort,
    Rows,
    Stride,
    Time,
    Window,
)

EXAMPLE = "unspool score transformer.unspool ETTh1.csv -o errors.csv"


def score(
    model: Model,
    data: Data,
    output: Output = None,
    window: Window = None,
    stride: Stride = None,
    columns: Columns = None,
    time: Time = None,
    id: Id = None,
    label: Label = None,
    rows: Rows = False,
    pad_short: PadShort = False,
    device: Device = "auto",
) -> None:
    """Write the reconstruction error of every sequence, or of every time step of long series.

    For long series the errors of overlapping windows are averaged step by step, and a last window
    is laid at the end of each series, so that every step has one. Errors are in the model's scaled
    units: about 1 is what the mean would do.
    """
    from unspool.cli.by_step import step_columns
    from unspool.data.windows import Windows
    from unspool.data.write import check_writable, write_table
    from unspool.model_file import load

    check_writable(output)
    trained = load(model, device=device)
    loaded = options.read(
        data,
        window=window,
        stride=stride,
        columns=columns,
        time=time,
        id=id,
        label=label,
        rows=rows,
        pad_short=pad_short,
        tail=True,
        model=trained,
    )
    if isinstance(loaded.source, Windows):
        by_step = trained.reconstruction_error(loaded.source, per="step", merge=True)
        index, errors = step_columns(loaded), np.concatenate(by_step)
    else:
        index, errors = loaded.index, trained.reconstruction_error(loaded.source)
    write_table({**index, "error": errors}, output, array=errors)
