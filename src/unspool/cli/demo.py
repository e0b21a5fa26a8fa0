"""`unspool demo`: whole experiments, from the data to the pictures."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "unspool demo sines -o sines-demo"


def demo(
    name: Annotated[str, typer.Argument(help="Which one: sines.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Where files go.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training windows.")] = 30,
    seed: Annotated[int, typer.Option(help="Makes the run repeatable.")] = 0,
) -> None:
    """Run an experiment of the articles: train, encode, classify, draw, and save the model."""
    from unspool import _checks
    from unspool.demos import DEMOS
    from unspool.errors import InputError

    if name not in DEMOS:
        raise InputError(_checks.unknown_name("demo", name, DEMOS))
    _checks.raise_all(_checks.whole("--epochs", epochs, 1), _checks.whole("--seed", seed, 0))
    DEMOS[name](output or Path("unspool-demo") / name, epochs=epochs, seed=seed)
