"""`unspool import`: convert a Keras model to a model file."""

import re
from pathlib import Path
from typing import Annotated

import typer

from unspool.cli.flags import with_flags

EXAMPLE = "unspool import model.keras -o model.unspool"


def import_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .keras file.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="The model file to write.")
    ],
    second_input: Annotated[
        str,
        typer.Option(
            help="What a decoder reads in addition to the code: reversed_input or previous."
        ),
    ] = "reversed_input",
    forecast: Annotated[
        bool | None,
        typer.Option(
            "--forecast/--no-forecast",
            help="Whether the output is a forecast, or a quantity that is no feature of the input; "
            "by default decided by its shape.",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(help="Length of the longest sequence, if the Keras model does not fix it."),
    ] = None,
) -> None:
    """Convert a Keras model to an unspool model that returns the same numbers.

    Encoders and decoders may consist of LSTM, GRU, dense and convolutional layers; any other layer
    is refused by its name. What had to be guessed is printed
    with the flag that changes it. This needs Keras: pip install "unspool[keras]".
    """
    from unspool._files import check_output_path
    from unspool.cli.options import say
    from unspool.errors import InputError
    from unspool.interop.keras import from_keras

    check_output_path(output)
    try:
        converted = from_keras(
            model,
            second_input=second_input,  # type: ignore[arg-type]  # from_keras checks it
            forecast=forecast,
            max_length=max_length,
        )
    except InputError as error:
        raise InputError(_with_flags(str(error))) from None
    for note in converted.import_notes_:
        say(f"note: {_with_flags(note)}")
    converted.save(output)
    say(f"{output}: {' '.join(repr(converted).split())}")


def _with_flags(text: str) -> str:
    """Replace the arguments of `from_keras` in a message by flags of the command."""
    text = text.replace("forecast=True", "--forecast").replace("forecast=False", "--no-forecast")
    text = re.sub(r"second_input='(\w+)'", r"--second-input \1", text)
    return with_flags(text, ("second_input", "forecast", "max_length"), ())
