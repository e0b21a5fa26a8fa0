"""`unspool import`: convert a Keras model or PyTorch weights to a model file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.flags import with_flags
from unspool.errors import InputError

if TYPE_CHECKING:
    from unspool.interop.imported import Estimator

EXAMPLE = "unspool import model.keras -o model.unspool"
TORCH = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
FLAGS = (
    *("second_input", "forecast", "max_length", "encoder", "code", "decoder_input", "decoder"),
    *("head", "ignore", "decoder_kind", "horizon", "pooling", "reverse_target", "head_activation"),
    *("output_activation", "mean", "scale", "target_mean", "target_scale"),
)
PYTORCH, KERAS = "PyTorch weights", "Keras models"


def _modules(text: str) -> Any:
    """Return the names of an option, which are separated by commas, or None."""
    return [name.strip() for name in text.split(",")] if text else None


def _numbers(name: str, text: str) -> list[float] | None:
    """Return the numbers of an option, which are separated by commas, or None."""
    try:
        return [float(number) for number in text.split(",")] if text else None
    except ValueError:
        raise InputError(f"{name} needs numbers separated by commas, got {text!r}.") from None


def _names_option(help_: str) -> Any:
    return typer.Option(metavar="NAMES", help=help_, rich_help_panel=PYTORCH)


def import_(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A .keras, .h5 or .hdf5 file, or PyTorch weights: a .pt, .pth, .ckpt or "
            ".safetensors file.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="The model file to write.")
    ],
    second_input: Annotated[
        str | None,
        typer.Option(
            help="What a decoder reads in addition to the code: reversed_input (default) or "
            "previous.",
            rich_help_panel=KERAS,
        ),
    ] = None,
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
        typer.Option(help="Length of the longest sequence, if the model does not fix it."),
    ] = None,
    encoder: Annotated[
        str, _names_option("Modules of LSTM or GRU layers that encode, separated by commas.")
    ] = "",
    code: Annotated[
        str, _names_option("Linear layer from the encoder's last state to the code.")
    ] = "",
    decoder_input: Annotated[str, _names_option("Linear layer from the code to the decoder.")] = "",
    decoder: Annotated[str, _names_option("Modules of LSTM or GRU layers that decode.")] = "",
    head: Annotated[str, _names_option("Linear layers at the output.")] = "",
    ignore: Annotated[str, _names_option("Modules or tensors that predictions do not use.")] = "",
    classify: Annotated[
        bool,
        typer.Option(
            "--classify", help="The head has a softmax over classes.", rich_help_panel=PYTORCH
        ),
    ] = False,
    decoder_kind: Annotated[
        str | None,
        typer.Option(
            help="What the decoder reads: repeat, reversed_input, previous, state, "
            "state_reversed_input or state_previous.",
            rich_help_panel=PYTORCH,
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(help="Number of steps of the forecast.", rich_help_panel=PYTORCH),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(
            help="What the code is made of: last (default), mean, max or mean_max.",
            rich_help_panel=PYTORCH,
        ),
    ] = None,
    reverse_target: Annotated[
        bool,
        typer.Option(
            "--reverse-target",
            help="The decoder writes the sequence from its last step to its first.",
            rich_help_panel=PYTORCH,
        ),
    ] = False,
    head_activation: Annotated[
        str | None,
        typer.Option(
            help="Activation between the layers of the head; relu by default.",
            rich_help_panel=PYTORCH,
        ),
    ] = None,
    output_activation: Annotated[
        str | None,
        typer.Option(help="Activation of the output; linear by default.", rich_help_panel=PYTORCH),
    ] = None,
    mean: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="The model reads (x - mean) / scale: a number, or one per feature, separated by "
            "commas.",
            rich_help_panel=PYTORCH,
        ),
    ] = "",
    scale: Annotated[
        str, typer.Option(metavar="NUMBERS", help="See --mean.", rich_help_panel=PYTORCH)
    ] = "",
    target_mean: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="The same for a forecast that is no feature of the input.",
            rich_help_panel=PYTORCH,
        ),
    ] = "",
    target_scale: Annotated[
        str, typer.Option(metavar="NUMBERS", help="See --target-mean.", rich_help_panel=PYTORCH)
    ] = "",
) -> None:
    """Convert a Keras model or PyTorch weights to an unspool model that returns the same numbers.

    Encoders and decoders may consist of LSTM, GRU, dense and convolutional layers (PyTorch: LSTM,
    GRU and linear layers); any other layer is refused by its name. What had to be guessed is
    printed with the flag that changes it. A Keras model needs Keras: pip install "unspool[keras]".
    """
    from unspool._files import check_output_path
    from unspool.cli.options import say

    check_output_path(output)
    modules = {
        "encoder": _modules(encoder),
        "code": _modules(code),
        "decoder_input": _modules(decoder_input),
        "decoder": _modules(decoder),
        "head": _modules(head),
    }
    options = {
        "decoder_kind": decoder_kind,
        "horizon": horizon,
        "pooling": pooling,
        "reverse_target": reverse_target or None,
        "head_activation": head_activation,
        "output_activation": output_activation,
    }
    scaling = _numbers("--mean", mean), _numbers("--scale", scale)
    targets = _numbers("--target-mean", target_mean), _numbers("--target-scale", target_scale)
    torch_only = [
        *(name for name, value in {**modules, **options}.items() if value is not None),
        *(["ignore"] if ignore else []),
        *(["classify"] if classify else []),
        *(
            name
            for name, text in (
                ("mean", mean),
                ("scale", scale),
                ("target_mean", target_mean),
                ("target_scale", target_scale),
            )
            if text
        ),
    ]
    if model.suffix.lower() in TORCH:
        if second_input is not None:
            raise InputError("--second-input is for Keras models; use --decoder-kind.")
        if forecast and classify:
            raise InputError("--forecast and --classify exclude each other; leave one out.")
        task = {True: "forecast", False: "reconstruction", None: None}[forecast]
        given = {name: value for name, value in options.items() if value is not None}
        converted = _from_torch(
            model,
            modules,
            _modules(ignore) or (),
            {
                "max_length": max_length,
                "task": "classification" if classify else task,
                "scaling": scaling,
                "target_scaling": targets,
                **given,
            },
        )
    else:
        if torch_only:
            option = f"--{torch_only[0].replace('_', '-')}"
            raise InputError(f"{option} is for PyTorch weights ({', '.join(TORCH)}); leave it out.")
        from unspool.interop.keras import from_keras

        try:
            converted = from_keras(
                model,
                second_input=second_input or "reversed_input",  # type: ignore[arg-type]  # checked
                forecast=forecast,
                max_length=max_length,
            )
        except InputError as error:
            raise InputError(_with_flags(str(error))) from None
    for note in converted.import_notes_:
        say(f"note: {_with_flags(note)}")
    converted.save(output)
    say(f"{output}: {' '.join(repr(converted).split())}")


def _from_torch(
    path: Path, modules: dict[str, Any], ignore: Any, options: dict[str, Any]
) -> "Estimator":
    """Convert PyTorch weights, with flags in messages."""
    from unspool.interop.torch.importing import import_state
    from unspool.interop.torch.importing_parts import Wiring

    if options["max_length"] is None:
        raise InputError(
            "PyTorch weights do not contain the number of steps of a sequence; add --max-length N."
        )
    try:
        return import_state(path, modules, ignore, Wiring(**options))
    except InputError as error:
        raise InputError(_with_flags(str(error))) from None


def _with_flags(text: str) -> str:
    """Replace the arguments of `from_keras` and `from_torch` in a message by flags."""
    text = text.replace("forecast=True", "--forecast").replace("forecast=False", "--no-forecast")
    text = text.replace("task='forecast'", "--forecast").replace(
        "task='classification'", "--classify"
    )
    text = re.sub(
        r"\b(second_input|decoder_kind|pooling)='(\w+)'",
        lambda found: f"--{found[1].replace('_', '-')} {found[2]}",
        text,
    )
    return with_flags(text, FLAGS, ())
