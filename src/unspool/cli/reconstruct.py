"""`unspool reconstruct`: sequences in, what the model makes of them out."""

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

EXAMPLE = "unspool reconstruct transformer.unspool ETTh1.csv -o again.csv"


def reconstruct(
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
    """Write the reconstruction of DATA, a row for every time step, in the units of the data.

    Where the data is long series, overlapping windows are averaged and the rows are those of the
    series. An .npy file has the features alone: (rows, F) for long series, else (N, T, F) with
    NaN past the end of a sequence.
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
    source = loaded.source
    if isinstance(source, Windows):
        values = np.concatenate(trained.reconstruct(source, merge=True))
        array = values
    else:
        array = trained.reconstruct(source)
        values = array[np.arange(array.shape[1]) < source.lengths[:, None]]
    names = source.feature_names or [f"feature_{i}" for i in range(source.n_features)]
    named = {name: values[:, i] for i, name in enumerate(names)}
    write_table({**step_columns(loaded), **named}, output, array=array)
