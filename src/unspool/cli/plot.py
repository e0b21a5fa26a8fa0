"""`unspool plot`: draw a model, its reconstructions, codes and forecasts."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from unspool.cli import options
from unspool.cli.data_options import ReadingForModel, reads_data
from unspool.cli.options import Model, load_model, require
from unspool.cli.pictures import PICTURE_ENDINGS, save_picture

EXAMPLE = "unspool plot reconstruction etth1.unspool ETTh1.csv -o picture.png"


class Picture(StrEnum):
    """The kinds of pictures."""

    history = "history"
    reconstruction = "reconstruction"
    trace = "trace"
    scatter = "scatter"
    forecast = "forecast"
    images = "images"
    weights = "weights"
    diagram = "diagram"


WITHOUT_DATA = (Picture.history, Picture.weights, Picture.diagram)
WITH_COUNT = (Picture.reconstruction, Picture.trace, Picture.forecast, Picture.images)


@reads_data
def plot(
    picture: Annotated[
        Picture,
        typer.Argument(
            metavar="PICTURE",
            help="history: losses per epoch. reconstruction: sequences and their reconstructions. "
            "trace: codes of consecutive windows. scatter: codes in two dimensions, coloured by "
            "class. forecast: sequences, their continuations, and the forecasts. images: images "
            "above their reconstructions. weights: weights of the first dense layer, as images. "
            "diagram: layers of the model.",
        ),
    ],
    model: Model,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]", help="Data for all pictures but history, weights and diagram."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A .png, .svg, .pdf or .jpg file.")
    ] = Path("unspool.png"),
    count: Annotated[
        int | None,
        typer.Option(
            help="Number of sequences to show; by default 200 in a trace and 5 in other pictures."
        ),
    ] = None,
    start: Annotated[
        int | None, typer.Option(help="Index of the first sequence of a trace, from 0.")
    ] = None,
    per_feature: Annotated[
        bool,
        typer.Option(
            "--per-feature",
            help="Next to each reconstruction, draw a bar for the error of each feature.",
        ),
    ] = False,
    *,
    reading: ReadingForModel,
) -> None:
    """Draw a picture of MODEL, or of its results on DATA, and write it to a file."""
    import matplotlib

    matplotlib.use("Agg")
    from unspool import _checks, plots
    from unspool._files import check_output_path
    from unspool.errors import InputError

    _checks.raise_all(
        _checks.whole("--count", count, 1, none=True),
        _checks.whole("--start", start, 0, none=True),
    )
    if count is not None and picture not in WITH_COUNT:
        raise InputError(f"The picture {picture.value} has no --count; leave it out.")
    if start is not None and picture is not Picture.trace:
        raise InputError(f"The picture {picture.value} has no --start; leave it out.")
    if per_feature and picture is not Picture.reconstruction:
        raise InputError(f"The picture {picture.value} has no --per-feature; leave it out.")
    if picture in WITHOUT_DATA and (data is not None or reading != ReadingForModel()):
        raise InputError(
            f"The picture {picture.value} needs no DATA; leave out DATA and its options."
        )
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
        raise InputError(f"The picture {picture.value} needs DATA; name a file after MODEL.")
    else:
        more = trained.horizon_ if picture is Picture.forecast else 0
        loaded = reading.read(data, trained, more=more)
        source = loaded.source
        if picture is Picture.reconstruction:
            display = plots.ReconstructionDisplay.from_estimator(
                trained, source, n_sequences=count or 5, errors=per_feature
            )
        elif picture is Picture.images:
            display = plots.ImagesDisplay.from_estimator(trained, loaded.X, n_images=count or 5)
        elif picture is Picture.forecast:
            display = _continuations(
                require(trained, "forecast", "plot forecast"), source, count or 5
            )
        elif picture is Picture.trace:
            start = start or 0
            shown = source[start : start + (count or 200)]
            if not len(shown):
                raise InputError(
                    f"--start must be below {len(source)}, the number of sequences, got {start}."
                )
            display = plots.CodeTraceDisplay.from_estimator(trained, shown)
        else:
            display = plots.CodeScatterDisplay.from_estimator(
                trained, loaded.X, loaded.index.get("label")
            )
    save_picture(display, output)
    options.say(f"wrote {output}")


def _continuations(trained: Any, source: Any, count: int) -> Any:
    """Draw some sequences without their last steps, these steps, and the forecasts of them."""
    from unspool import plots
    from unspool.data.futures import Futures
    from unspool.data.sequences import Sequences

    chosen = np.unique(np.linspace(0, len(source) - 1, count).astype(int))
    form = trained._form
    futures = Futures(source, max(1, trained.horizon_), targets=form.targets, known=form.known)
    past, lengths, future = futures.take_with_future(chosen)
    sequences = Sequences(past, lengths, source.feature_names, source.missing)
    known = future[..., list(form.known)] if form.known else None
    return plots.ContinuationDisplay.from_estimator(
        trained, sequences, futures.targets_of(future), future=known
    )
