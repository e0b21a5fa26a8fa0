"""`unspool import`: a model of another framework made a model file."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "unspool import model.keras -o model.unspool"


def import_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .keras file.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="The model file to write.")
    ],
    second_input: Annotated[
        str,
        typer.Option(help="What a decoder's own input is: reversed_input or previous."),
    ] = "reversed_input",
    forecast: Annotated[
        bool | None,
        typer.Option(
            "--forecast/--no-forecast",
            help="Whether the output goes on after the end of the input; by its shape if left out.",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(help="Steps of the longest sequence, where the model leaves it open."),
    ] = None,
) -> None:
    """Make a Keras model a model of unspool's, which gives the same numbers.

    Encoders and decoders of LSTM, dense and convolutional layers can be had; a layer that has no
    counterpart is named. Needs Keras: pip install "unspool[keras]".
    """
    from unspool._files import check_output_path
    from unspool.cli.options import say
    from unspool.interop.keras import from_keras

    check_output_path(output)
    made = from_keras(
        model,
        second_input=second_input,  # type: ignore[arg-type]  # from_keras checks it
        forecast=forecast,
        max_length=max_length,
    )
    made.save(output)
    say(f"{output}: {' '.join(repr(made).split())}")
