"""`unspool detect`: find anomalies; write events, scores and a picture."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool._types import Missing as MissingName
from unspool.cli import options
from unspool.cli.checkpoints import CheckpointEvery, CheckpointFile, LogJson
from unspool.cli.data_options import Columns, reads_data
from unspool.cli.detector_options import DetectorOptions
from unspool.cli.interrupted import fit_detector
from unspool.cli.options import Data, Device, Quiet, Verbose, verbosity

if TYPE_CHECKING:
    from unspool.cli.detection_data import DetectionData
    from unspool.model_file import Contents

EXAMPLE = "unspool detect machine.csv --normal-until 2013-12-10 -o events.csv --plot machine.png"

DEFAULT_NORMAL = 5  # by default a fifth of each series is taken as normal
EXIT_CODE_EVENTS = 3  # exit code of --exit-code


@reads_data
def detect(
    data: Data,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="A detector that --save wrote, which is used unchanged; or a model that `unspool "
            "fit` wrote, whose scales and thresholds are set by the normal data. By default a "
            "model is trained on the normal data.",
        ),
    ] = None,
    normal: Annotated[
        Path | None, typer.Option(metavar="DATA2", help="A file of normal data, without anomalies.")
    ] = None,
    normal_until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The steps of DATA before TIME are normal (in each series), and the rest is "
            "scored. For data without times, TIME is a number of rows.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="EVENTS",
            help="Write the events to this .csv or .json file; by default, or with -, CSV is "
            "printed to stdout.",
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write score, threshold and alarm of each step to this .csv, .parquet or .npy "
            "file.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Draw series and scores to this .png, .svg, .pdf or .jpg file."
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DETECTOR", help="Write the detector to this file, for --model."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare with simple methods on the same data.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Score lines as they arrive: DATA is a growing CSV file, or - for stdin; see "
            "above.",
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --follow: continue where the run that wrote FILE stopped; FILE is rewritten "
            "at the end.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with code 3 if there are events.")
    ] = False,
    log_json: LogJson = None,
    checkpoint: CheckpointFile = None,
    checkpoint_every: CheckpointEvery = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    device: Device = "auto",
    *,
    detecting: DetectorOptions,
    columns: Columns,
) -> None:
    """Find anomalies in DATA with a model of normal data, and write them as events.

    Rows of a table are time steps, and columns are features (sensors); a time column, an id column
    and labels are recognised and are not features. --normal or --normal-until says which data is
    normal; by default it is the first fifth of each series. The last fifth of the normal data is
    not used for training: it sets the scales and the threshold. Labels are 0 and 1, or words;
    an empty word, 0 and normal mean normal. They are shown in the picture and used by --compare;
    they never change a score.

    An event has a start, a peak and an end (its last step), each as a time or as a step counted
    from 0, the number of its steps, its height, its threshold, and the features with the largest
    shares of the error. It lasts as long as the score is above the threshold at its start. Each
    whole sequence (.ts, .tsv, --rows) has one score.

    --compare prints one row for the detector and one for each simple method, with the same window,
    kind of score and threshold: number of events, how many events of the detector it also found,
    share of steps above the threshold, seconds; and with labels the results of `unspool evaluate`.

    --follow reads CSV lines, with or without a header, and prints one line for each at once: time
    (or step), score (trailing), threshold, alarm (0 or 1). It uses a detector from --model, or
    trains one on --normal, and runs on the CPU. Options for reading that are not given are those of
    training; with --id, each id is a series. For a line that cannot be read, the score is empty
    and the reason is printed to stderr; empty lines are skipped. It ends at Ctrl-C and at the end
    of stdin; at the end of a file it waits for more lines.

    With --checkpoint the same command continues a training wherever it was ended. Ctrl-C and
    SIGTERM end the command. With --save, a training ends after the current step, and the detector
    is written with the best weights so far; a second signal ends the command at once.

    Exit codes: 0 on success, with or without events; 1 for input that cannot be used; 2 for wrong
    usage; with --exit-code, 3 if there are events; 130 or 143 after Ctrl-C or SIGTERM.
    """
    from unspool._files import check_not_overwriting, is_stdout
    from unspool.cli.checkpoints import training_arguments
    from unspool.cli.detect_outputs import Outputs, summary
    from unspool.errors import InputError

    shown = verbosity(quiet=quiet, verbose=verbose)
    if output is not None and is_stdout(output):
        output = None
    outputs = Outputs(output, scores, plot, save)
    inputs = {"DATA": data, "--normal": normal, "--model": model}
    outputs.check(inputs)
    check_not_overwriting({"--state": state}, inputs)
    _check_call(detecting, normal, normal_until, compare=compare)
    training = training_arguments(log_json, checkpoint, checkpoint_every)
    check_not_overwriting({"--checkpoint": checkpoint}, inputs)
    if checkpoint is not None and save is not None and save.resolve() == checkpoint.resolve():
        raise InputError(
            f"{save}: --save and --checkpoint name the same file; choose another for one of them."
        )
    if training and model is not None:
        raise typer.BadParameter(
            "it needs a model that this command trains; leave it or --model out",
            param_hint="--checkpoint" if checkpoint is not None else "--log-json",
        )
    if follow:
        from unspool.cli.follow import follow_lines, open_followed, refuse_other_options

        others = {"--normal-until": normal_until, "--compare": compare, "--exit-code": exit_code}
        given = [*outputs.given(), *(name for name, value in others.items() if value)]
        refuse_other_options(given, columns)
        with open_followed(data, state) as followed:
            contents = _detector_to_follow(
                model, normal, detecting, columns, device, save, training, verbose=shown
            )
            if save is not None:
                from unspool import model_file

                model_file.write(save, contents)
            follow_lines(followed, contents, columns, state)
        return
    if state is not None:
        raise typer.BadParameter("it needs --follow; leave it out", param_hint="--state")

    from unspool.cli.detection_data import check_times, read_detection_data
    from unspool.cli.detector_options import (
        flag_messages,
        load_detector_or_model,
        make_detector,
    )
    from unspool.cli.reading import merged_reading, reading_of

    saved, trained = (None, None) if model is None else load_detector_or_model(model, device)
    if saved is not None:
        _check_options_of_saved(detecting, normal, normal_until, compare=compare)
    known = getattr(trained if saved is None else saved, "feature_names_in_", None)
    missing = _missing(columns, trained if saved is None else saved)
    reading = reading_of(trained if saved is None else saved)
    gap = detecting.gap_of_file
    if saved is not None and saved.max_gap_ is not None:
        gap = None  # the detector cuts series itself
    given_data = read_detection_data(data, columns, known, missing, reading, max_gap=gap)
    check_times(given_data, detecting.gap_limit if saved is None else saved.max_gap_)
    if saved is None or compare:
        ways = normal, normal_until, columns, missing, reading, gap
        normal_data, scored = _normal_and_scored(given_data, *ways)
    else:
        normal_data, scored = None, given_data
    if compare and missing == "mask":
        raise InputError(
            "--compare runs simple methods, which do not accept missing values; leave --compare "
            "out, or fill the values."
        )
    labels = _labels(scored, columns.label) if plot is not None or compare else None
    if plot is not None and scored.sequences is not None:
        raise InputError(
            "--plot draws series, but DATA holds sequences, each with one score; leave --plot out, "
            "and see `unspool plot reconstruction`."
        )
    start = perf_counter()
    with flag_messages(per_day=detecting.alarms_per_day is not None):
        if saved is not None:
            detector = saved
        else:
            assert normal_data is not None
            detector = make_detector(
                detecting, trained, normal_data, missing=missing, device=device, verbose=shown
            )
            kept = merged_reading(reading, columns.kept() | detecting.kept())
            fit_detector(detector, normal_data.X, kept, save, training)
        kind = None if detecting.kind is None else detecting.kind.value
        found = detector.detect(scored.X, kind)  # type: ignore[arg-type]  # a word of `Kind`
    seconds = perf_counter() - start
    if save is not None:
        detector.save(save)
    form = getattr(detector.model_, "_form", None)
    outputs.write(found, scored, labels, None if form is None else form.targets)
    for line in summary(detector, found, kind):
        options.say(line)
    if compare:
        from unspool.cli.compare import print_comparison

        assert normal_data is not None
        print_comparison(detector, kind, normal_data, scored, labels, found, seconds)
    if exit_code and found.events:
        raise typer.Exit(EXIT_CODE_EVENTS)


def _check_call(
    detecting: DetectorOptions,
    normal: Path | None,
    normal_until: str | None,
    *,
    compare: bool,
) -> None:
    """Refuse options that exclude each other."""
    if normal is not None and normal_until is not None:
        raise typer.BadParameter(
            "--normal and --normal-until both give the normal data; leave one of them out",
            param_hint="--normal-until",
        )
    if compare and detecting.kind == "code":
        raise typer.BadParameter(
            "simple methods have no codes; leave out --kind code", param_hint="--compare"
        )


def _check_options_of_saved(
    detecting: DetectorOptions,
    normal: Path | None,
    normal_until: str | None,
    *,
    compare: bool,
) -> None:
    """Refuse options that would change a saved detector, which is used unchanged."""
    from unspool.errors import InputError

    flags = [name for name in detecting.given() if name != "--kind"]
    if not compare:
        normal_flags = {"--normal": normal, "--normal-until": normal_until}
        flags += [name for name, value in normal_flags.items() if value is not None]
    if flags:
        raise InputError(
            f"The file of --model holds a detector, which is used unchanged; leave out "
            f"{', '.join(flags)}, or give a model file that `unspool fit` wrote."
        )


def _normal_and_scored(
    data: "DetectionData",
    normal: Path | None,
    normal_until: str | None,
    columns: Columns,
    missing: MissingName,
    reading: dict[str, Any],
    max_gap: str | None,
) -> "tuple[DetectionData, DetectionData]":
    """Return the normal data, and the data to score."""
    from unspool.cli.detection_data import n_before, read_detection_data
    from unspool.errors import InputError

    if normal is not None:
        names = data.names
        read = read_detection_data(normal, columns, names, missing, reading, max_gap=max_gap)
        return read, data
    if normal_until is not None:
        at = n_before(data, normal_until)
    else:
        at = [length // DEFAULT_NORMAL for length in data.lengths]
        of_each = "" if len(at) == 1 else " of each series"
        options.say(
            f"{data.name}: the first fifth{of_each} is taken as normal and the rest is scored; use "
            "--normal-until or --normal to change that"
        )
    first, rest = data.split(at)
    remedy = "--normal or --normal-until" if normal_until is None else "another --normal-until"
    for part, what in ((first, "normal"), (rest, "left to score")):
        if not part.lengths or not sum(part.lengths):
            raise InputError(f"{data.name}: nothing is {what}; give {remedy}.")
    return first, rest


def _missing(columns: Columns, trained: Any) -> MissingName:
    """Return whether values may be missing: what a trained model says, else --on-missing."""
    if trained is not None:
        return options.missing_of(trained)
    return "mask" if columns.on_missing == "mask" else "raise"


def _labels(data: "DetectionData", named: str | None) -> Any:
    """Return the steps that are labelled as anomalies; None without usable labels."""
    from unspool.errors import InputError

    try:
        return data.labels
    except InputError as error:
        if named is not None:
            raise
        options.say(f"{data.name}: its labels are not used in the table and the picture: {error}")
        return None


def _detector_to_follow(
    model: Path | None,
    normal: Path | None,
    detecting: DetectorOptions,
    columns: Columns,
    device: str,
    save: Path | None,
    training: dict[str, Any],
    *,
    verbose: int,
) -> "Contents":
    """Return the detector for --follow: a saved one, or one that is trained on normal data."""
    from unspool import model_file
    from unspool.cli.detection_data import read_detection_data
    from unspool.cli.detector_options import (
        Kind,
        flag_messages,
        load_detector_or_model,
        make_detector,
    )
    from unspool.cli.reading import merged_reading, reading_of

    if detecting.kind not in (None, Kind.trailing):
        raise typer.BadParameter(
            "--follow always computes the kind trailing; leave --kind out", param_hint="--kind"
        )
    if model is not None:
        contents = model_file.read(model)
        if contents.detector is not None:
            _check_options_of_saved(detecting, normal, None, compare=False)
            return contents
    if normal is None:
        raise typer.BadParameter(
            "it needs a detector: give --model with a file that --save wrote, or --normal",
            param_hint="--follow",
        )
    trained = None if model is None else load_detector_or_model(model, device)[1]
    known = getattr(trained, "feature_names_in_", None)
    reading = reading_of(trained)
    missing = _missing(columns, trained)
    normal_data = read_detection_data(
        normal, columns, known, missing, reading, max_gap=detecting.gap_of_file
    )
    given = replace(detecting, kind=Kind.trailing)
    with flag_messages(per_day=detecting.alarms_per_day is not None):
        detector = make_detector(
            given, trained, normal_data, missing=missing, device=device, verbose=verbose
        )
        kept = merged_reading(reading, columns.kept() | detecting.kept())
        fit_detector(detector, normal_data.X, kept, save, training)
    return detector.contents()
