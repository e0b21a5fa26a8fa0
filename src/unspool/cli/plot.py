"""`unspool plot`: pictures of a model and of what it makes of data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from unspool.cli import options
from unspool.cli.options import Model, Reading, reads_data

EXAMPLE = "unspool plot reconstruction transformer.unspool ETTh1.csv -o again.png"

ENDINGS = (".png", ".svg", ".pdf", ".jpg")


class Picture(StrEnum):
    """What to draw."""

    history = "history"
    reconstruction = "reconstruction"
    trace = "trace"
    scatter = "scatter"


@reads_data
def plot(
    picture: Annotated[
        Picture,
        typer.Argument(
            help="history: losses by epoch. reconstruction: input and reconstruction. trace: the "
            "numbers of the code over consecutive windows. scatter: the codes in two dimensions, "
            "by class."
        ),
    ],
    model: Model,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Needed for all but the history.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A .png, .svg, .pdf or .jpg file.")
    ] = Path("unspool.png"),
    count: Annotated[
        int | None,
        typer.Option(help="Sequences to show: 5 in a reconstruction, 200 in a trace by default."),
    ] = None,
    start: Annotated[int | None, typer.Option(help="The first sequence of a trace.")] = None,
    *,
    reading: Reading,
) -> None:
    """Draw a picture of MODEL, or of what it makes of DATA, into a file."""
    import matplotlib

    matplotlib.use("Agg")
    from unspool import _checks, plots
    from unspool._files import check_folder, whole_or_not
    from unspool.errors import InputError
    from unspool.estimators.loading import load

    _checks.raise_all(
        _checks.whole("--count", count, 1, none=True),
        _checks.whole("--start", start, 0, none=True),
    )
    if count is not None and picture not in (Picture.reconstruction, Picture.trace):
        raise InputError(f"A picture of the {picture.value} takes no --count; leave it out.")
    if start is not None and picture is not Picture.trace:
        raise InputError(f"A picture of the {picture.value} takes no --start; leave it out.")
    if picture is Picture.history and (data is not None or reading != Reading()):
        raise InputError("A picture of the history takes no DATA and no options for it.")
    if output.suffix.lower() not in ENDINGS:
        raise InputError(_checks.unknown_name("ending of a picture", output.suffix, ENDINGS))
    check_folder(output)
    trained = load(model)
    display: Any
    if picture is Picture.history:
        display = plots.TrainingHistoryDisplay.from_estimator(trained)
    elif data is None:
        raise InputError(f"A picture of the {picture.value} needs DATA behind MODEL.")
    else:
        loaded = reading.read(data, trained)
        source = loaded.source
        if picture is Picture.reconstruction:
            display = plots.ReconstructionDisplay.from_estimator(
                trained, source, n_sequences=count or 5
            )
        elif picture is Picture.trace:
            start = start or 0
            shown = source[start : start + (count or 200)]
            if not len(shown):
                raise InputError(f"Expected --start below {len(source)}, got {start}.")
            display = plots.CodeTraceDisplay.from_estimator(trained, shown)
        else:
            display = plots.CodeScatterDisplay.from_estimator(
                trained, source, loaded.index.get("label")
            )
    with whole_or_not(output) as file:
        display.figure_.savefig(file, format=output.suffix[1:].lower(), dpi=150)
    options.say(f"wrote {output}")
