"""Rows of results: what is in them, and the CSV files they are kept in."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.cases import THREADS

Row = dict[str, Any]

FOLDER = Path(__file__).parent / "results"


def provenance() -> Row:
    """The columns that are the same in all rows of a run."""
    return {
        "threads": THREADS,
        "machine": machine.processor(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": machine.commit(),
    }


def spread(name: str, values: Sequence[float]) -> Row:
    """The median and the 20th and 80th percentile under `name`; empty where there are none."""
    columns = [f"{name}_median", f"{name}_20", f"{name}_80"]
    if not len(values):
        return dict.fromkeys(columns, "")
    return dict(zip(columns, map(rounded, np.percentile(values, [50, 20, 80])), strict=True))


def rounded(value: float | None) -> str:
    """Four digits that count; empty for None."""
    return "" if value is None else f"{value:.4g}"


def write(case: str, rows: Iterable[Row], folder: Path = FOLDER) -> None:
    """Keep the rows of a case, in the place of those of an earlier run."""
    rows = list(rows)
    folder.mkdir(exist_ok=True)
    with (folder / f"{case}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(case: str, folder: Path = FOLDER) -> list[dict[str, str]]:
    """The rows of a case; none where it has not been run."""
    path = folder / f"{case}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def as_line(row: Row) -> str:
    """A row as it is printed while the suite runs: what is empty or long is left out."""
    shape = " ".join(f"{dim} {row[dim]}" for dim in "BTFH" if dim in row)
    kept = {
        name: value
        for name, value in row.items()
        if value not in ("", 0) and name not in ("case", *"BTFH", "contestant", "note", "versions")
    }
    numbers = ", ".join(f"{name} {value}" for name, value in kept.items())
    return f"{row['case']:8}{shape:24}{row['contestant']:21}{row['note'] or numbers}"
