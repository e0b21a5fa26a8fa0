"""Rounding denormal numbers to zero inside of a kernel, as `torch.set_flush_denormal` does outside.

Values that decay over many steps, such as the states of ReLU cells, end as denormals, for which
processors need a hundred times as long. On processors other than x86 and ARM (64 bits), nothing is
changed.
"""

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

MACHINE = platform.machine().lower()
X86, ARM = MACHINE in ("x86_64", "amd64"), MACHINE in ("aarch64", "arm64")
FLUSH_X86 = 0x8040  # the bits FTZ and DAZ of MXCSR
FLUSH_ARM = 1 << 24  # the bit FZ of FPCR
INT32, INT64 = ir.IntType(32), ir.IntType(64)


def _mode(builder):  # type: ignore[no-untyped-def]
    """Return the control register of the arithmetic, as 64 bits."""
    if X86:
        place = cgutils.alloca_once(builder, INT32)
        builder.call(_mxcsr(builder, "st"), [builder.bitcast(place, cgutils.voidptr_t)])
        return builder.zext(builder.load(place), INT64)
    if ARM:
        kind = ir.FunctionType(INT64, [])
        name = "llvm.aarch64.get.fpcr"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
    return ir.Constant(INT64, 0)


def _set(builder, mode):  # type: ignore[no-untyped-def]
    if X86:
        place = cgutils.alloca_once(builder, INT32)
        builder.store(builder.trunc(mode, INT32), place)
        builder.call(_mxcsr(builder, "ld"), [builder.bitcast(place, cgutils.voidptr_t)])
    elif ARM:
        kind = ir.FunctionType(ir.VoidType(), [INT64])
        name = "llvm.aarch64.set.fpcr"
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [mode])


def _mxcsr(builder, what):  # type: ignore[no-untyped-def]
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t])
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{what}mxcsr")


@intrinsic
def flush_denormals(typingctx):
    """Round denormal numbers to zero from here on; return the mode before."""

    def code(context, builder, sig, args):
        before = _mode(builder)
        _set(builder, builder.or_(before, ir.Constant(INT64, FLUSH_X86 if X86 else FLUSH_ARM)))
        return before

    return types.int64(), code


@intrinsic
def restore(typingctx, mode):
    """Restore the mode that `flush_denormals` returned."""

    def code(context, builder, sig, args):
        _set(builder, args[0])
        return context.get_dummy_value()

    return types.none(mode), code
