"""Arguments and options that several commands share, and how commands load models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from unspool._terminal import console, printable_line

if TYPE_CHECKING:
    from unspool._types import Missing as MissingName
    from unspool.estimators.base import Model as Trained

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A file: .csv, .txt, .parquet, .feather, .json, .jsonl, .xlsx, .xls, .ods, .arff, "
        ".npy, .npz, .h5, .mat, .tsv (UCR), .ts or .idx, also compressed (.gz, .zip, …). Or a "
        "folder, a pattern in quotes such as 'logs/*.csv', or - for stdin.",
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A model file that `unspool fit` wrote. If it is a detector that `unspool detect "
        "--save` wrote, its model is used.",
    ),
]
ModelOrDetector = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A model file that `unspool fit` wrote, or a detector that `unspool detect --save` "
        "wrote.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="A .csv, .parquet or .npy file; by default, or with -, CSV is printed to stdout.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", help="PyTorch device such as cpu or cuda; auto uses a GPU if there is one."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not show a progress bar.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Print a line with the losses of each epoch to stderr, for log files, instead of a "
        "progress bar.",
    ),
]
SEED_HELP = "Random seed; runs with the same seed give the same result."
# What a model has to do for a command, by the method that the command calls.
ABILITIES = {
    "transform": "encodes sequences",
    "features": "has an LSTM encoder",
    "reconstruct": "reconstructs",
    "reconstruction_error": "reconstructs",
    "forecast": "forecasts",
}
stderr = console(stderr=True)


def verbosity(*, quiet: bool, verbose: bool) -> int:
    """Return the parameter `verbose` of an estimator; both options together are wrong usage."""
    if quiet and verbose:
        raise typer.BadParameter("not together with --quiet", param_hint="--verbose")
    return 2 if verbose else 0 if quiet else 1


def say(message: str) -> None:
    """Print a message to stderr, in one line."""
    stderr.print(printable_line(message))


def with_article(class_name: str) -> str:
    """Return the name of a class with "a" or "an" before it."""
    an = class_name[0] in "AEIOU" or class_name.startswith("LSTM")
    return f"{'an' if an else 'a'} {class_name}"


def load_model(path: Path, device: str = "auto") -> "Trained":
    """Load the model in a file; if it holds a detector, return the detector's model."""
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.loading import load

    loaded: Any = load(path, device=device)
    if isinstance(loaded, AnomalyDetector):
        loaded = loaded.model_
    return cast("Trained", loaded)


def missing_of(trained: Any) -> "MissingName":
    """Return whether a model, a classifier or a detector accepts missing values."""
    for name in ("autoencoder_", "model_"):
        trained = getattr(trained, name, trained)
    missing: MissingName = trained.missing
    return missing


def require(trained: "Trained", method: str, command: str) -> "Trained":
    """Return the model, or raise an `InputError` if it lacks the method that a command needs."""
    from unspool.errors import InputError

    if not hasattr(trained, method):
        held = with_article(type(trained).__name__)
        raise InputError(
            f"`{command}` needs a model that {ABILITIES[method]}, but this file holds {held}; "
            "`unspool fit --help` lists the kinds of models."
        )
    return trained
