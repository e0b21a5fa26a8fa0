"""`unspool evaluate`: compare anomaly scores and alarms with labels."""

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
            metavar="SCORES",
            help="A file that `unspool detect --scores` wrote, or any other .csv or .parquet file "
            "with a "
            "column of scores.",
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            help="Name of the label column. Labels are 0 and 1, or words; an empty word, 0 and "
            "normal mean normal. By default the column is recognised by its name."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:KEY]",
            help="Labels as periods of time: a table with the columns start and end (both steps "
            "are "
            "anomalous) and, for several series, id; or a JSON file such as NAB's "
            "combined_windows.json, in which KEY is the end of an entry's name.",
        ),
    ] = None,
    score: Annotated[
        str, typer.Option(help="Name of the score column; higher scores are more anomalous.")
    ] = ("score"),
    alarm: Annotated[
        str | None,
        typer.Option(
            help="Name of the alarm column, 0 or 1; by default alarm, if there is such a column."
        ),
    ] = None,
    gap: Annotated[
        int, typer.Option(metavar="N", help="Alarms less than N steps apart are one event.")
    ] = 16,
    time: Annotated[
        str | None,
        typer.Option(help="Name of the time column; by default recognised by name or content."),
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            help="Name of the column that separates series; by default recognised by name."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="Also write the results to this .json file."
        ),
    ] = None,
) -> None:
    """Print how well the scores and alarms in SCORES find labelled anomalies.

    AUC-PR, AUC-ROC and VUS-PR measure how well the scores rank anomalous above normal steps. Alarms
    are evaluated without point adjustment: events found; precision, recall and F1 of events; the
    share of normal steps with an alarm; false alarms per day, if the times are dates; and the delay
    of the first alarm.
    """
    import numpy as np

    from unspool import _checks, evaluation
    from unspool._files import atomic_write, check_not_overwriting, check_output_path
    from unspool.cli.data_options import Columns
    from unspool.cli.detection_data import read_detection_data
    from unspool.cli.label_windows import labels_from_file, split_key
    from unspool.cli.stdin import data_path
    from unspool.data.messages import errors_naming
    from unspool.errors import InputError
    from unspool.io.loading import table_of

    _checks.raise_all(_checks.whole("--gap", gap, 1))
    if label is not None and labels is not None:
        raise typer.BadParameter(
            "--label and --labels both give labels; leave one of them out", param_hint="--labels"
        )
    if output is not None:
        if output.suffix.lower() != ".json":
            raise InputError(
                f"{output}: {_checks.unknown_name('ending', output.suffix, ['.json'])}"
            )
        check_output_path(output)
        windows = None if labels is None else split_key(labels)[0]
        check_not_overwriting({"-o": output}, {"--labels": windows})
    scores = data_path(scores)
    with errors_naming(scores):
        names = table_of(scores).column_names
    for flag, name in (("--score", score), ("--alarm", alarm), ("--label", label)):
        if name is not None and name not in names:
            hint = " `unspool detect --scores` writes a file with scores."
            unknown = _checks.unknown_name("column", name, names)
            raise InputError(f"{scores}: {flag}: {unknown}{hint if flag == '--score' else ''}")
    if alarm is None and "alarm" in names and score != "alarm":
        alarm = "alarm"
    wanted = [score] if alarm is None else [score, alarm]
    data = read_detection_data(
        scores,
        Columns(columns=",".join(wanted), time=time, id=id, label=label),
        missing="mask",  # a step without any value has no score
    )
    truth = data.labels if labels is None else labels_from_file(labels, data)
    if truth is None:
        raise InputError(
            f"{scores}: there is no label column; name one with --label, or give a file of labels "
            "with --labels."
        )
    scored = [~np.isnan(one[:, 0]) for one in data.series]
    n_left_out = sum(int((~one).sum()) for one in scored)
    if n_left_out:
        many = "steps have no score and are" if n_left_out > 1 else "step has no score and is"
        options.say(f"{scores.name}: {n_left_out:,} {many} left out")
    series = [one[some] for one, some in zip(data.series, scored, strict=True)]
    if not all(map(len, series)):
        raise InputError(f"{scores}: a series has no score; leave it out.")
    found = evaluation.evaluate(
        [one[some] for one, some in zip(truth, scored, strict=True)],
        [one[:, 0] for one in series],
        None if alarm is None else [one[:, 1] for one in series],
        steps_per_day=data.steps_per_day(),
        gap=gap,
    )
    if output is not None:
        text = json.dumps({name: _plain(one) for name, one in found.as_dict().items()}, indent=2)
        with atomic_write(output) as file:
            file.write(f"{text}\n".encode())
    print(found)
    if alarm is None:
        options.say(
            f"{scores.name}: there is no alarm column (--alarm), so only scores are evaluated"
        )


def _plain(value: Any) -> Any:
    """Return a value for JSON: None in place of NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
