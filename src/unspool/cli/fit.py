"""`unspool fit`: train a model on data, and write it to a file."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool._registry import MODELS
from unspool.cli import options
from unspool.cli.checkpoints import CheckpointEvery, CheckpointFile, LogJson
from unspool.cli.data_options import Reading, reads_data
from unspool.cli.option_values import split_names
from unspool.cli.options import SEED_HELP, Data, Quiet, Verbose, verbosity

if TYPE_CHECKING:
    from unspool.io.file_data import FileData

# Windows with a stride of 1 are many and nearly equal. An epoch over a sample of them teaches as
# much, in minutes instead of hours. A larger stride would also leave fewer windows, but all at the
# same times of the day: on ETTh1, with a stride of 12 hours, the test error more than doubled.
STEPS_PER_EPOCH = 100


KINDS = {model.kind: model for model in MODELS.values()}
Kind = StrEnum("Kind", [(kind, kind) for kind in KINDS])  # type: ignore[misc]  # not a literal
LSTM = Kind("lstm")

EXAMPLE = "unspool fit ETTh1.csv --window 96 -o etth1.unspool"


@reads_data
def fit(
    data: Data,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="The model file to write.")
    ],
    latent_dim: Annotated[int | None, typer.Option(help="Length of the code.")] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            metavar="KIND",
            help="Kind of model: lstm (the default), forecaster, dense, stacked or conv. The last "
            "three read no sequences that are longer than the longest in DATA.",
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            help="How the decoder receives the code: repeat, reversed_input, previous, state, "
            "reshape, flat, dense, …"
        ),
    ] = None,
    patch_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto", help="Number of time steps that an LSTM reads and writes at once."
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            help="Forecast this many steps. Each window is lengthened by them, and they become the "
            "target; without --window they are the last steps of each sequence."
        ),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Features to reconstruct and forecast; the others are only read. By default all.",
        ),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Features that are known for the steps of a forecast, such as the hour; they need "
            "--targets.",
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto", help="Maximum number of epochs; auto: enough for 1,500 updates."
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Batch size.")] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Validate on the sequences of this file, read like DATA; by default on a part of "
            "DATA.",
        ),
    ] = None,
    sample_weight: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column with the weight of each step in the loss, or with --rows of each row; it "
            "is no feature.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help=SEED_HELP)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other parameter of the model's class; may be given several times.",
        ),
    ] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Start from the weights and the scaling of this model file. Kind, parameters, "
            "window and features are those of the file unless other options are given.",
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Layers that are not trained, by the names that `unspool inspect` prints: "
            "encoder, encoder.lstm_1, …",
        ),
    ] = None,
    log_json: LogJson = None,
    checkpoint: CheckpointFile = None,
    checkpoint_every: CheckpointEvery = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    *,
    reading: Reading,
) -> None:
    """Train a model on DATA and write it to one file.

    Rows of a table are time steps, and columns are features; --window cuts a long series into
    sequences. A time column, an id column and labels are recognised and are not features.

    A part of DATA is held out to validate on: of windows the last steps of each series; with
    --rows, all rows of an id, if there is an id column; of other sequences some at random.

    Ctrl-C and SIGTERM end the training after the current step and write the best weights so far;
    --initial MODEL goes on from them. The exit code is then 130 or 143. A second signal ends the
    command at once, and no file is written.

    With --checkpoint the same command continues wherever it was ended, also by a crash, a kill or a
    power cut, and then writes the model that it would have written otherwise. --epochs may be
    raised.
    """
    from rich.table import Table

    from unspool._files import check_not_overwriting, check_output_path
    from unspool._terminal import printable_line
    from unspool.cli.checkpoints import said_where_it_continues, training_arguments
    from unspool.cli.flags import flag, messages_with_flags
    from unspool.cli.reading import merged_reading, reading_of
    from unspool.data.windows import Windows
    from unspool.errors import InputError
    from unspool.training.interruption import exit_code, interruptible

    flags = {
        "latent_dim": latent_dim,
        "decoder": decoder,
        "patch_size": None if patch_size is None else whole_or_auto("--patch-size", patch_size),
        "horizon": horizon,
        "missing": "mask" if reading.on_missing == "mask" else None,
        "targets": None if targets is None else split_names(targets),
        "known": None if known is None else split_names(known),
        "epochs": None if epochs is None else whole_or_auto("--epochs", epochs),
        "batch_size": batch_size,
        "random_state": seed,
    }
    parameters: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    start = None if initial is None else options.load_model(initial)
    if start is None or kind is not None:
        trained = KINDS[kind or LSTM].load()()
    elif type(start).__name__ in MODELS:
        trained = type(start)(**start.get_params(deep=False))
    else:
        raise InputError(
            f"--initial needs a model that `unspool fit` wrote, but {initial} holds "
            f"{options.with_article(type(start).__name__)}; train it in Python."
        )
    trained.set_params(verbose=verbosity(quiet=quiet, verbose=verbose))
    accepted = trained.get_params(deep=False)
    for name in parameters:
        if name not in accepted:
            raise InputError(f"{type(trained).__name__} has no {flag(name)}; leave it out.")
    parameters |= parse_settings(settings or [], accepted)
    trained.set_params(**parameters)
    check_output_path(output)
    also = training_arguments(log_json, checkpoint, checkpoint_every)
    check_not_overwriting(
        {"--checkpoint": checkpoint},
        {"DATA": data, "--validation": validation, "--initial": initial},
    )
    if checkpoint is not None and output.resolve() == checkpoint.resolve():
        raise InputError(
            f"{output}: -o and --checkpoint name the same file; choose another for one of them."
        )
    more = int(parameters.get("horizon") or (start.horizon_ if start is not None else 0))
    reads: Any = {"more": more, "weight": sample_weight, "missing": trained.missing}
    reads["maybe_images"] = type(trained).__name__ == "ConvAutoencoder" and start is None
    with messages_with_flags({"weight"}, ()):
        loaded = reading.read(data, start, **reads)
    if reading.window is not None and "steps_per_epoch" not in parameters:
        trained.set_params(steps_per_epoch=STEPS_PER_EPOCH)
        options.say(
            f"an epoch has at most {STEPS_PER_EPOCH} batches of windows, drawn anew for each "
            "epoch; "
            "--set steps_per_epoch=null uses all windows"
        )
    if sample_weight is not None:
        also["sample_weight"] = weights_in(loaded)
    if validation is not None:
        other = reading.read(validation, start, **reads)
        weights = weights_in(other)
        also["validation_data"] = other.X if weights is None else (other.X, None, weights)
    elif loaded.rows_are_sequences and "id" in loaded.index:  # others are whole series
        also["groups"] = loaded.index["id"]
    if loaded.source.feature_names is None:
        numbered = {name: as_places(parameters.get(name)) for name in ("targets", "known")}
        trained.set_params(**{name: one for name, one in numbered.items() if one is not None})
    if start is not None:
        also["initial"] = start
    if freeze is not None:
        also["freeze"] = split_names(freeze)
    given = {*flags, "validation_data", "sample_weight", "initial", "freeze"}
    given |= {"checkpoint", "checkpoint_every"}
    with interruptible() as interruption:
        with messages_with_flags(given, accepted), said_where_it_continues(checkpoint):
            trained.fit(loaded.X, **also)
        before = {} if start is None else reading_of(start)
        # An id without a usual name, and a time that was found with it, may not be found in a
        # shorter file.
        found: dict[str, Any] = {
            one.role: one.columns[0]
            for one in loaded.roles
            if one.role in ("time", "id") and one.unusual
        }
        of_windows = isinstance(loaded.source, Windows)
        if loaded.rows_are_sequences and not (loaded.times_in_header and of_windows):
            found["rows"] = True
        before = reading.unless_given(before | found)
        trained._reading = merged_reading(before, reading.kept())
        trained.save(output)
        received = interruption.answer()
    if received is not None:
        going_on = f"--initial {output} goes on from them"
        if checkpoint is not None:
            going_on = f"the same command continues from {checkpoint}"
        options.say(
            f"training was interrupted {interruption.progress}; {output} has the best weights so "
            f"far, and {going_on}"
        )

    history = trained.history_
    best = history["best_epoch"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("epochs", f"{len(history['loss'])}, weights of epoch {best + 1} kept")
    table.add_row("training loss", f"{history['loss'][best]:.4g}")
    if "val_loss" in history:
        table.add_row("validation loss", f"{history['val_loss'][best]:.4g}")
    if trained._batches_note:
        table.add_row("batches", trained._batches_note)
    table.add_row("model", printable_line(output))
    options.stderr.print(table)
    if received is not None:
        raise typer.Exit(exit_code(received))


def weights_in(loaded: "FileData") -> Any:
    """Return the weights in a file, of each sequence or of the steps of each series, or None."""
    return loaded.index.get("weight", loaded.steps.get("weight"))


def as_places(names: Any) -> list[str | int] | None:
    """Return numbers in a list of names as numbers: the places of features without names."""
    if not isinstance(names, list):
        return None
    return [int(one) if str(one).lstrip("-").isdigit() else one for one in names]


def whole_or_auto(option: str, text: str) -> int | str:
    """Return a whole number or "auto"; any other text is wrong usage."""
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected a whole number or auto, got {text!r}", param_hint=option
        ) from None


def parse_settings(settings: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """Parse ``name=value`` pairs; a value is JSON, a number such as .5, or else text."""
    from unspool import _checks
    from unspool.errors import InputError

    parsed: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign:
            raise InputError(f"Expected --set NAME=VALUE, got {setting!r}.")
        if name not in known:
            raise InputError(f"--set: {_checks.unknown_name('parameter', name, known)}")
        try:
            parsed[name] = json.loads(re.sub(r"^\s*(-?)\+?\.(?=\d)", r"\g<1>0.", text))
        except json.JSONDecodeError:
            parsed[name] = {"None": None, "True": True, "False": False}.get(text, text)
    return parsed
