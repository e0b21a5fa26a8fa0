"""Numbers of arrays, lists, tensors and frames as NumPy arrays; missing values become NaN."""

import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.not_arrays import is_array_like, way_out
from unspool.errors import InputError

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_PLAIN = {bool, int, float, type(None), np.float32, np.float64, np.int64, np.bool_}
_NO_DATES = "leave them out, or convert them to numbers, such as hours since the first"


class NotNumbersError(InputError, TypeError):
    """Raised for objects that are not numbers; scikit-learn expects a TypeError for them."""


def as_reals(values: Any, what: str) -> Array:
    """Return `values` as an array of real numbers of any dtype, without a copy if possible.

    Parameters
    ----------
    values : array, list, tensor, or any object that NumPy converts to an array
        Masked values, None and pandas.NA become NaN.
    what : str
        Name of the values in messages.

    Raises
    ------
    InputError
        For dates, text, complex numbers and other objects.
    """
    array = as_array(values, what)
    if array.dtype == object:
        array = _of_objects(array, what)
    if array.dtype.kind == "V" and array.dtype.names is None and "float" in array.dtype.name:
        return array.astype(np.float32)  # bfloat16 of ml_dtypes
    if array.dtype.kind not in "fiub":
        raise InputError(not_real(array.dtype, what))
    return array


def as_floats(values: Any, what: str) -> FloatArray:
    """Return `values` as float32 or float64, without a copy if they have such a dtype."""
    array = as_reals(values, what)
    if array.dtype in (np.float32, np.float64):
        return array
    with np.errstate(over="ignore"):  # longdouble may overflow; callers refuse infinity
        return array.astype(np.float64)


def as_array(values: Any, what: str) -> Array:
    """Return `values` as an array of any dtype; masked numbers become NaN.

    Raises
    ------
    InputError
        For an object that is not array-like, or that cannot be one array.
    """
    try:
        return _array(values, what)
    except InputError:
        raise
    except (TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError) as error:
        raise _no_numbers(what, error) from None


def _array(values: Any, what: str) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        return _filled(values)
    if isinstance(values, np.ndarray):
        return np.asarray(values)  # converts subclasses
    if hasattr(values, "detach"):
        return _of_tensor(values)
    if not is_array_like(values):
        raise NotNumbersError(
            f"Expected {what} as an array, a list of arrays or a frame, got "
            f"{type(values).__name__}; {way_out(values)}."
        )
    if isinstance(values, (list, tuple)) and not _is_plain(values):
        # NumPy would drop the masks of arrays in the list, and cannot convert all tensors.
        values = [_array(one, what) if is_array_like(one) else one for one in values]
    return np.asarray(values)


def _is_plain(values: Any) -> bool:
    """Return whether a list contains only numbers and lists of numbers."""
    kinds = set(map(type, values))
    return kinds <= _PLAIN or (kinds <= {list, tuple} and all(map(_is_plain, values)))


def _filled(values: np.ma.MaskedArray[Any, Any]) -> Array:
    if not np.ma.is_masked(values):
        return values.data
    if values.dtype.kind == "f":
        return np.asarray(values.filled(np.nan))
    if values.dtype.kind in "iub":
        floats = np.array(values.data, np.float64)
        floats[np.ma.getmaskarray(values)] = np.nan
        return floats
    if values.dtype == object:
        return np.asarray(values.filled(None))
    return values.data  # for example dates, which callers refuse


def _of_tensor(values: Any) -> Array:
    """Convert a PyTorch tensor on any device."""
    if hasattr(values, "get_mask"):  # a masked tensor
        hidden = ~_of_tensor(values.get_mask())
        return _filled(np.ma.MaskedArray(_of_tensor(values.get_data()), hidden))
    if getattr(values, "is_nested", False):
        raise InputError("Expected a dense tensor, got a nested one; give X.unbind().")
    if values.is_quantized:
        values = values.dequantize()
    if values.is_floating_point() and values.element_size() < 4:
        values = values.float()  # NumPy has no bfloat16
    if "sparse" in str(values.layout):
        values = values.to_dense()
    return np.asarray(values.numpy(force=True))


def _of_objects(array: Array, what: str) -> Array:
    """Convert an array of objects to float64; None and pandas.NA become NaN."""
    kinds = {type(one) for one in array.ravel()}
    if any(issubclass(kind, _DATES) for kind in kinds):
        raise InputError(f"Expected real numbers in {what}, got dates or times; {_NO_DATES}.")
    if any(issubclass(kind, (str, bytes)) for kind in kinds):
        raise InputError(f"Expected real numbers in {what}, got text; convert it to numbers first.")
    if any(kind.__name__ == "NAType" for kind in kinds):  # pandas.NA
        known = [np.nan if type(one).__name__ == "NAType" else one for one in array.ravel()]
        array = np.array(known, dtype=object).reshape(array.shape)
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _no_numbers(what, error) from None


def _no_numbers(what: str, error: Exception) -> NotNumbersError:
    message = str(error).rstrip(".")
    return NotNumbersError(f"Expected numbers in {what}, but NumPy cannot read them: {message}.")


def not_real(dtype: np.dtype[Any], what: str) -> str:
    """Return the message for values of a dtype that holds no real numbers."""
    message = f"Expected real numbers in {what}, got dtype {dtype}"
    if dtype.kind in "Mm":
        return f"{message}; dates and times cannot be features: {_NO_DATES}."
    if dtype.kind == "c":
        return (
            f"{message}. Complex data not supported: give real and imaginary parts as two "
            "features, or the absolute values with numpy.abs."
        )
    if dtype.names is not None:
        return (
            f"{message}; convert a structured array to numbers with "
            "numpy.lib.recfunctions.structured_to_unstructured."
        )
    return f"{message}; convert text to numbers with X.astype(float)."
