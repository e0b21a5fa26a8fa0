"""The options for reading DATA, and how the commands read it.

`Columns` has those of every command that reads data, `Reading` also how series are cut for
training, and `ReadingForModel` those of commands that use a trained model.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unspool._types import Missing as MissingName
    from unspool._types import MissingPolicy
    from unspool.estimators.base import Model as Trained
    from unspool.io.file_data import FileData

from unspool.cli.option_values import gap_limit, number_or_text, split_names


class OnMissing(StrEnum):
    """What happens to missing values."""

    refuse = "raise"
    mask = "mask"
    drop = "drop"
    interpolate = "interpolate"


class Files(StrEnum):
    """How the files of a folder or a pattern are read."""

    series = "series"
    rows = "rows"


STEPS = "STEPS|DURATION"
READING = "Reading DATA"  # the part of --help for the options of `Columns` and `Reading`


@dataclass(frozen=True)
class Columns:
    """The roles of the columns of DATA: options of every command that reads data."""

    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Names of the feature columns. By default: with a model, those it was trained on; "
            "else all columns that have no other role.",
        ),
    ] = None
    time: Annotated[
        str | None,
        typer.Option(help="Name of the time column; by default recognised by name or content."),
    ] = None
    id: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Name of the column that separates series, or names of several that do so "
            "together; by default recognised by name or, if times repeat, because they rise within "
            "each of its values.",
        ),
    ] = None
    label: Annotated[
        str | None,
        typer.Option(
            help="Name of the label column; by default recognised by name and values. Labels are "
            "passed on to the output and never used for training."
        ),
    ] = None
    rows: Annotated[
        bool | None,
        typer.Option(
            "--rows/--no-rows",
            help="Whether each row of DATA is one sequence. By default it is if the columns have "
            "dates as names.",
        ),
    ] = None
    missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B,…",
            help="Numbers and texts that mean that a value is missing, such as -200,unknown, in "
            "addition to empty cells and usual words such as NA and ?; may be given several times.",
        ),
    ] = None
    on_missing: Annotated[
        OnMissing | None,
        typer.Option(
            metavar="raise|mask|drop|interpolate",
            help="What to do with missing values: raise an error (the default); mask them, for a "
            "model that reads where they are missing (the default with such a model); drop the "
            "steps that have one; or interpolate.",
        ),
    ] = None
    interpolate_limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Interpolate at most N successive missing values; by default any number.",
        ),
    ] = None
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column to ignore; may be given several times."),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to read in a file of several: an array (.npz, .mat), a data set (.h5), a "
            "sheet (.xlsx), the path of records (.json), or a file (.zip).",
        ),
    ] = None
    files: Annotated[
        Files | None,
        typer.Option(
            metavar="series|rows",
            help="If DATA is a folder or a pattern: each file is a series, named by the file (the "
            "default); or the rows of all files, in the order of their names, are one table.",
        ),
    ] = None
    images: Annotated[
        bool | None,
        typer.Option(
            "--images/--no-images",
            help="Read an array (N, H, W) or (N, H, W, C) as images. By default only for models of "
            "images, and for --kind conv if DATA is an IDX file or an .npy of four axes or bytes.",
        ),
    ] = None
    skip: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Lines of a text before its header, or before its data; by default found.",
        ),
    ] = None
    header: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Lines of the header of a text, 0 if it has none; by default found."
        ),
    ] = None
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="Separator of the fields of a text, or one of the words tab and space; by default "
            "found.",
        ),
    ] = None
    decimal: Annotated[
        str | None,
        typer.Option(metavar=".|,", help="Decimal point of numbers in a text; by default found."),
    ] = None
    thousands: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="Character between groups of three digits in a text; by default found.",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of a text, such as latin-1; by default found."),
    ] = None
    date_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of times in a text, such as '%d.%m.%Y %H:%M'; by default found.",
        ),
    ] = None
    day_first: Annotated[
        bool | None,
        typer.Option(
            "--day-first/--month-first",
            help="Whether the day comes before the month in dates such as 01/02/2024; by default "
            "decided from all dates of the column.",
        ),
    ] = None

    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read the values of Parquet, .npy and HDF5 files in pieces, when they are needed; "
            "by default if they take more than an eighth of the free memory.",
        ),
    ] = None

    def names(self) -> list[str] | None:
        """Return the names in --columns, or None without that option."""
        return None if self.columns is None else split_names(self.columns)

    def missing_values(self) -> list[float | str]:
        """Return the numbers and texts in --missing."""
        given = [one.strip() for text in self.missing or () for one in text.split(",")]
        policy = next((one for one in given if one in {*OnMissing}), None)
        if policy is not None:
            raise typer.BadParameter(
                f"it names values that mean missing, such as -200; give --on-missing {policy}",
                param_hint="--missing",
            )
        return [number_or_text(one) for one in given if one]

    def unless_given(self, reading: dict[str, Any]) -> dict[str, Any]:
        """Return what training was given for reading, without its policy if there is one now."""
        if self.on_missing is None:
            return reading
        policy = ("missing", "interpolate_limit")
        return {name: value for name, value in reading.items() if name not in policy}

    def policy(self, missing: "MissingName") -> "MissingPolicy":
        """Return what happens to missing values, for a model that accepts them or does not."""
        from unspool.errors import InputError

        if self.on_missing is None:
            return missing
        if self.on_missing == OnMissing.mask and missing == "raise":
            raise InputError(
                "--on-missing mask needs a model that was trained with --on-missing mask; give "
                "--on-missing interpolate or --on-missing drop."
            )
        return self.on_missing.value

    def kept(self) -> dict[str, Any]:
        """Return the arguments that a model keeps: `keywords`, and what to do with missing values.

        Whether a model accepts missing values is one of its parameters.
        """
        policy = self.on_missing
        keep = policy is not None and policy != OnMissing.mask
        return self.keywords() | ({"missing": policy.value} if policy and keep else {})

    def keywords(self) -> dict[str, Any]:
        """Return the arguments of `read_file` that these options give, except `columns`."""
        words = {"tab": "\t", "space": " "}
        delimiter = self.delimiter
        return {
            "drop": self.drop or (),
            "time": self.time,
            "id": self.id,
            "label": self.label,
            "rows": self.rows,
            "key": self.key,
            "images": bool(self.images),
            "files": "series" if self.files is None else self.files.value,
            "skip": self.skip,
            "header": self.header,
            "delimiter": None if delimiter is None else words.get(delimiter, delimiter),
            "decimal": self.decimal,
            "thousands": self.thousands,
            "encoding": self.encoding,
            "date_format": self.date_format,
            "day_first": self.day_first,
            "missing_values": self.missing_values(),
            "interpolate_limit": self.interpolate_limit,
            "stream": self.stream,
        }


@dataclass(frozen=True)
class Reading(Columns):
    """How DATA is read for training: as sequences, or as windows of long series."""

    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Names of the feature columns; by default all columns that have no other role.",
        ),
    ] = None
    window: Annotated[
        str | None,
        typer.Option(
            metavar=STEPS,
            help="Cut long series into windows of this many steps, or of a duration such as 6h.",
        ),
    ] = None
    stride: Annotated[
        str | None,
        typer.Option(
            metavar=STEPS, help="Steps or duration from one window to the next; 1 step by default."
        ),
    ] = None
    dilation: Annotated[
        int | None,
        typer.Option(
            help="Steps of the series from one step of a window to the next; 1 by default."
        ),
    ] = None
    max_gap: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Leave out windows in which two neighbouring steps are further apart in time, "
            "such as 2h; none for no limit. By default 2.5 times the median distance if the "
            "times are dates at regular distances.",
        ),
    ] = None
    keep_short: Annotated[
        bool,
        typer.Option(
            "--keep-short",
            help="Keep series that are shorter than the window, each as one sequence.",
        ),
    ] = False

    def kept(self) -> dict[str, Any]:
        """Return the arguments that a model keeps, also that gaps in time do not matter.

        A duration is kept by the model as its largest gap.
        """
        free = self.max_gap is not None and gap_limit(self.max_gap) is None
        return super().kept() | ({"max_gap": None} if free else {})

    def read(
        self,
        data: Path,
        model: "Trained | None" = None,
        *,
        tail: bool = False,
        more: int = 0,
        weight: str | None = None,
        missing: "MissingName" = "raise",
        maybe_images: bool = False,
    ) -> "FileData":
        """Read the file, and print the role of each column.

        Options that are not given are taken from the `model`: window, stride, feature names, and
        whether values may be `missing`. Each window is lengthened by `more` steps, which are its
        future. `weight` is the column of weights. With `maybe_images`, a file that surely holds
        images is read as images.
        """
        from unspool.cli.data_reading import read_data
        from unspool.cli.reading import read_without_lost_key, reading_of
        from unspool.cli.stdin import data_path

        data = data_path(data)
        before = {} if model is None else self.unless_given(reading_of(model))
        of_file = partial(
            read_data,
            self,
            data,
            model,
            tail=tail,
            more=more,
            weight=weight,
            missing=missing,
            maybe_images=maybe_images,
        )
        return read_without_lost_key(data, before, of_file)


@dataclass(frozen=True)
class ReadingForModel(Reading):
    """How DATA is read for a trained model: by default as in training."""

    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Names of the feature columns; by default those that the model was trained on.",
        ),
    ] = None
    window: Annotated[
        str | None,
        typer.Option(
            metavar=STEPS,
            help="Cut long series into windows of this many steps, or of a duration such as 6h; by "
            "default as in training.",
        ),
    ] = None
    stride: Annotated[
        str | None,
        typer.Option(
            metavar=STEPS,
            help="Steps or duration from one window to the next; by default as in training.",
        ),
    ] = None
    dilation: Annotated[
        int | None,
        typer.Option(
            help="Steps of the series from one step of a window to the next; by default as in "
            "training."
        ),
    ] = None
    max_gap: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Leave out windows in which two neighbouring steps are further apart in time, "
            "such as 2h; none for no limit. By default as in training.",
        ),
    ] = None


def _in_panel(annotation: Any) -> Any:
    """Return the annotation of an option that --help lists under `READING`."""
    option = copy.copy(annotation.__metadata__[0])
    option.rich_help_panel = READING
    return Annotated[annotation.__origin__, option]


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Add to a command the options that are fields of its dataclass arguments.

    An argument annotated with `Reading`, for example, is built from the options of `Reading`.
    """
    signature = inspect.signature(command)
    groups: dict[str, Any] = {
        name: one.annotation
        for name, one in signature.parameters.items()
        if is_dataclass(one.annotation)
    }
    plain = [one for name, one in signature.parameters.items() if name not in groups]
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_in_panel(field.type) if issubclass(group, Columns) else field.type,
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

    # typer reads the signature and the annotations.
    with_groups.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in plain), *shared]
    )
    with_groups.__annotations__ = {one.name: one.annotation for one in [*plain, *shared]}
    return with_groups
