"""`unspool encode`: write the codes of sequences."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from unspool.cli.data_options import ReadingForModel, reads_data
from unspool.cli.options import Data, Device, Model, Output, load_model, require

EXAMPLE = "unspool encode etth1.unspool ETTh1.csv -o codes.parquet"


@reads_data
def encode(
    model: Model,
    data: Data,
    output: Output = None,
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Write statistics of the LSTM's hidden states and of its random kernels instead "
            "of the "
            "code.",
        ),
    ] = False,
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="1,2,…",
            help="With --features: statistics of the whole sequence (1), of its halves (2), of its "
            "quarters (4), …; 1 by default.",
        ),
    ] = None,
    device: Device = "auto",
    *,
    reading: ReadingForModel,
) -> None:
    """Write the code of every sequence, or of every window, of DATA.

    A table has one row for each sequence or window, and one column for each number of the code.
    Before them it has columns for the label, the id and the start of the window, if there are any.
    Windows are in the order of the rows of their first steps in DATA, and times are as in DATA.
    An .npy file has only the codes, in an array of shape (N, L). With --features, the columns are
    features instead of the code, with names such as state3_mean, state3_max_2of4 and kernel17.
    """
    from unspool.cli.long_outputs import unit_of, write_output
    from unspool.cli.step_columns import window_columns, window_order
    from unspool.io.long_output import Rows
    from unspool.io.time_output import with_features
    from unspool.io.write import check_writable

    check_writable(output)
    parts = _parts(scales, features=features)
    trained = require(
        load_model(model, device=device), "features" if features else "transform", "encode"
    )
    loaded = reading.read(data, trained)

    def rows(position: int, state: Any) -> Iterator[Rows]:
        if features:
            pieces = trained.in_pieces("features", loaded.X, start=position, scales=parts)
        else:
            pieces = trained.in_pieces("transform", loaded.X, start=position)
        for start, stop, values in pieces:
            names = [f"code_{i}" for i in range(values.shape[1])]
            if features:
                names = trained.feature_names(parts)
            numbers = dict(zip(names, values.T, strict=True))
            columns = window_columns(loaded, start, stop)
            yield Rows(stop, with_features(columns, numbers, "_feature"), values)

    write_output(
        output,
        rows,
        command="encode",
        model=model,
        data=data,
        options={"scales": parts if features else None, "device": device, "reading": reading},
        total=len(loaded.source),
        unit=unit_of(loaded.source),
        order=window_order(loaded),
    )


def _parts(scales: str | None, *, features: bool) -> tuple[int, ...]:
    """Parse the text of --scales."""
    from unspool.blueprint.features import check_scales
    from unspool.errors import InputError

    if scales is None:
        return (1,)
    if not features:
        raise InputError("--scales needs --features; add that, or leave --scales out.")
    try:
        return check_scales([int(one) for one in scales.split(",")])
    except ValueError:  # an InputError is one
        raise InputError(
            "--scales must be distinct whole numbers from 1 to 1024 with commas between them, "
            f"such as 1,2,4, got {scales!r}."
        ) from None
