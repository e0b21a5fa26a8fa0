"""Numbers that several threads change: each change is whole, and other threads see it in order."""

from numba import types
from numba.extending import intrinsic


@intrinsic
def fetch_add(typingctx, start, number):
    """Add `number` to the int64 at `start`, and return what was there before."""

    def code(context, builder, sig, args):
        return builder.atomic_rmw("add", args[0], args[1], "seq_cst")

    return types.int64(start, types.int64), code


@intrinsic
def load_atomic(typingctx, start):
    """Return the int64 at `start`, with all that was written before it was."""

    def code(context, builder, sig, args):
        return builder.load_atomic(args[0], "seq_cst", 8)

    return types.int64(start), code
