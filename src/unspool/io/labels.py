"""Which columns are labels, by their names and their values."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from unspool.io import column_shapes as shapes
from unspool.io.column_shapes import is_numeric
from unspool.io.role_names import (
    LABEL_NAMES,
    LABEL_NAMES_OF_FEW_VALUES,
    LABEL_NAMES_OF_TEXTS,
    LABEL_PREFIXES,
    plain,
)

MAX_CLASSES = 30  # different values of a label that is recognised by its name and its values
# Names of quantities too; a column of zeros of one of these names is a feature.
_OF_QUANTITIES = ("target", "event", "activity", "activityid", "activity_id", "y")
# Labels of which other columns say more, such as fault_type and attack_P1.
_STEMS = (
    *("label", "labels", "class", "anomaly", "anomalies", "attack", "fault", "faults", "failure"),
    *("outlier", "outliers", "is_anomaly", "is_attack", "is_fault", "anomaly_label"),
)


def is_label(name: str, column: Any) -> bool:
    """Return whether a column is a label: by its name alone, or by its name and few values."""
    low = _without_brackets(name)
    if low in LABEL_NAMES:
        return True
    text = shapes.is_text(column.type)
    weak = low in LABEL_NAMES_OF_FEW_VALUES or low.startswith(LABEL_PREFIXES)
    if not weak and not (text and low in LABEL_NAMES_OF_TEXTS):
        return False
    values = _classes(column)
    if values == [0]:
        return low not in _OF_QUANTITIES
    return values is not None and 2 <= len(values) <= len(column) / 2


def varies(column: Any) -> bool:
    """Return whether a label has several values."""
    values = shapes.few_values(column, MAX_CLASSES)
    return values is None or len(values) > 1


def siblings(table: Any, names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the columns whose names begin with that of a label and that have few values.

    They are labels of a part of a plant, or of a kind of fault, and may be zero in all rows. If the
    name may also be that of a quantity, such as fault_count, their values must depend on the label.
    """
    found = []
    for label in labels:
        low = plain(label)
        stem = low.partition("_")[0] if low.startswith(LABEL_PREFIXES) else low
        begins = tuple(f"{stem}{sign}" for sign in "_ .-")
        found += [
            name
            for name in names
            if stem in _STEMS
            and plain(name).startswith(begins)
            and _classes(table[name]) is not None
            and (stem.startswith(("label", "is_")) or _depend(table[label], table[name]))
        ]
    return list(dict.fromkeys(found))


def _depend(label: Any, other: Any) -> bool:
    """Return whether a column says more about a label.

    Each of its values has one label, or it has one value at the most frequent label.
    """
    labels, others = shapes.codes_of(label), shapes.codes_of(other)
    if not len(labels):
        return False
    count = int(others.max()) + 1
    pairs = np.unique(labels * count + others)
    usual = np.bincount(labels).argmax()
    return len(pairs) == count or int((pairs // count == usual).sum()) == 1


def _classes(column: Any) -> list[Any] | None:
    """Return the values of a column of few texts, truth values or whole numbers, else None."""
    text = shapes.is_text(column.type)
    if not (text or is_numeric(column.type) or pa.types.is_boolean(column.type)):
        return None
    values = shapes.few_values(column, MAX_CLASSES)
    if values is None or not (text or shapes.are_whole(values)):
        return None
    return values


def _without_brackets(name: str) -> str:
    """Return a name in lower case, without an explanation in brackets after it."""
    return plain(re.sub(r"\s+\(.*\)$", "", name))
