"""`unspool reconstruct`: sequences in, what the model makes of them out."""

from dataclasses import replace

import numpy as np

from unspool.cli.options import Data, Device, Model, Output, Reading, able, load_model, reads_data

EXAMPLE = "unspool reconstruct etth1.unspool ETTh1.csv -o again.csv"


@reads_data
def reconstruct(
    model: Model,
    data: Data,
    output: Output = None,
    device: Device = "auto",
    *,
    reading: Reading,
) -> None:
    """Write the reconstruction of DATA, a row for every time step, in the units of the data.

    Where the data is long series, overlapping windows are averaged and the rows are those of the
    series. An .npy file has the features alone: (rows, F) for long series, else (N, T, F) with
    NaN past the end of a sequence. A model whose training cut the last steps off every sequence
    (--horizon) reconstructs what comes before them.
    """
    from unspool.cli.by_step import step_columns
    from unspool.data.windows import Windows
    from unspool.data.write import check_writable, write_table

    check_writable(output)
    trained = able(load_model(model, device=device), "reconstruct")
    loaded = reading.read(data, trained, tail=True)
    loaded = replace(loaded, source=trained._without_future(loaded.source))
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
