"""`unspool encode`: sequences in, their codes out."""

from typing import Annotated

import typer

from unspool.cli.options import Data, Device, Model, Output, Reading, able, load_model, reads_data

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
            help="Statistics of the LSTM's states and of its random kernels, not the code.",
        ),
    ] = False,
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="1,2,…",
            help="With --features: of the whole sequence (1), its halves (2), its quarters (4), …; "
            "1 if left out.",
        ),
    ] = None,
    device: Device = "auto",
    *,
    reading: Reading,
) -> None:
    """Write the code of every sequence, or of every window, of DATA.

    A table has a column for each number of the code, behind the label, the id and the start of the
    window where there are any; an .npy file has the codes alone, (N, L). With --features these
    are the columns, under their names (state3_mean, state3_max_2of4, kernel17), in place of the
    code's.
    """
    from unspool.data.write import check_writable, write_table

    check_writable(output)
    parts = _parts(scales, features=features)
    trained = able(load_model(model, device=device), "features" if features else "transform")
    loaded = reading.read(data, trained)
    if features:
        found = trained.features(loaded.source, scales=parts)
        names = trained.feature_names(parts)
    else:
        found = trained.transform(loaded.source)
        names = [f"code_{i}" for i in range(found.shape[1])]
    write_table({**loaded.index, **dict(zip(names, found.T, strict=True))}, output, array=found)


def _parts(scales: str | None, *, features: bool) -> tuple[int, ...]:
    """The numbers in --scales, `scales`."""
    from unspool.blueprint.features import check_scales
    from unspool.errors import InputError

    if scales is None:
        return (1,)
    if not features:
        raise InputError("--scales is of --features; give that too, or leave it out.")
    try:
        return check_scales([int(one) for one in scales.split(",")])
    except ValueError:  # an InputError is one
        raise InputError(
            "--scales must be distinct whole numbers from 1 to 1024 with commas between them, "
            f"such as 1,2,4, got {scales!r}."
        ) from None
