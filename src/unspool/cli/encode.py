"""`unspool encode`: sequences in, their codes out."""

from unspool.cli.options import Data, Device, Model, Output, Reading, able, reads_data

EXAMPLE = "unspool encode transformer.unspool ETTh1.csv -o codes.parquet"


@reads_data
def encode(
    model: Model,
    data: Data,
    output: Output = None,
    device: Device = "auto",
    *,
    reading: Reading,
) -> None:
    """Write the code of every sequence, or of every window, of DATA.

    A table has a column for each number of the code, behind the label, the id and the start of the
    window where there are any; an .npy file has the codes alone, (N, L).
    """
    from unspool.data.write import check_writable, write_table
    from unspool.estimators.loading import load

    check_writable(output)
    trained = able(load(model, device=device), "transform")
    loaded = reading.read(data, trained)
    codes = trained.transform(loaded.source)
    named = {f"code_{i}": codes[:, i] for i in range(codes.shape[1])}
    write_table({**loaded.index, **named}, output, array=codes)
