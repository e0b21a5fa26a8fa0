"""All commands; each is a function in a separate module."""

from typing import Annotated, Any

import typer

import unspool
from unspool.cli import (
    demo,
    detect,
    encode,
    evaluate,
    export,
    fit,
    forecast,
    import_,
    inspect,
    plot,
    reconstruct,
    score,
    warmup,
)
from unspool.cli.interrupted import reports_interruption

app = typer.Typer(
    name="unspool",
    help="Train autoencoders of sequences; compute codes, reconstructions, forecasts and "
    "anomalies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)

# The error of wrong usage, of whichever copy of click typer uses.
UsageError: Any = typer.BadParameter.__mro__[1]
Abort = typer.Abort

COMMANDS = (
    demo,
    fit,
    encode,
    reconstruct,
    forecast,
    score,
    detect,
    evaluate,
    inspect,
    plot,
    export,
    import_,
    warmup,
)

for module in COMMANDS:
    name = module.__name__.rpartition(".")[2]
    command = reports_interruption(getattr(module, name))
    app.command(name.rstrip("_"), epilog=f"Example: {module.EXAMPLE}")(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"unspool {unspool.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train autoencoders of sequences; compute codes, reconstructions, forecasts and anomalies."""
