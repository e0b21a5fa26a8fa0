"""The machine itself: as many float32 multiply-adds a second as all threads reach in registers.

Every thread runs `CHAINS` independent chains ``a ← a·factor + term`` of vectors, more than one core
has multiply-adds in flight, and no memory is touched. The widest vectors are not the fastest on
every processor, so all widths of `LANES` are tried at first, and the best is the one that is timed.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from benchmarks.contestants import Job, Ready

PACKAGES = ("numba", "llvmlite")

CHAINS = 12
LANES = (4, 8, 16)
STEPS = 1_000_000


def prepare(job: Job) -> Ready:
    """Make the widest chains that pay callable."""
    pool = ThreadPoolExecutor(job.threads)

    def all_threads(lanes: int) -> Callable[[], list[float]]:
        burn = kernel(lanes)
        return lambda: list(pool.map(burn, [STEPS] * job.threads))

    speeds = {lanes: lanes / _seconds(all_threads(lanes)) for lanes in LANES}
    lanes = max(speeds, key=speeds.__getitem__)
    flops = 2 * CHAINS * lanes * STEPS * job.threads
    return Ready(all_threads(lanes), {}, f"{CHAINS} chains of {lanes} lanes", flops)


def kernel(lanes: int) -> Callable[[int], float]:
    """Compile the chains for vectors of `lanes`; takes the steps, and gives the sum at the end."""

    @njit(nogil=True)
    def burn(steps: int) -> float:
        return chains(steps, types.float32(0.5), types.float32(0.5), lanes)

    # The chains run towards 1, where x = x/2 + 1/2, so they can be seen to have been run.
    if abs(burn(100) - CHAINS * lanes) > 1e-3:
        raise RuntimeError(f"the chains end at {burn(100)}, not at {CHAINS * lanes}")
    return burn


def _seconds(call: Callable[[], object]) -> float:
    """The best of a few calls."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@intrinsic(prefer_literal=True)
def chains(typingctx, steps, factor, term, lanes):
    """Emit the loop, ``chains(steps, factor, term, lanes) -> float``; `lanes` is a constant."""
    if not isinstance(lanes, types.IntegerLiteral):
        return None
    vector = ir.VectorType(ir.FloatType(), lanes.literal_value)

    def splat(builder, scalar):
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
        return builder.shuffle_vector(first, undefined, everywhere)

    def codegen(context, builder, signature, arguments):
        count, m, a, _ = arguments
        m, a = splat(builder, m), splat(builder, a)
        fma = builder.module.declare_intrinsic(
            f"llvm.fma.v{vector.count}f32", (), ir.FunctionType(vector, [vector] * 3)
        )
        # Equal chains would be merged into one, so each starts from another number.
        starts = [
            builder.fmul(a, ir.Constant(vector, [k + 1.0] * vector.count)) for k in range(CHAINS)
        ]
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("chains", "after_chains"))
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(count.type)
        step.add_incoming(ir.Constant(count.type, 0), before)
        values = [builder.phi(vector) for _ in range(CHAINS)]
        following = [builder.call(fma, [value, m, a]) for value in values]
        for value, start, new in zip(values, starts, following, strict=True):
            value.add_incoming(start, before)
            value.add_incoming(new, loop)
        next_step = builder.add(step, ir.Constant(count.type, 1))
        step.add_incoming(next_step, loop)
        builder.cbranch(builder.icmp_signed("<", next_step, count), loop, after)
        builder.position_at_end(after)
        total = ir.Constant(ir.FloatType(), 0.0)
        for value in following:
            for lane in range(vector.count):
                one = builder.extract_element(value, ir.Constant(ir.IntType(32), lane))
                total = builder.fadd(total, one)
        return total

    return types.float32(types.int64, types.float32, types.float32, lanes), codegen
