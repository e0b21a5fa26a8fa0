"""RESULTS.md, from the rows in `results/`."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.picture import draw
from benchmarks.rows import FOLDER, read

PICTURE = "ratios.png"

Rows = Sequence[dict[str, str]]

TOP = f"""# Results

`python -m benchmarks` generates this page from the rows in [`results/`](results);
[README.md](README.md) describes the cases and the method. A cell has the median time, followed by
its ratio to unspool's time: the median over the rounds, and the 20th to 80th percentile. **Above 1
unspool is faster, below 1 it is slower.** If a library gave wrong results, failed or was not
installed, its cell has the reason instead of a time.

![Times of other libraries as multiples of unspool's, by case](results/{PICTURE})
"""


def write_page(folder: Path = FOLDER) -> None:
    """Write the page next to `folder`, and the picture into `folder`."""
    kept = {name: rows for name in CASES if (rows := read(name, folder))}
    if not kept:
        print(f"no rows in {folder}: nothing to write")
        return
    draw(kept, folder / PICTURE)
    tables = {"process": process_table, "peak": peak_table, "compile": compile_table}
    parts = [TOP, slower(kept)]
    for name, rows in kept.items():
        table = tables.get(name, turns_table)(rows)
        parts.append(f"## `{name}`\n\n{CASES[name].about}\n\n{table}\n\n{origin(rows)}\n")
    (folder.parent / "RESULTS.md").write_text("\n".join(parts))


def slower(kept: dict[str, Rows]) -> str:
    """Say by name where unspool loses, and who has no time."""
    everything = [row for rows in kept.values() for row in rows]
    compared = [
        row for row in everything if row.get("ratio_median") and row["contestant"] != "unspool"
    ]
    lost = [
        f"- {named(row)}, {spread(row, 'ratio')}"
        for row in compared
        if float(row["ratio_median"]) < 1
    ]
    without = [f"- {named(row)}: {row['note']}" for row in everything if row["note"]]
    lines = [f"unspool is slower in {len(lost)} of {len(compared)} comparisons."]
    if lost:
        lines += ["", *lost]
    if without:
        lines += ["", "No time was measured for:", "", *without]
    return "\n".join([*lines, ""])


def turns_table(rows: Rows) -> str:
    """`train`, `encode`, `epoch`: a line for every shape, a column for every contestant."""
    who = list(dict.fromkeys(row["contestant"] for row in rows))
    shapes = list(dict.fromkeys(tuple(row[dim] for dim in "BTFH") for row in rows))
    cells = {(tuple(row[dim] for dim in "BTFH"), row["contestant"]): row for row in rows}
    lines = [[*shape, *(cell(cells[shape, name]) for name in who)] for shape in shapes]
    return table([*"BTFH", *who], lines)


def process_table(rows: Rows) -> str:
    """`process`: a line for every contestant."""
    lines = [[row["contestant"], row["rounds"], cell(row), row["test_mse"]] for row in rows]
    return table(["", "runs", "wall time", "test MSE of each run"], lines)


def peak_table(rows: Rows) -> str:
    """`peak`: a line for every shape and contestant."""
    lines = [
        [
            *(row[dim] for dim in "BTFH"),
            row["contestant"],
            row["note"] or row["gflops"],
            spread(row, "share"),
        ]
        for row in rows
    ]
    return table([*"BTFH", "", "GFLOP/s", "share of the peak"], lines)


def compile_table(rows: Rows) -> str:
    """`compile`: a line for every shape, contestant and state of the cache."""
    lines = [
        [
            *(row[dim] for dim in "BTFH"),
            row["contestant"],
            row["cache"],
            row["note"] or spread(row, "import_s"),
            spread(row, "first_call_s"),
        ]
        for row in rows
    ]
    return table([*"BTFH", "", "cache", "import, s", "first call, s"], lines)


def cell(row: dict[str, str]) -> str:
    """A time, and the ratio to unspool's behind it; or why there is none."""
    if row["note"]:
        return row["note"]
    own = time(row["median_ms"])
    if row["contestant"] == "unspool":
        return f"{own} ({row['backend']})"
    return f"{own}, {spread(row, 'ratio')}" if row["ratio_median"] else own


def spread(row: dict[str, str], name: str) -> str:
    """A median and its percentiles."""
    median, low, high = (row[f"{name}_{which}"] for which in ("median", "20", "80"))
    return f"{float(median):.3g} ({float(low):.3g}–{float(high):.3g})" if median else ""


def time(ms: str) -> str:
    """A time with three digits, in ms or s."""
    value = float(ms)
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def named(row: dict[str, str]) -> str:
    """Case, shape and contestant of a row."""
    shape = " ".join(f"{dim} {row[dim]}" for dim in "BTFH" if dim in row)
    return f"`{row['case']}` {shape} {row['contestant']}".replace("  ", " ")


def origin(rows: Rows) -> str:
    """Machine, threads, day, commit and versions."""
    first = rows[0]
    versions = dict.fromkeys(
        package for row in rows for package in row["versions"].split(", ") if package
    )
    return (
        f"{first['machine']}, {first['threads']} threads for every library; {first['date']}, "
        f"commit {first['commit']}; {', '.join(versions)}."
    )


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    marks = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, marks, *lines])
