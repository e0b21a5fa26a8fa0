"""`unspool export`: write a model in the format of another runtime."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unspool.cli.options import ModelOrDetector

if TYPE_CHECKING:
    from unspool.model_file import Contents

EXAMPLE = "unspool export etth1.unspool -o etth1.onnx"


def _onnx(contents: "Contents", path: Path, part: str) -> None:
    from unspool.interop.onnx import export_onnx

    export_onnx(contents, path, part=part)  # type: ignore[arg-type]  # export_onnx checks it


def _keras(contents: "Contents", path: Path, part: str) -> None:
    from unspool.errors import InputError
    from unspool.interop.keras import export_keras

    if part == "detector" or (part == "auto" and contents.detector is not None):
        raise InputError(
            f"{path}: a .keras file cannot hold a detector; write an .onnx file, or use --part "
            "model "
            "for the model without its score."
        )
    part = "model" if part == "auto" else part
    export_keras(contents, path, part=part)  # type: ignore[arg-type]  # export_keras checks it


FORMATS: Mapping[str, Callable[["Contents", Path, str], None]] = {
    ".onnx": _onnx,
    ".keras": _keras,
}


def export(
    model: ModelOrDetector,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT", help="The file to write, .onnx or .keras."),
    ],
    part: Annotated[
        str,
        typer.Option(
            "--part",
            help="Part to export: model; encoder, which returns only codes; detector, which "
            "returns "
            "anomaly scores (.onnx). auto: detector if MODEL is one, else model.",
        ),
    ] = "auto",
) -> None:
    """Write MODEL for a runtime without unspool; the ending of OUT selects the format.

    An .onnx model reads `x` (batch, time, features), in the units of the data, and `lengths`
    (batch), the number of real steps of each sequence. It returns the outputs that MODEL has:
    `code`, `reconstruction`, `forecast`, `probabilities`. For a detector it returns, for each
    window, `reconstruction`, `score`, `trailing_score`, their contributions and `step_error`; the
    metadata contain the initial thresholds.

    A .keras model loads in Keras 3 without unspool. An LSTM model reads `x` and `mask` (batch,
    time), which is true at real steps.
    """
    from unspool import _checks, model_file
    from unspool.errors import InputError

    ending = output.suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"{output}: {_checks.unknown_name('ending', output.suffix, FORMATS)}")
    FORMATS[ending](model_file.read(model), output, part)
