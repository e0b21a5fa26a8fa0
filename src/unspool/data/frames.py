"""pandas, polars and Arrow frames, through narwhals: it is loaded when something may be one."""

from typing import TYPE_CHECKING, Any

import numpy as np

from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError

if TYPE_CHECKING:
    import narwhals.stable.v1 as nw

ARRAYS = (np.ndarray, list, tuple, int, float)


def as_frame(X: Any) -> "nw.DataFrame[Any] | None":
    """`X` as a frame of narwhals, or None where it is something else.

    Without narwhals (`pip install unspool` brings NumPy alone) nothing is a frame; what NumPy
    can make an array of is still read as one.
    """
    if isinstance(X, ARRAYS):
        return None
    try:
        import narwhals.stable.v1 as nw
    except ImportError:
        return None
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def frame_values(frame: "nw.DataFrame[Any]") -> FloatArray:
    """The values of a frame, shape (rows, columns); every column must be numeric."""
    for name, dtype in frame.schema.items():
        if not (dtype.is_numeric() or str(dtype) in ("Boolean", "Object")):
            raise InputError(
                f"Expected numbers in column {name!r}, got {dtype}; drop it or choose columns."
            )
    return as_floats(frame.to_numpy(), "the frame")
