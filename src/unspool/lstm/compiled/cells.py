"""The functions of the kernels that depend on the kind of cell.

Kernels receive the kind as their last argument, a tuple with a number for each state of the cell.
Its length is part of its type, so Numba compiles every kernel for each kind separately.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numba

from unspool._types import CellName
from unspool.lstm.compiled import gru_cell, lstm_cell

CELLS: Mapping[CellName, tuple[int, ...]] = {"lstm": (0, 0), "gru": (0,)}


def _by_cell(name: str) -> Callable[..., Any]:
    """Return the function with this name, of the kind of cell that is its last argument."""

    def function(*args):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    function.__name__ = name
    functions = {}
    for cell, module in (("lstm", lstm_cell), ("gru", gru_cell)):
        of_cell = getattr(module, name)  # a plain function if Numba's compiler is switched off
        functions[len(CELLS[cell])] = getattr(of_cell, "py_func", of_cell)
    numba.extending.overload(function, strict=False)(lambda *args: functions[len(args[-1])])
    return function


pack_weights = _by_cell("pack_weights")
pack_transposed = _by_cell("pack_transposed")
add_context = _by_cell("add_context")
advance = _by_cell("advance")
activate = _by_cell("activate")
derive = _by_cell("derive")
add_gradients = _by_cell("add_gradients")
input_gradient = _by_cell("input_gradient")
context_gradients = _by_cell("context_gradients")
weights_size = _by_cell("weights_size")
