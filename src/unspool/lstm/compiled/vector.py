"""A processor's vector as a Numba type, with the few operations that the kernels need.

Numba turns loops over arrays into vector instructions where LLVM can. It cannot keep a block of
results in registers while it adds products to them, which makes the kernels two to four times as
fast. So `Vector` is a type of values here: vectors are loaded, stored, added and multiplied
explicitly, and a block is a tuple of them.

A vector is as wide as the processor's registers: 16 float32 with AVX-512, 8 with AVX, 4 otherwise
(NEON, SSE). No operation reorders a sum, so the same operations always compute the same bits.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

INT64 = ir.IntType(64)


def _processor() -> tuple[int, bool]:
    """Return the bytes of a vector register, and whether there are 32 registers (16 otherwise)."""
    listed = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    features = {name[1:] for name in listed.split(",") if name.startswith("+")}
    if "avx512f" in features:
        return 64, True
    return (32, False) if "avx" in features else (16, "neon" in features)


BYTES, MANY_REGISTERS = _processor()


class Vector(types.Type):  # type: ignore[misc]
    """A register full of values of `dtype`."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = BYTES * 8 // dtype.bitwidth
        super().__init__(f"Vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


# Arithmetic between two vectors, or a vector and a number, which is used in every lane.
ARITHMETIC = {
    operator.add: "fadd",
    operator.sub: "fsub",
    operator.mul: "fmul",
    operator.truediv: "fdiv",
}


def _in_every_lane(context: Any, builder: Any, value: Any, kind: Any, vector: Vector) -> Any:
    """Return `value` of type `kind`, a number or a vector, as a vector."""
    if isinstance(kind, Vector):
        return value
    number = context.cast(builder, value, kind, vector.dtype)
    shape = context.get_value_type(vector)
    nothing = ir.Constant(shape, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(first, nothing, zeros)


def _register(function: Any, instruction: str) -> None:
    @infer_global(function)
    class _Typed(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            vectors = [kind for kind in args if isinstance(kind, Vector)]
            if vectors and all(isinstance(kind, Vector | types.Number) for kind in args):
                return signature(vectors[0], *args)
            return None

    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        one, other = (
            _in_every_lane(context, builder, value, kind, sig.return_type)
            for value, kind in zip(args, sig.args, strict=True)
        )
        return getattr(builder, instruction)(one, other)

    for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(function, *kinds)(lowered)


for _function, _instruction in ARITHMETIC.items():
    _register(_function, _instruction)


def _multiply_add(builder: Any, shape: Any, a: Any, b: Any, c: Any) -> Any:
    bits = 32 if isinstance(shape.element, ir.FloatType) else 64
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(shape, [shape] * 3),
        f"llvm.fma.v{shape.count}f{bits}",
    )
    return builder.call(function, [a, b, c])


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c`` with one rounding; numbers are used in every lane."""
    vector = next(kind for kind in (a, b, c) if isinstance(kind, Vector))

    def code(context, builder, sig, args):
        terms = [
            _in_every_lane(context, builder, value, kind, vector)
            for value, kind in zip(args, sig.args, strict=True)
        ]
        return _multiply_add(builder, context.get_value_type(vector), *terms)

    return vector(a, b, c), code


@intrinsic
def where_less(typingctx, a, b, yes, no):
    """Return `yes` in the lanes where ``a < b``, and `no` in the others; NaN counts as not less."""
    vector = next(kind for kind in (a, b, yes, no) if isinstance(kind, Vector))

    def code(context, builder, sig, args):
        a, b, yes, no = (
            _in_every_lane(context, builder, value, kind, vector)
            for value, kind in zip(args, sig.args, strict=True)
        )
        return builder.select(builder.fcmp_ordered("<", a, b), yes, no)

    return vector(a, b, yes, no), code


@intrinsic
def power_of_two(typingctx, n):
    """Return 2 to the power of the whole number `n`, from -1022 to 1023, in float64."""

    def code(context, builder, sig, args):
        whole = ir.VectorType(INT64, n.lanes)
        exponent = builder.fptosi(args[0], whole)
        exponent = builder.add(exponent, ir.Constant(whole, [1023] * n.lanes))
        exponent = builder.shl(exponent, ir.Constant(whole, [52] * n.lanes))
        return builder.bitcast(exponent, context.get_value_type(n))

    return n(n), code


@intrinsic
def total(typingctx, vector):
    """Return the sum of the lanes, added from first to last."""

    def code(context, builder, sig, args):
        lanes = [
            builder.extract_element(args[0], ir.Constant(ir.IntType(32), lane))
            for lane in range(vector.lanes)
        ]
        result = lanes[0]
        for lane in lanes[1:]:
            result = builder.fadd(result, lane)
        return result

    return vector.dtype(vector), code


# Memory. Pointers point to single values and need no alignment.


@intrinsic
def pointer(typingctx, address, like):
    """Return `address` as a pointer to values of the type of `like`."""

    def code(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return types.CPointer(like)(address, like), code


@intrinsic
def whole_numbers(typingctx, start):
    """Return `start` as a pointer to integers of 64 bits."""

    def code(context, builder, sig, args):
        return builder.bitcast(args[0], context.get_value_type(sig.return_type))

    return types.CPointer(types.int64)(start), code


@intrinsic
def after(typingctx, start, count):
    """Return the pointer `count` values after `start`."""

    def code(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return start(start, count), code


@intrinsic
def lanes_of(typingctx, start):
    """Return the lanes of a vector of the type that `start` points to."""
    lanes = Vector(start.dtype).lanes

    def code(context, builder, sig, args):
        return ir.Constant(INT64, lanes)

    return types.int64(start), code


def _load(builder: Any, start: Any, shape: Any) -> Any:
    return builder.load(builder.bitcast(start, shape.as_pointer()), align=4)


def _store(builder: Any, value: Any, start: Any) -> None:
    builder.store(value, builder.bitcast(start, value.type.as_pointer()), align=4)


def _plus(builder: Any, start: Any, count: int) -> Any:
    return builder.gep(start, [ir.Constant(INT64, count)])


@intrinsic
def load(typingctx, start, index):
    """Return the vector that begins `index` values after `start`."""
    vector = Vector(start.dtype)

    def code(context, builder, sig, args):
        where = builder.gep(args[0], [args[1]])
        return _load(builder, where, context.get_value_type(vector))

    return vector(start, index), code


@intrinsic
def store(typingctx, start, index, vector):
    """Write `vector` to memory from `index` values after `start` on."""

    def code(context, builder, sig, args):
        _store(builder, args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.none(start, index, vector), code


# Blocks: tuples of vectors, rows times columns, that stay in registers.


@intrinsic(prefer_literal=True)
def load_block(typingctx, start, stride, rows, columns):
    """Return a block of ``len(columns)`` vectors in each of `rows` rows, `stride` values apart."""
    vector, height, width = Vector(start.dtype), rows.literal_value, len(columns)
    block = types.UniTuple(vector, height * width)

    def code(context, builder, sig, args):
        shape = context.get_value_type(vector)
        loaded = []
        for row in range(height):
            first = builder.gep(args[0], [builder.mul(args[1], ir.Constant(INT64, row))])
            for column in range(width):
                loaded.append(_load(builder, _plus(builder, first, column * shape.count), shape))
        return context.make_tuple(builder, block, loaded)

    return block(start, stride, rows, columns), code


@intrinsic(prefer_literal=True)
def store_block(typingctx, start, stride, rows, columns, block):
    """Write a block to where `load_block` reads it."""
    height, width = rows.literal_value, len(columns)

    def code(context, builder, sig, args):
        vectors = cgutils.unpack_tuple(builder, args[4], height * width)
        for row in range(height):
            first = builder.gep(args[0], [builder.mul(args[1], ir.Constant(INT64, row))])
            for column in range(width):
                vector = vectors[row * width + column]
                _store(builder, vector, _plus(builder, first, column * vector.type.count))
        return context.get_dummy_value()

    return types.none(start, stride, rows, columns, block), code


@intrinsic(prefer_literal=True)
def add_products(typingctx, block, numbers, stride, vectors, rows, columns):
    """Return `block` plus the outer product of a column of numbers and a row of vectors.

    The numbers are `stride` values apart; the vectors are contiguous.
    """
    vector, height, width = block.dtype, rows.literal_value, len(columns)

    def code(context, builder, sig, args):
        shape = context.get_value_type(vector)
        sums = cgutils.unpack_tuple(builder, args[0], height * width)
        across = [
            _load(builder, _plus(builder, args[3], column * shape.count), shape)
            for column in range(width)
        ]
        for row in range(height):
            where = builder.gep(args[1], [builder.mul(args[2], ir.Constant(INT64, row))])
            number = _in_every_lane(context, builder, builder.load(where), vector.dtype, vector)
            for column in range(width):
                place = row * width + column
                sums[place] = _multiply_add(builder, shape, number, across[column], sums[place])
        return context.make_tuple(builder, block, sums)

    return block(block, numbers, stride, vectors, rows, columns), code


# Squares of vectors, transposed between rows and columns.


def _first_lanes(builder: Any, count: Any, lanes: int) -> Any:
    """Return the mask of the first `count` lanes."""
    whole = ir.VectorType(INT64, lanes)
    nothing = ir.Constant(whole, ir.Undefined)
    first = builder.insert_element(nothing, count, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    counts = builder.shuffle_vector(first, nothing, zeros)
    return builder.icmp_signed("<", ir.Constant(whole, list(range(lanes))), counts)


def _masked(builder: Any, shape: Any, kind: str) -> Any:
    """Return LLVM's masked load or store, named as for opaque pointers."""
    mask, place = ir.VectorType(ir.IntType(1), shape.count), shape.as_pointer()
    bits = 32 if isinstance(shape.element, ir.FloatType) else 64
    function = (
        ir.FunctionType(shape, [place, ir.IntType(32), mask, shape])
        if kind == "load"
        else ir.FunctionType(ir.VoidType(), [shape, place, ir.IntType(32), mask])
    )
    return cgutils.get_or_insert_function(
        builder.module, function, f"llvm.masked.{kind}.v{shape.count}f{bits}.p0"
    )


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of vectors by swapping halves at distances 1, 2, 4, …"""
    lanes = len(rows)
    distance = 1
    while distance < lanes:
        swapped = list(rows)
        keep = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
        give = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), lanes), m) for m in (keep, give)]
        for row in range(lanes):
            if not row & distance:
                pair = rows[row], rows[row + distance]
                swapped[row] = builder.shuffle_vector(*pair, masks[0])
                swapped[row + distance] = builder.shuffle_vector(*pair, masks[1])
        rows, distance = swapped, distance * 2
    return rows


ALIGN = ir.Constant(ir.IntType(32), 4)


@intrinsic
def rows_to_columns(typingctx, out, stride, source, starts, count):
    """Transpose a square: lane b of column k is ``source[starts[b] + k]`` for k < `count`, else 0.

    Column k is written ``stride * k`` values after `out`; all columns of the square are written.
    If ``starts[b]`` is negative, row b is zero.
    """
    vector = Vector(source.dtype)

    def code(context, builder, sig, args):
        out, stride, source, starts, count = args
        shape = context.get_value_type(vector)
        lanes = shape.count
        zeros = ir.Constant(shape, [0.0] * lanes)
        load, rows = _masked(builder, shape, "load"), []
        for lane in range(lanes):
            start = builder.load(_plus(builder, starts, lane))
            there = builder.icmp_signed(">=", start, ir.Constant(INT64, 0))
            present = builder.select(there, count, ir.Constant(INT64, 0))
            where = builder.bitcast(builder.gep(source, [start]), shape.as_pointer())
            mask = _first_lanes(builder, present, lanes)
            rows.append(builder.call(load, [where, ALIGN, mask, zeros]))
        for place, column in enumerate(_transposed(builder, rows)):
            below = builder.mul(stride, ir.Constant(INT64, place))
            _store(builder, column, builder.gep(out, [below]))
        return context.get_dummy_value()

    return types.none(out, stride, source, starts, count), code


@intrinsic
def columns_to_rows(typingctx, out, starts, source, stride, count):
    """Transpose a square back: ``out[starts[b] + k]`` is lane b of column k, for k < `count`.

    Rows with a negative start are not written.
    """
    vector = Vector(source.dtype)

    def code(context, builder, sig, args):
        out, starts, source, stride, count = args
        shape = context.get_value_type(vector)
        lanes = shape.count
        columns = []
        for place in range(lanes):
            below = builder.mul(stride, ir.Constant(INT64, place))
            columns.append(_load(builder, builder.gep(source, [below]), shape))
        store = _masked(builder, shape, "store")
        for lane, row in enumerate(_transposed(builder, columns)):
            start = builder.load(_plus(builder, starts, lane))
            there = builder.icmp_signed(">=", start, ir.Constant(INT64, 0))
            present = builder.select(there, count, ir.Constant(INT64, 0))
            where = builder.bitcast(builder.gep(out, [start]), shape.as_pointer())
            mask = _first_lanes(builder, present, lanes)
            builder.call(store, [row, where, ALIGN, mask])
        return context.get_dummy_value()

    return types.none(out, starts, source, stride, count), code


@intrinsic
def load_first(typingctx, start, index, count):
    """Return a vector like `load`, but lanes from `count` on are not read and are zero."""
    vector = Vector(start.dtype)

    def code(context, builder, sig, args):
        shape = context.get_value_type(vector)
        where = builder.bitcast(builder.gep(args[0], [args[1]]), shape.as_pointer())
        mask = _first_lanes(builder, args[2], shape.count)
        zeros = ir.Constant(shape, [0.0] * shape.count)
        return builder.call(_masked(builder, shape, "load"), [where, ALIGN, mask, zeros])

    return vector(start, index, count), code
