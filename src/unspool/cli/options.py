"""Arguments that several commands share, and the data they lead to."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from unspool._terminal import console, printable_line

if TYPE_CHECKING:
    from unspool.data.file_data import FileData
    from unspool.estimators.base import Model as Trained

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="A .csv, .parquet, .npy, .npz, .tsv (UCR), .ts, .idx or .txt file."
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A file that `unspool fit` wrote, or `unspool detect --save`: the model in it.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="OUT", help="A .csv, .parquet or .npy file; stdout otherwise."
    ),
]
Device = Annotated[str, typer.Option("--device", help="A torch device; auto takes a GPU if any.")]

stderr = console(stderr=True)


def say(message: str) -> None:
    """Say something about the data, on stderr, in one line."""
    stderr.print(printable_line(message))


def load_model(path: Path, device: str = "auto") -> "Trained":
    """The model in a file; of a file with a detector, the model that it rests on."""
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.loading import load

    loaded: Any = load(path, device=device)
    if isinstance(loaded, AnomalyDetector):
        loaded = loaded.model_
    return cast("Trained", loaded)


def able(trained: "Trained", method: str) -> "Trained":
    """`trained`, if it has that method."""
    from unspool.errors import InputError

    if not hasattr(trained, method):
        raise InputError(
            f"`{method}` is not for a {type(trained).__name__}, which this file holds; fit a "
            "model that can do it, see `unspool fit --help`."
        )
    return trained


@dataclass(frozen=True)
class Columns:
    """What the columns of DATA are: the options of every command with data."""

    columns: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Columns that are features.")
    ] = None
    time: Annotated[str | None, typer.Option(help="Column that is the time.")] = None
    id: Annotated[str | None, typer.Option(help="Column that separates series.")] = None
    label: Annotated[
        str | None,
        typer.Option(help="Column that is the label: carried along, never trained on."),
    ] = None
    rows: Annotated[bool, typer.Option("--rows", help="Each row of the file is one sequence.")] = (
        False
    )

    def names(self) -> list[str] | None:
        """The columns that are features, where they were named."""
        return None if self.columns is None else [one.strip() for one in self.columns.split(",")]


@dataclass(frozen=True)
class Reading(Columns):
    """How to read DATA as sequences, or as windows of long series."""

    window: Annotated[
        int | None,
        typer.Option(help="Cut long series into windows of so many steps; as in fit if left out."),
    ] = None
    stride: Annotated[
        int | None,
        typer.Option(help="Steps from one window to the next; 1 if left out, or as in fit."),
    ] = None
    keep_short: Annotated[
        bool, typer.Option("--keep-short", help="Take series shorter than the window whole.")
    ] = False

    def read(
        self, data: Path, model: "Trained | None" = None, *, tail: bool = False, more: int = 0
    ) -> "FileData":
        """Read the file and say what was taken for what.

        With a `model`, its window, stride and feature names stand in for what is not given. A
        window gets `more` steps than asked for: its future.
        """
        from unspool.data.files import TABLES, read_file
        from unspool.errors import InputError

        window, stride = self.window, self.stride
        columns = self.names()
        if model is not None and not self.rows:
            if model.window_ is not None:
                window, stride = window or model.window_[0], stride or model.window_[1]
            known = getattr(model, "feature_names_in_", None)
            if columns is None and known is not None and data.suffix.lower() in TABLES:
                columns = [str(name) for name in known]
        try:
            loaded = read_file(
                data,
                window=None if window is None else window + more,
                stride=1 if stride is None else stride,
                columns=columns,
                time=self.time,
                id=self.id,
                label=self.label,
                rows=self.rows,
                tail=tail and window is not None,
                short="keep" if self.keep_short else "error",
            )
        except InputError as error:
            if self.columns is None and columns is not None and "`columns`" in str(error):
                error.add_note(f"The model was trained on the features {', '.join(columns)}.")
            raise
        for note in loaded.notes:
            say(f"{data.name}: {note}")
        say(f"{data.name}: {loaded.source!r}")
        return loaded


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that are the fields of its arguments' dataclasses.

    An argument annotated with `Reading`, say, is made of the options that `Reading` has.
    """
    signature = inspect.signature(command)
    groups: dict[str, Any] = {
        name: one.annotation
        for name, one in signature.parameters.items()
        if is_dataclass(one.annotation)
    }
    own = [one for name, one in signature.parameters.items() if name not in groups]
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for group in groups.values()
        for field in fields(group)
    ]

    @wraps(command)
    def with_groups(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    # typer looks at the signature and at the annotations.
    with_groups.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *shared]
    )
    with_groups.__annotations__ = {one.name: one.annotation for one in [*own, *shared]}
    return with_groups
