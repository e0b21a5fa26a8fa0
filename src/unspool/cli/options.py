"""Arguments that several commands share, and the data they lead to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from unspool.data.loaded import Loaded
    from unspool.estimators.base import BaseAutoencoder

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="A .csv, .parquet, .npy, .npz, .tsv (UCR), .ts or .txt file."
    ),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A file that `unspool fit` wrote.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="OUT", help="A .csv, .parquet or .npy file; stdout otherwise."
    ),
]
WINDOW_HELP = "Cut long series into windows of so many steps"
FitWindow = Annotated[int | None, typer.Option("--window", help=f"{WINDOW_HELP}.")]
Window = Annotated[
    int | None, typer.Option("--window", help=f"{WINDOW_HELP}; as in fit if left out.")
]
FitStride = Annotated[
    int | None,
    typer.Option("--stride", help="Steps between windows; an eighth of the window if left out."),
]
Stride = Annotated[
    int | None, typer.Option("--stride", help="Steps between windows; as in fit if left out.")
]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="A,B,…", help="Columns that are features.")
]
Time = Annotated[str | None, typer.Option("--time", help="Column that is the time.")]
Id = Annotated[str | None, typer.Option("--id", help="Column that separates series.")]
Label = Annotated[
    str | None,
    typer.Option("--label", help="Column that is the label: carried along, never trained on."),
]
Rows = Annotated[bool, typer.Option("--rows", help="Each row of the file is one sequence.")]
PadShort = Annotated[
    bool, typer.Option("--pad-short", help="Take series shorter than the window whole.")
]
Device = Annotated[str, typer.Option("--device", help="A torch device; auto takes a GPU if any.")]

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Say something about the data, on stderr."""
    stderr.print(message, markup=False)


def read(
    data: Path,
    *,
    window: int | None,
    stride: int | None,
    columns: str | None,
    time: str | None,
    id: str | None,
    label: str | None,
    rows: bool,
    pad_short: bool,
    tail: bool = False,
    model: "BaseAutoencoder | None" = None,
) -> "Loaded":
    """Read the data of a command and say what was taken for what.

    With a `model`, its window, stride and feature names stand in for what is not given.
    """
    from unspool.data.files import TABLES, read_file

    names = None if columns is None else [name.strip() for name in columns.split(",")]
    if model is not None:
        if model.window_ is not None and not rows:
            window = window or model.window_[0]
            stride = stride or model.window_[1]
        known = getattr(model, "feature_names_in_", None)
        if names is None and known is not None and data.suffix.lower() in TABLES and not rows:
            names = [str(name) for name in known]
    loaded = read_file(
        data,
        window=window,
        stride=1 if stride is None else stride,
        columns=names,
        time=time,
        id=id,
        label=label,
        rows=rows,
        tail=tail and window is not None,
        short="pad" if pad_short else "error",
    )
    for note in loaded.notes:
        say(f"{data.name}: {note}")
    say(f"{data.name}: {loaded.source!r}")
    return loaded
