"""`unspool reconstruct`: write the reconstructions of sequences."""

from dataclasses import replace
from typing import Annotated

import numpy as np
import typer

from unspool.cli.data_options import ReadingForModel, reads_data
from unspool.cli.options import Data, Device, Model, Output, load_model, require

EXAMPLE = "unspool reconstruct etth1.unspool ETTh1.csv -o reconstruction.csv"


@reads_data
def reconstruct(
    model: Model,
    data: Data,
    output: Output = None,
    impute: Annotated[
        bool,
        typer.Option(
            "--impute",
            help="Replace only the missing values of the targets; write all others as they are.",
        ),
    ] = False,
    device: Device = "auto",
    *,
    reading: ReadingForModel,
) -> None:
    """Write the reconstruction of DATA, one row per time step, in the units of the data.

    For long series, overlapping windows are averaged, and the rows are the steps of the series.
    Rows have the order, ids and times of DATA. A feature with the name of another column, such as
    time, gets the name time_feature. An
    .npy file has only the features, in an array of shape (rows, F) for long series, else (N, T, F)
    with NaN after the end of a sequence. If training with --horizon took the last steps
    of each sequence as the target of a forecast, only the steps before them are reconstructed.
    """
    from unspool.cli.step_columns import (
        names_of_features,
        names_of_targets,
        say_left_out,
        step_columns,
        step_order,
    )
    from unspool.data.windows import Windows
    from unspool.io.time_output import in_order, with_features
    from unspool.io.write import check_writable, write_table

    check_writable(output)
    trained = require(load_model(model, device=device), "reconstruct", "reconstruct")
    loaded = reading.read(data, trained, tail=True)
    loaded = replace(loaded, source=trained._without_future(loaded.source))
    source, run = loaded.source, trained.impute if impute else trained.reconstruct
    if isinstance(source, Windows):
        values = np.concatenate(run(source, merge=True))
        say_left_out(source, values)
        array = values
    else:
        array = run(loaded.X)
        values = array.reshape(*source.values.shape[:2], -1)[
            np.arange(source.values.shape[1]) < source.lengths[:, None]
        ]
    names = names_of_features(source) if impute else names_of_targets(trained, source)
    named = {name: values[:, i] for i, name in enumerate(names)}
    order = step_order(loaded)
    table = in_order(with_features(step_columns(loaded), named, "_feature"), order)
    if order is not None and isinstance(source, Windows):
        array = array[order]
    write_table(table, output, array=array)
