"""Columns of outputs: which time step each row belongs to, and the names of features."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.cli.options import say
from unspool.data.convert import Source
from unspool.data.windows import Windows
from unspool.io.file_data import FileData

Column = npt.NDArray[Any]


def step_columns(loaded: FileData) -> dict[str, Column]:
    """Return columns with one value for every real step of every series or sequence.

    If there are several series or sequences: `id`, or else `sequence`, its number. Always `time`,
    or else `step`, counted from 0. If there are labels: `label`.
    """
    source = loaded.source
    if isinstance(source, Windows):
        lengths = np.array([len(one) for one in source.series])
    else:
        lengths = source.lengths
    columns: dict[str, Column] = {}
    if loaded.series_ids is not None:
        columns["id"] = np.repeat(np.asarray(loaded.series_ids), lengths)
    elif "id" in loaded.index and not isinstance(source, Windows):
        columns["id"] = np.repeat(loaded.index["id"], lengths)
    elif len(lengths) > 1:
        columns["sequence"] = np.repeat(np.arange(len(lengths)), lengths)
    if "time" in loaded.steps:
        columns["time"] = _of_steps(loaded.steps["time"], lengths)
    else:
        columns["step"] = np.concatenate([np.arange(length) for length in lengths])
    if "label" in loaded.steps:
        columns["label"] = _of_steps(loaded.steps["label"], lengths)
    elif "label" in loaded.index and not isinstance(source, Windows):
        columns["label"] = np.repeat(loaded.index["label"], lengths)
    return columns


def say_left_out(source: Windows, values: Column) -> None:
    """Print how many steps are in no window because of the stride and the dilation."""
    left_out = int(np.isnan(values.reshape(len(values), -1)).all(axis=1).sum())
    if left_out and math.gcd(source.stride, source.dilation) > 1:
        say(
            f"{left_out:,} of {len(values):,} steps have no value; with the dilation of "
            f"{source.dilation}, a stride of {source.stride} leaves steps out, and --stride 1 does "
            "not"
        )


def names_of_features(source: Source) -> list[str]:
    """Return the names of the features, or else "feature_0", "feature_1", …."""
    return list(source.feature_names or (f"feature_{i}" for i in range(source.n_features)))


def names_of_targets(trained: Any, source: Source) -> list[str]:
    """Return the names of the features that a model writes; "target" for a quantity of its `y`."""
    names = names_of_features(source)
    if trained.targets_:
        return [names[place] for place in trained.targets_]
    count = trained._form.n_outputs
    return ["target"] if count == 1 else [f"target_{i}" for i in range(count)]


def _of_steps(columns: list[Column], lengths: Column) -> Column:
    """Join the values at the first `lengths` steps of every series."""
    return np.concatenate([one[:length] for one, length in zip(columns, lengths, strict=True)])
