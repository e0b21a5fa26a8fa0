"""`unspool evaluate`: how well scores and alarms find labelled anomalies."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from unspool.cli import options

EXAMPLE = "unspool evaluate scores.csv --labels combined_windows.json:machine.csv"


def evaluate(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES", help="What `detect --scores` wrote; or any .csv or .parquet file."
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            help="Column of labels: 0 and 1, or names; one with a usual name if left out."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:KEY]",
            help="Labels as windows of time: a table with the columns start and end (both "
            "anomalous; and id, of several series), or NAB's combined_windows.json, of which KEY "
            "is the end of an entry's name.",
        ),
    ] = None,
    score: Annotated[str, typer.Option(help="Column of scores, higher where more anomalous.")] = (
        "score"
    ),
    alarm: Annotated[
        str | None,
        typer.Option(help="Column of alarms, 0 or 1; alarm if there is one and it is left out."),
    ] = None,
    gap: Annotated[
        int, typer.Option(metavar="N", help="Alarms less than N steps apart are one.")
    ] = 16,
    time: Annotated[str | None, typer.Option(help="Column that is the time.")] = None,
    id: Annotated[str | None, typer.Option(help="Column that separates series.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="A .json file, as well.")
    ] = None,
) -> None:
    """Print how well SCORES, and the alarms beside them, find labelled anomalies.

    AUC-PR, AUC-ROC and VUS-PR rank steps by their scores. Alarms are counted as they are, without
    point adjustment: events found, precision, recall and F1 of events, with the share of normal
    steps flagged, false alarms a day (where the times are dates) and the delay, without which an
    F1 says nothing.
    """
    from unspool import _checks, evaluation
    from unspool._files import atomic_write, check_not_overwriting, check_output_path
    from unspool.cli.options import Columns
    from unspool.cli.steps import read_steps
    from unspool.cli.truth import labels_of_file, split_key
    from unspool.data.files import TABLES
    from unspool.data.messages import errors_naming
    from unspool.data.tables import read_table
    from unspool.errors import InputError

    _checks.raise_all(_checks.whole("--gap", gap, 1))
    if label is not None and labels is not None:
        raise typer.BadParameter("both are labels; leave --label out", param_hint="--labels")
    if output is not None:
        if output.suffix.lower() != ".json":
            raise InputError(
                f"{output}: {_checks.unknown_name('ending', output.suffix, ['.json'])}"
            )
        check_output_path(output)
        windows = None if labels is None else split_key(labels)[0]
        check_not_overwriting({"-o": output}, {"--labels": windows})
    if scores.suffix.lower() not in TABLES:
        raise InputError(f"{scores}: {_checks.unknown_name('ending', scores.suffix, TABLES)}")
    with errors_naming(scores):
        names = read_table(scores)[0].column_names
    for flag, name in (("--score", score), ("--alarm", alarm), ("--label", label)):
        if name is not None and name not in names:
            hint = " Scores are in the file that `unspool detect --scores` wrote."
            unknown = _checks.unknown_name("column", name, names)
            raise InputError(f"{scores}: {flag}: {unknown}{hint if flag == '--score' else ''}")
    if alarm is None and "alarm" in names and score != "alarm":
        alarm = "alarm"
    wanted = [score] if alarm is None else [score, alarm]
    steps = read_steps(scores, Columns(columns=",".join(wanted), time=time, id=id, label=label))
    truth = steps.labels if labels is None else labels_of_file(labels, steps)
    if truth is None:
        raise InputError(
            f"{scores}: there is no column of labels; name one with --label, or give their windows "
            "with --labels."
        )
    found = evaluation.evaluate(
        truth,
        [one[:, 0] for one in steps.series],
        None if alarm is None else [one[:, 1] for one in steps.series],
        steps_per_day=steps.per_day(),
        gap=gap,
    )
    if output is not None:
        text = json.dumps({name: _plain(one) for name, one in found.as_dict().items()}, indent=2)
        with atomic_write(output) as file:
            file.write(f"{text}\n".encode())
    print(found)
    if alarm is None:
        options.say(f"{scores.name}: there is no column of alarms (--alarm): only scores count")


def _plain(value: Any) -> Any:
    """A number as JSON has it: what is undefined is null there."""
    return None if isinstance(value, float) and math.isnan(value) else value
