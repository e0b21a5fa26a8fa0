"""`unspool detect`: anomalies in series, as events, scores and a picture."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli import options
from unspool.cli.detector import Detecting
from unspool.cli.options import Columns, Data, Device, reads_data

if TYPE_CHECKING:
    from unspool.cli.steps import Steps
    from unspool.model_file import Contents

EXAMPLE = "unspool detect machine.csv --normal-until 2013-12-10 -o events.csv --plot machine.png"

SHARE = 5  # a fifth of each series is normal where nothing is said
FOUND = 3  # exit code of --exit-code


@reads_data
def detect(
    data: Data,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="A detector that --save wrote, used as it is; or a model that `unspool fit` "
            "wrote: normal data set its scales and thresholds. By default one is trained.",
        ),
    ] = None,
    normal: Annotated[
        Path | None, typer.Option(metavar="DATA2", help="A file of normal data.")
    ] = None,
    normal_until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Steps of DATA before TIME are normal (in each series), the rest is scored. For "
            "data without times give a number of rows.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="EVENTS",
            help="A .csv or .json file; CSV on stdout by default.",
        ),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .csv, .parquet or .npy file: score, threshold and alarm of each step.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PICTURE", help="A .png, .svg, .pdf or .jpg file.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="DETECTOR", help="A file for --model, next time.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Print a table with simple methods on the same data.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="DATA grows, or is - for stdin: a line in, a score out. See above."
        ),
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --follow: go on where the run that wrote FILE stopped; it is written anew "
            "at the end.",
        ),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 where there are events.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    device: Device = "auto",
    *,
    detecting: Detecting,
    columns: Columns,
) -> None:
    """Find anomalies in DATA, with a model of what is normal, and write them as events.

    Rows of a table are time steps and its columns features (sensors); a time column, an id column
    and labels are recognised and set aside. --normal or --normal-until gives the normal data; by
    default they are the first fifth of each series. Their last fifth trains no model: it sets the
    scales and the threshold. Labels (0 and 1, or names, of which an empty one, 0 and normal mean
    normal) are shown in the picture and used by --compare; they change no score.

    Events have start, peak and end (their last step; times, or steps counted from 0), steps,
    height, threshold, and the features with the largest shares of the error. An event lasts as long
    as the score is above the threshold that it began with. Each sequence (.ts, .tsv, --rows) gets
    one score.

    --compare prints a row for the network and for each simple method, with the same window, score
    and threshold: its events, how many events of the network it found too, the share of steps
    above the threshold, seconds; and with labels what `unspool evaluate` computes.

    --follow reads CSV lines, with or without a header, and writes a line for each at once: time (or
    step), score (trailing), threshold, alarm (0 or 1). It takes a detector from --model, or trains
    one on --normal, and runs it on the CPU. For a line that cannot be read it writes an empty score
    and prints the reason on stderr; empty lines are skipped. It ends at Ctrl-C and at the end of
    stdin; at the end of a file it waits for more.

    Exit codes: 0 when done, whatever was found; 1 for input that cannot be used; 2 for a wrong
    call; with --exit-code 3 where there are events.
    """
    from unspool._files import check_not_overwriting
    from unspool.cli.findings import Outputs, summary

    out = Outputs(output, scores, plot, save)
    inputs = {"DATA": data, "--normal": normal, "--model": model}
    out.check(inputs)
    check_not_overwriting({"--state": state}, inputs)
    _check_call(detecting, model, normal, normal_until, compare=compare)
    if follow:
        from unspool.cli.follow import check_alone, follow_lines, open_lines

        asked = {"--normal-until": normal_until, "--compare": compare, "--exit-code": exit_code}
        check_alone([*out.given(), *(name for name, value in asked.items() if value)], columns)
        with open_lines(data, state) as growing:
            contents = _for_lines(model, normal, detecting, columns, device, quiet=quiet)
            if save is not None:
                from unspool import model_file

                model_file.write(save, contents)
            follow_lines(growing, contents, columns, state)
        return
    if state is not None:
        raise typer.BadParameter("it is for --follow; leave it out", param_hint="--state")
    if str(data) == "-":
        raise typer.BadParameter("- (stdin) needs --follow; name a file", param_hint="DATA")

    from unspool.cli.detector import in_flags, stored, unfitted
    from unspool.cli.steps import read_steps
    from unspool.errors import InputError

    ready, trained = (None, None) if model is None else stored(model, device)
    _check_detector(ready, detecting, normal, normal_until, compare=compare)
    known = getattr(trained if ready is None else ready, "feature_names_in_", None)
    given = read_steps(data, columns, known)
    wanted_normal = ready is None or compare
    before, after = _parts(given, normal, normal_until, columns) if wanted_normal else (None, given)
    labels = _labels(after, columns.label) if plot is not None or compare else None
    if plot is not None and after.sequences is not None:
        raise InputError(
            "--plot draws series, and these are sequences with one score each; leave it out, and "
            "see `unspool plot reconstruction`."
        )
    start = perf_counter()
    with in_flags(per_day=detecting.alarms_per_day is not None):
        if ready is not None:
            detector = ready
        else:
            assert before is not None
            detector = unfitted(detecting, trained, before, device=device, quiet=quiet)
            detector.fit(before.X)
        kind = None if detecting.kind is None else detecting.kind.value
        found = detector.detect(after.X, kind)  # type: ignore[arg-type]  # a word of `Kind`
    seconds = perf_counter() - start
    if save is not None:
        detector.save(save)
    out.write(found, after, labels)
    for line in summary(detector, found, kind):
        options.say(line)
    if compare:
        from unspool.cli.compare import print_comparison

        assert before is not None
        print_comparison(detector, kind, before, after, labels, found, seconds)
    if exit_code and found.events:
        raise typer.Exit(FOUND)


def _check_call(
    detecting: Detecting,
    model: Path | None,
    normal: Path | None,
    normal_until: str | None,
    *,
    compare: bool,
) -> None:
    """Refuse options that do not go together."""
    if normal is not None and normal_until is not None:
        raise typer.BadParameter(
            "both say what is normal; leave one of them out", param_hint="--normal-until"
        )
    if compare and detecting.kind == "code":
        raise typer.BadParameter(
            "simple methods have no codes, leave out --kind code", param_hint="--compare"
        )


def _check_detector(
    ready: object,
    detecting: Detecting,
    normal: Path | None,
    normal_until: str | None,
    *,
    compare: bool,
) -> None:
    """Refuse options that a detector from a file has no use for."""
    from unspool.errors import InputError

    if ready is None:
        return
    flags = [name for name in detecting.given() if name != "--kind"]
    if not compare:
        asked = {"--normal": normal, "--normal-until": normal_until}
        flags += [name for name, value in asked.items() if value is not None]
    if flags:
        raise InputError(
            f"The file of --model is a detector, which is used as it is; leave out "
            f"{', '.join(flags)}, or give a file that `unspool fit` wrote."
        )


def _parts(
    given: "Steps", normal: Path | None, normal_until: str | None, columns: Columns
) -> "tuple[Steps, Steps]":
    """The normal part, and what is to be scored."""
    from unspool.cli.steps import normal_until as places
    from unspool.cli.steps import read_steps
    from unspool.errors import InputError

    if normal is not None:
        return read_steps(normal, columns, given.names), given
    if normal_until is not None:
        at = places(given, normal_until)
    else:
        at = [length // SHARE for length in given.lengths]
        what = "first fifth" if len(at) == 1 else "first fifth of each series"
        options.say(
            f"{given.name}: the {what} is taken as normal and the rest is scored; --normal-until "
            "or --normal says otherwise"
        )
    before, after = given.cut(at)
    another = "--normal or --normal-until" if normal_until is None else "another --normal-until"
    for part, lacks in ((before, "normal"), (after, "left to be scored")):
        if not part.lengths or not sum(part.lengths):
            raise InputError(f"{given.name}: nothing is {lacks}; give {another}.")
    return before, after


def _labels(steps: "Steps", named: str | None) -> Any:
    """Which steps are known to be anomalies; None where no column says so."""
    from unspool.errors import InputError

    try:
        return steps.labels
    except InputError as error:
        if named is not None:
            raise
        options.say(f"{steps.name}: its labels are left out of the table and the picture: {error}")
        return None


def _for_lines(
    model: Path | None,
    normal: Path | None,
    detecting: Detecting,
    columns: Columns,
    device: str,
    *,
    quiet: bool,
) -> "Contents":
    """The detector for --follow."""
    from unspool import model_file
    from unspool.cli.detector import Kind, in_flags, stored, unfitted
    from unspool.cli.steps import read_steps

    if detecting.kind not in (None, Kind.trailing):
        raise typer.BadParameter(
            "--follow computes the score trailing; leave it out", param_hint="--kind"
        )
    if model is not None:
        contents = model_file.read(model)
        if contents.detector is not None:
            _check_detector(True, detecting, normal, None, compare=False)
            return contents
    if normal is None:
        raise typer.BadParameter(
            "it needs a detector: --model with a file of --save, or --normal", param_hint="--follow"
        )
    trained = None if model is None else stored(model, device)[1]
    before = read_steps(normal, columns, getattr(trained, "feature_names_in_", None))
    wanted = replace(detecting, kind=Kind.trailing)
    with in_flags(per_day=detecting.alarms_per_day is not None):
        made = unfitted(wanted, trained, before, device=device, quiet=quiet)
        return made.fit(before.X).contents()
