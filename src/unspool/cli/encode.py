"""`unspool encode`: sequences in, their codes out."""

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

EXAMPLE = "unspool encode transformer.unspool ETTh1.csv -o codes.parquet"


def encode(
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
    """Write the code of every sequence, or of every window, of DATA.

    A table has a column for each number of the code, behind the label, the id and the start of the
    window where there are any; an .npy file has the codes alone, (N, L).
    """
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
        model=trained,
    )
    codes = trained.transform(loaded.source)
    named = {f"code_{i}": codes[:, i] for i in range(codes.shape[1])}
    write_table({**loaded.index, **named}, output, array=codes)
