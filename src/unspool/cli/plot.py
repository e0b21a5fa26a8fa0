"""`unspool plot`: pictures of a model and of what it makes of data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from unspool.cli import options
from unspool.cli.options import Model, Reading, able, load_model, reads_data
from unspool.cli.pictures import PICTURE_ENDINGS, save_picture

EXAMPLE = "unspool plot reconstruction etth1.unspool ETTh1.csv -o again.png"


class Picture(StrEnum):
    """What to draw."""

    history = "history"
    reconstruction = "reconstruction"
    trace = "trace"
    scatter = "scatter"
    forecast = "forecast"
    images = "images"
    weights = "weights"
    diagram = "diagram"


OF_THE_MODEL = (Picture.history, Picture.weights, Picture.diagram)
COUNTED = (Picture.reconstruction, Picture.trace, Picture.forecast, Picture.images)


@reads_data
def plot(
    picture: Annotated[
        Picture,
        typer.Argument(
            help="history: losses by epoch. reconstruction: input and reconstruction. trace: the "
            "numbers of the code over consecutive windows. scatter: the codes in two dimensions, "
            "by class. forecast: sequences, how they go on, and the forecast. images: images over "
            "their reconstructions. weights: those of the first dense layer, as images. diagram: "
            "the layers of the model."
        ),
    ],
    model: Model,
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="What to draw a picture of.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A .png, .svg, .pdf or .jpg file.")
    ] = Path("unspool.png"),
    count: Annotated[
        int | None,
        typer.Option(help="Sequences to show: 200 in a trace, else 5 by default."),
    ] = None,
    start: Annotated[int | None, typer.Option(help="The first sequence of a trace.")] = None,
    *,
    reading: Reading,
) -> None:
    """Draw a picture of MODEL, or of what it makes of DATA, into a file."""
    import matplotlib

    matplotlib.use("Agg")
    from unspool import _checks, plots
    from unspool._files import check_output_path
    from unspool.errors import InputError

    _checks.raise_all(
        _checks.whole("--count", count, 1, none=True),
        _checks.whole("--start", start, 0, none=True),
    )
    if count is not None and picture not in COUNTED:
        raise InputError(f"A picture of the {picture.value} takes no --count; leave it out.")
    if start is not None and picture is not Picture.trace:
        raise InputError(f"A picture of the {picture.value} takes no --start; leave it out.")
    if picture in OF_THE_MODEL and (data is not None or reading != Reading()):
        raise InputError(f"A picture of the {picture.value} takes no DATA and no options for it.")
    if output.suffix.lower() not in PICTURE_ENDINGS:
        raise InputError(
            _checks.unknown_name("ending of a picture", output.suffix, PICTURE_ENDINGS)
        )
    check_output_path(output)
    trained = load_model(model)
    display: Any
    if picture is Picture.history:
        display = plots.TrainingHistoryDisplay.from_estimator(trained)
    elif picture is Picture.weights:
        display = plots.ImagesDisplay.from_weights(trained)
    elif picture is Picture.diagram:
        display = plots.ModelDiagramDisplay.from_estimator(trained)
    elif data is None:
        raise InputError(f"A picture of the {picture.value} needs DATA behind MODEL.")
    else:
        more = trained.horizon_ if picture is Picture.forecast else 0
        loaded = reading.read(data, trained, more=more)
        source = loaded.source
        if picture is Picture.reconstruction:
            display = plots.ReconstructionDisplay.from_estimator(
                trained, source, n_sequences=count or 5
            )
        elif picture is Picture.images:
            display = plots.ImagesDisplay.from_estimator(trained, source, n_images=count or 5)
        elif picture is Picture.forecast:
            display = _continuations(able(trained, "forecast"), source, count or 5)
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
    save_picture(display, output)
    options.say(f"wrote {output}")


def _continuations(trained: Any, source: Any, count: int) -> Any:
    """Some sequences, spread over all of them, without their ends; the ends; and the forecasts."""
    from unspool import plots
    from unspool.data.futures import Futures
    from unspool.data.sequences import Sequences

    chosen = np.unique(np.linspace(0, len(source) - 1, count).astype(int))
    past, lengths, future = Futures(source, max(1, trained.horizon_)).take_with_future(chosen)
    sequences = Sequences(past, lengths, source.feature_names)
    return plots.ContinuationDisplay.from_estimator(trained, sequences, future)
