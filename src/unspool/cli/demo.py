"""`unspool demo`: whole experiments, from the data to the pictures."""

import importlib
import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLE = "unspool demo sines -o sines-demo"


def demo(
    name: Annotated[
        str,
        typer.Argument(
            help="sines, ramp, moving_ones, next_value, images (of the articles), "
            "moving_digits (of the paper), or machine (anomalies in a temperature)."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Where files go.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data; those of the article by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Makes the run repeatable.")] = 0,
    mnist: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The four files of MNIST, for images and moving_digits; small digits otherwise.",
        ),
    ] = None,
) -> None:
    """Run an experiment whole: data, training, numbers, pictures and the model."""
    from unspool import _checks
    from unspool.demos import DEMOS
    from unspool.errors import InputError

    if name not in DEMOS:
        raise InputError(_checks.unknown_name("demo", name, DEMOS))
    _checks.raise_all(
        _checks.whole("--epochs", epochs, 1, none=True), _checks.whole("--seed", seed, 0)
    )
    run = importlib.import_module(f"unspool.demos.{name}").run
    given: dict[str, Any] = {"epochs": epochs, "data": mnist, "seed": seed}
    given = {key: value for key, value in given.items() if value is not None}
    if mnist is not None and "data" not in inspect.signature(run).parameters:
        raise InputError(f"The demo {name!r} has no use for --mnist; leave it out.")
    if epochs is not None and "epochs" not in inspect.signature(run).parameters:
        raise InputError(f"The demo {name!r} has no use for --epochs; leave it out.")
    run(output or Path("unspool-demo") / name, **given)
