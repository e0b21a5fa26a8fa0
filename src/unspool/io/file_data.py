"""`FileData`: what `read_file` returns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source
from unspool.data.windows import Windows

if TYPE_CHECKING:
    from unspool.io.time_columns import TimeFormat

Column = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class FileData:
    """The content of a file: sequences or windows, and columns that describe them.

    `read_file` returns it; there is no need to make one.

    Attributes
    ----------
    source : Sequences or Windows
        N sequences or windows. Every estimator accepts it as ``X``.
    index : dict of str to array of shape (N,)
        Columns that describe each sequence or window, to be put in front of outputs: "id" if
        there are several series; "start" for windows, the time of the first step or its number,
        counted from 0; "time" if each row of a table is a sequence and has a time; "label" if the
        file has labels; "weight" if each row is a sequence and has a weight.
    steps : dict of str to list of arrays of shape (T_i,)
        "time", "label" and "weight" of every step, one array for each series. It is empty for
        files of sequences.
    series_ids : list or None
        Name of every series, if there are several or a column names them.
    notes : tuple of str
        How the file was read, for example which column was taken as the time; one line each.
    time_format : TimeFormat or None
        Writes the times of "time" as the file wrote them; None for plain numbers and without times.
        If the column could not be read as times, "time" is not in `steps`.
    rows : list of arrays of shape (T_i,) of int, or None
        Row of the file, counted from 0, of every step of each series; None for sequences.
    image_shape : tuple of int or None
        Shape (H, W, C) of images, whose pixels are the steps of `source`; None for sequences.

    See Also
    --------
    read_file : Read a file of sequences or of long series.
    """

    source: Source
    index: dict[str, Column]
    steps: dict[str, list[Column]]
    series_ids: list[Any] | None
    notes: tuple[str, ...]
    time_format: "TimeFormat | None" = None
    rows: list[npt.NDArray[np.int64]] | None = None
    image_shape: tuple[int, ...] | None = None

    @property
    def X(self) -> Source | npt.NDArray[Any]:
        """What estimators read: `source`, or images (N, H, W, C)."""
        if self.image_shape is None or isinstance(self.source, Windows):
            return self.source
        return self.source.values.reshape(len(self.source), *self.image_shape)
