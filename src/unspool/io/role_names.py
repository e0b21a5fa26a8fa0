"""Usual names of columns, and the checks of names that the user gave."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from unspool import _checks
from unspool.data.messages import listed
from unspool.errors import InputError

TIME_NAMES = (
    *("time", "timestamp", "date", "datetime", "ds", "t", "step", "cycle", "index"),
    *("timestamps", "sample", "x_value"),
)
ID_NAMES = (
    *("id", "unit", "engine", "series", "item", "sequence", "machine", "device", "subject"),
    *("unit_id", "engine_id", "series_id", "item_id", "sequence_id", "machine_id"),
    *("device_id", "subject_id", "sensor_id", "unique_id", "unit_number", "engine_number"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "anomaly", "is_anomaly", "target_class", "anomalies"),
    *("anomaly_label", "class_label", "is_anomalous", "normal/attack"),
)
# Names of labels if a column also has few values: texts, truth values or whole numbers.
LABEL_NAMES_OF_FEW_VALUES = (
    *("target", "outlier", "outliers", "is_outlier", "fault", "faults", "is_fault", "faulty"),
    *("attack", "is_attack", "att_flag", "event", "activity", "activityid", "activity_id"),
    *("failure", "is_failure", "ground_truth", "y", "attack label", "attack_label"),
    *("attack lable", "attack_lable", "fault_label", "anomaly label"),
)
# Names of labels if a column contains texts; numbers of these names are often measured.
LABEL_NAMES_OF_TEXTS = ("state", "status", "machine_status", "condition", "category", "phase")
# Names of labels of one part of a plant, such as attack_P1, if the column has few values.
LABEL_PREFIXES = ("attack_", "anomaly_")
CHANGEPOINT_NAMES = ("changepoint", "change_point", "is_changepoint", "changepoints")
LABEL_WORDS = (
    *("normal", "anomaly", "anomalous", "abnormal", "attack", "fault", "faulty", "failure"),
    *("outlier", "ok", "nok", "good", "bad", "healthy", "broken", "true", "false", "yes", "no"),
)
UNNAMED = ("", "Unnamed: 0", "__index_level_0__")  # names that pandas writes for an index


def is_name_of_ids(name: str) -> bool:
    """Return whether a name such as "id" or "unit_id" is never that of a feature."""
    low = plain(name)
    return low == "id" or low.endswith(("_id", "_number"))


def plain(name: str) -> str:
    """Return a name in lower case, without marks around it as in `<DATE>` or `@timestamp`."""
    return name.strip("<>[]#@ \t").lower()


def check_names(
    names: list[str],
    named: dict[str, str | None],
    columns: Sequence[str] | None,
    drop: Sequence[str] = (),
) -> None:
    """Check that the columns that the user named exist once, and have one role each."""
    asked = [(role, name) for role, name in named.items() if name is not None]
    asked += [("columns", name) for name in columns or ()]
    asked += [("drop", name) for name in dict.fromkeys(drop)]
    wanted = set(names) if columns is None else {name for _, name in asked}
    wanted -= set(drop)
    _check_duplicates({name: n for name, n in Counter(names).items() if n > 1 and name in wanted})
    if columns is not None and not columns:
        raise InputError("`columns` is empty; name at least one feature, or leave `columns` out.")
    lacking = [name for name in columns or () if name not in names]
    if len(lacking) > 1:
        raise InputError(
            f"`columns`: there are no columns {listed(lacking)}; the file has {listed(names)}."
        )
    _checks.raise_all(
        *(
            f"`{role}`: {_checks.unknown_name('column', name, names)}"
            for role, name in asked
            if name not in names
        )
    )
    used: dict[str, str] = {}
    for role, name in asked:
        if name in used:
            raise InputError(
                f"column {name!r} is given as `{used[name]}` and as `{role}`; leave one out."
            )
        used[name] = role


def _check_duplicates(counts: dict[str, int]) -> None:
    """Refuse names of more than one column."""
    if not counts:
        return
    reason = f"column names {listed(list(map(repr, counts)))} appear more than once"
    if len(counts) == 1:
        ((name, count),) = counts.items()
        reason = f"column name {name!r} appears {'twice' if count == 2 else f'{count} times'}"
    raise InputError(
        f"{reason}; rename all but one of the columns, leave them out with `drop`, or name other "
        "features with `columns`."
    )


def quoted(option: str, name: Any) -> str:
    """Return an option with a value for a message, such as ```id='station'```."""
    return f"`{option}={[name] if option == 'drop' else name!r}`"
