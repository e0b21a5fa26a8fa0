"""Building a graph of ONNX operators.

Methods take and return names of values. In comments on shapes, B is the batch size, T the number of
steps and F the number of features.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._optional import import_optional

# `Shape` has had a start and an end since opset 15, and the LSTM has not changed since 14. Opset 17
# was published with IR version 8 in 2022, and runs in ONNX Runtime 1.12 or newer.
OPSET = 17
IR_VERSION = 8

Array = npt.NDArray[Any]


class Graph:
    """Nodes in the order of execution, and their constants.

    Parameters
    ----------
    root : Graph, optional
        For the body of a loop: the graph with the loop, whose values and constants it may use.
    """

    def __init__(self, root: "Graph | None" = None) -> None:
        self.onnx: Any = import_optional("onnx", "onnx")
        self.root = root or self
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def fresh(self, stem: str) -> str:
        """Return a name that no other value has."""
        self.root._count += 1
        return f"{stem}_{self.root._count}"

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add an operator with one output, and return its name, `out` or a new one."""
        output = out or self.fresh(kind)
        self._node(kind, inputs, [output], attributes)
        return output

    def ops(self, outputs: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operator with several outputs, and return their names."""
        names = [self.fresh(kind) for _ in range(outputs)]
        self._node(kind, inputs, names, attributes)
        return names

    def _node(
        self, kind: str, inputs: Iterable[str], outputs: list[str], attributes: dict[str, Any]
    ) -> None:
        names = list(inputs)
        while names and not names[-1]:  # optional inputs at the end
            names.pop()
        node = self.onnx.helper.make_node(
            kind, names, outputs, name=f"{kind}:{outputs[0]}", **attributes
        )
        self.nodes.append(node)

    def weight(self, name: str, array: Array) -> str:
        """Add a constant under this name, and return the name."""
        constants = self.root.constants
        if name not in constants:
            contiguous = np.ascontiguousarray(array)
            constants[name] = self.onnx.numpy_helper.from_array(contiguous, name)
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Return the name of a small constant; equal constants share a name."""
        array = np.asarray(values, dtype)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.root._small:
            self.root._small[key] = self.weight(self.fresh("constant"), array)
        return self.root._small[key]

    def ints(self, *values: int) -> str:
        """Return an int64 constant of shape (n,), for sizes and axes."""
        return self.constant(values, np.int64)

    def real(self, value: float) -> str:
        """Return a float32 constant of shape ()."""
        return self.constant(value, np.float32)

    def typed(self, name: str, dtype: npt.DTypeLike, shape: list[Any], doc: str = "") -> Any:
        """Return the description of an input or output."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.onnx.helper.make_tensor_value_info(name, kind, shape, doc)

    def needed(self, outputs: Iterable[str]) -> tuple[list[Any], list[Any]]:
        """Return the nodes and constants that `outputs` depend on."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                nodes.append(node)
                needed.update(_inputs(node))
        return nodes[::-1], [array for name, array in self.constants.items() if name in needed]

    # Operations that several parts use.

    def size(self, x: str, axis: int) -> str:
        """Return the size (1,) of an axis."""
        return self.op("Shape", x, start=axis, end=axis + 1)

    def zeros(self, *sizes: str) -> str:
        """Return float32 zeros with these sizes, each of shape (1,)."""
        return self.op("ConstantOfShape", self.op("Concat", *sizes, axis=0))

    def first(self, x: str, count: str, axis: int) -> str:
        """Return the first `count` (1,) entries along an axis, or all if there are fewer."""
        return self.op("Slice", x, self.ints(0), count, self.ints(axis))

    def split_first(self, x: str, count: str, length: int, axis: int) -> str:
        """Return the first `count` (1,) of `length` entries along an axis; larger counts fail."""
        remaining = self.op("Sub", self.ints(length), count)
        sizes = self.op("Concat", count, remaining, axis=0)
        return self.ops(2, "Split", x, sizes, axis=axis)[0]

    def concat(self, parts: list[str], axis: int) -> str:
        """Concatenate along an axis."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=axis)

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 keeps the size of an axis, and -1 infers it."""
        return self.op("Reshape", x, self.ints(*shape))

    def transpose(self, x: str, *axes: int) -> str:
        """Permute the axes."""
        return self.op("Transpose", x, perm=axes)


def _inputs(node: Any) -> set[str]:
    """Return the inputs of a node and of the nodes in its body."""
    names = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _inputs(inner)
    return names
