"""A graph of ONNX operators as it is put together, and the few moves that all parts share.

Values go by their names. Shapes in comments are those of `unspool`: B batch, T steps, F features.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._optional import import_optional

# The LSTM has been the same since 14, `Shape` has a start and an end since 15. 17 came with IR 8 in
# 2022: ONNX Runtime runs it since 1.12, and nothing newer would be of use here.
OPSET = 17
IR_VERSION = 8

Array = npt.NDArray[Any]


class Graph:
    """Nodes in the order they run, and the constants they read.

    Parameters
    ----------
    root : Graph, optional
        What this is the body of a loop in; a body reads the values and constants of its root.
    """

    def __init__(self, root: "Graph | None" = None) -> None:
        self.onnx: Any = import_optional("onnx", "onnx")
        self.root = root or self
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def fresh(self, stem: str) -> str:
        """A name that no other value has."""
        self.root._count += 1
        return f"{stem}_{self.root._count}"

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Add an operator with one output; the output's name, `out` where that is given."""
        output = out or self.fresh(kind)
        self._node(kind, inputs, [output], attributes)
        return output

    def ops(self, outputs: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operator with several outputs; their names."""
        names = [self.fresh(kind) for _ in range(outputs)]
        self._node(kind, inputs, names, attributes)
        return names

    def _node(
        self, kind: str, inputs: Iterable[str], outputs: list[str], attributes: dict[str, Any]
    ) -> None:
        given = list(inputs)
        while given and not given[-1]:  # left out
            given.pop()
        node = self.onnx.helper.make_node(
            kind, given, outputs, name=f"{kind}:{outputs[0]}", **attributes
        )
        self.nodes.append(node)

    def weight(self, name: str, array: Array) -> str:
        """A constant with a name of its own."""
        constants = self.root.constants
        if name not in constants:
            whole = np.ascontiguousarray(array)
            constants[name] = self.onnx.numpy_helper.from_array(whole, name)
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """A small constant; equal ones are one."""
        array = np.asarray(values, dtype)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.root._small:
            self.root._small[key] = self.weight(self.fresh("constant"), array)
        return self.root._small[key]

    def ints(self, *values: int) -> str:
        """Whole numbers, as sizes and axes have to be."""
        return self.constant(values, np.int64)

    def real(self, value: float) -> str:
        """A float32 without axes."""
        return self.constant(value, np.float32)

    def typed(self, name: str, dtype: npt.DTypeLike, shape: list[Any], doc: str = "") -> Any:
        """What an input or an output is: its name, dtype and shape."""
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.onnx.helper.make_tensor_value_info(name, kind, shape, doc)

    def needed(self, outputs: Iterable[str]) -> tuple[list[Any], list[Any]]:
        """The nodes and constants that `outputs` depend on."""
        wanted, kept = set(outputs), []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(_read(node))
        return kept[::-1], [one for name, one in self.constants.items() if name in wanted]

    # Moves that several parts make.

    def size(self, x: str, axis: int) -> str:
        """How long an axis is, (1,)."""
        return self.op("Shape", x, start=axis, end=axis + 1)

    def zeros(self, *sizes: str) -> str:
        """Zeros, float32, of sizes that are each (1,)."""
        return self.op("ConstantOfShape", self.op("Concat", *sizes, axis=0))

    def first(self, x: str, count: str, axis: int) -> str:
        """The first `count` (1,) along an axis, or all where there are fewer."""
        return self.op("Slice", x, self.ints(0), count, self.ints(axis))

    def first_of(self, x: str, count: str, length: int, axis: int) -> str:
        """The first `count` (1,) of `length` along an axis; running it fails for more."""
        rest = self.op("Sub", self.ints(length), count)
        sizes = self.op("Concat", count, rest, axis=0)
        return self.ops(2, "Split", x, sizes, axis=axis)[0]

    def joined(self, parts: list[str], axis: int) -> str:
        """Side by side along an axis."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=axis)

    def shaped(self, x: str, *shape: int) -> str:
        """The same numbers in another shape; 0 leaves an axis as it is."""
        return self.op("Reshape", x, self.ints(*shape))

    def turned(self, x: str, *axes: int) -> str:
        """Its axes in another order."""
        return self.op("Transpose", x, perm=axes)


def _read(node: Any) -> set[str]:
    """What a node reads, and the nodes of its body."""
    read = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            read |= _read(inner)
    return read
