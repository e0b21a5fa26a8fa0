"""The picture of the results: how many times as long as unspool the others take."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

Rows = Sequence[dict[str, str]]

# Colours of Okabe & Ito, which people who are colour-blind can tell apart; markers besides.
STYLES = {
    "torch": ("#D55E00", "o"),
    "torch, gradients on": ("#E69F00", "v"),
    "onnxruntime": ("#0072B2", "s"),
    "keras, tensorflow": ("#009E73", "D"),
    "keras, jax": ("#CC79A7", "^"),
}
SHOWN = ("train", "encode", "epoch", "process")  # the cases whose rows have ratios


def draw(kept: Mapping[str, Rows], path: Path) -> None:
    """Draw a panel for every case, a line in it for every shape, and leave a PNG at `path`."""
    cases = [name for name in SHOWN if name in kept]
    if not cases:
        return
    labels = {name: list(dict.fromkeys(map(label, kept[name]))) for name in cases}
    heights = [len(labels[name]) + 1.2 for name in cases]
    figure = Figure(figsize=(8, 1.2 + 0.28 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(cases), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, name in zip(panels, cases, strict=True):
        _draw_case(ax, name, labels[name], kept[name])
    panels[-1].set_xscale("log")
    panels[-1].set_xlim(left=min(0.5, panels[-1].get_xlim()[0]))
    panels[-1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panels[-1].xaxis.set_minor_formatter(NullFormatter())
    panels[-1].set_xlabel(
        "time of the other / time of unspool (right of 1 unspool is faster); bars: 20th to 80th "
        "percentile"
    )
    handles = {
        text: handle
        for ax in panels
        for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[name] for name in STYLES if name in handles],
        [name for name in STYLES if name in handles],
        loc="outside upper center",
        ncols=len(STYLES),
        frameon=False,
    )
    figure.savefig(path, dpi=150)


def _draw_case(ax: Axes, name: str, labels: Sequence[str], rows: Rows) -> None:
    for contestant, (colour, marker) in STYLES.items():
        timed = [row for row in rows if row["contestant"] == contestant and row["ratio_median"]]
        if not timed:
            continue
        middle, low, high = (
            [float(row[f"ratio_{which}"]) for row in timed] for which in ("median", "20", "80")
        )
        ax.errorbar(
            middle,
            [labels.index(label(row)) for row in timed],
            xerr=(
                [m - one for m, one in zip(middle, low, strict=True)],
                [one - m for m, one in zip(middle, high, strict=True)],
            ),
            fmt=marker,
            color=colour,
            markersize=5,
            linewidth=1.5,
            label=contestant,
        )
    ax.axvline(1, color="black", linewidth=1)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_title(name, loc="left", fontsize="medium", fontweight="bold")
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def label(row: Mapping[str, str]) -> str:
    """What a line of the picture is called."""
    return f"B {row['B']}, H {row['H']}" if "B" in row else "30 epochs"
