"""`unspool reconstruct`: write the reconstructions of sequences."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

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
    from unspool.cli.long_outputs import padded, unit_of, write_output
    from unspool.cli.step_columns import (
        Steps,
        empty_rows,
        names_of_features,
        names_of_targets,
        say_left_out,
    )
    from unspool.data.sequences import FloatArray
    from unspool.data.windows import Windows
    from unspool.io.long_output import Rows
    from unspool.io.time_output import with_features
    from unspool.io.write import check_writable

    check_writable(output)
    trained = require(load_model(model, device=device), "reconstruct", "reconstruct")
    loaded = reading.read(data, trained, tail=True)
    loaded = replace(loaded, source=trained._without_future(loaded.source))
    source, steps = loaded.source, Steps(loaded)
    merge = isinstance(source, Windows)
    names = names_of_features(source) if impute else names_of_targets(trained, source)
    method: Literal["impute", "reconstruct"] = "impute" if impute else "reconstruct"

    of_array = output is not None and output.suffix.lower() == ".npy"

    def rows(position: int, state: Any) -> Iterator[Rows]:
        left_out = state or 0
        array: FloatArray | None
        given = source if merge else loaded.X
        for first, stop, found in trained.in_pieces(method, given, start=position, merge=merge):
            if merge:
                left_out += empty_rows(found)
                columns, values, array = steps.columns(first, stop), found, found
            else:
                columns = steps.columns(steps.first_of(first), steps.first_of(stop))
                by_step = found.reshape(len(found), -1, len(names))
                lengths = source.lengths_of(np.arange(first, stop))
                values = by_step[np.arange(by_step.shape[1]) < lengths[:, None]]
                array = padded(found, source.max_length) if of_array else None
            named = {name: values[:, i] for i, name in enumerate(names)}
            yield Rows(stop, with_features(columns, named, "_feature"), array, left_out)
        if isinstance(source, Windows):
            say_left_out(source, left_out, steps.count)

    write_output(
        output,
        rows,
        command="reconstruct",
        model=model,
        data=data,
        options={"impute": impute, "device": device, "reading": reading},
        total=steps.count if merge else len(source),
        unit="steps" if merge else unit_of(source),
        order=steps.order(),
        order_array=merge,
    )
