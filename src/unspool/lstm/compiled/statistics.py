"""Statistics of the states over the steps, taken while the steps run, and their gradients.

No state is kept for them. Mean and squared deviations are Welford's, which hold where all states
lie close together and far from zero; the mean carries its rounding error along (Kahan), since
after many steps a single state changes it by less than one unit in the last place.

Arrays are ``[row][lane]`` as in `recurrence`, or the units of one sequence as in `few`; every
operation is element by element, so that both give the same bits.

Source: Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares".
"""

import math

from unspool.lstm.compiled.kernel import compiled
from unspool.lstm.compiled.tiles import fill, read_rows, row_starts, write_rows
from unspool.lstm.compiled.vector import after, fma, lanes_of, load, pointer, store, where_less

RUNNING = 5  # arrays that `collect` fills
PULLING = 7  # arrays that `spread_out` fills


# Forward.


@compiled
def begin(running, state, block):
    """Set the statistics to those of the states alone, `block` values in whole vectors.

    Running are the mean, its rounding error, the sum of squared deviations, the largest and the
    smallest state, `block` values each.
    """
    for place in range(0, block, lanes_of(running)):
        h = load(state, place)
        store(running, place, h)
        store(running, place + block, h * 0.0)
        store(running, place + 2 * block, h * 0.0)
        store(running, place + 3 * block, h)
        store(running, place + 4 * block, h)


@compiled
def collect(job, running, state, block, lanes, ends, t, ragged):
    """Take in the states after step `t`; a lane past its end keeps what it has.

    Its state is the last one still, so that only the mean has to leave it out.
    """
    size = lanes_of(running)
    if t == 0:
        begin(running, state, block)
        return
    if job.mean >= 0 or job.deviation >= 0:
        share, others, squares = 1.0 / (t + 1.0), t / (t + 1.0), job.deviation >= 0
        for place in range(0, block, size):
            mean = load(running, place)
            apart = load(state, place) - mean
            if ragged:
                end = load(ends, place % lanes)
                apart = where_less(t, end, apart, 0.0)
                step = fma(apart, share, where_less(t, end, load(running, place + block), 0.0))
            else:
                step = fma(apart, share, load(running, place + block))
            moved = mean + step
            store(running, place, moved)
            store(running, place + block, step - (moved - mean))
            if squares:
                square = load(running, place + 2 * block)
                store(running, place + 2 * block, fma(apart * apart, others, square))
    # Written so that what is not a number stays.
    if job.largest >= 0:
        for place in range(3 * block, 4 * block, size):
            h, largest = load(state, place - 3 * block), load(running, place)
            store(running, place, where_less(h, largest, largest, h))
    if job.smallest >= 0:
        for place in range(4 * block, 5 * block, size):
            h, smallest = load(state, place - 4 * block), load(running, place)
            store(running, place, where_less(smallest, h, smallest, h))


@compiled
def variance(squares, length):
    """From squared deviations added up over `length` steps, which may be none."""
    return squares / max(length, 1)


@compiled
def write_statistics(job, running, starts, ends, first, lanes, like):
    """Write the statistics of a tile's sequences, in the place of each, variances for "std"."""
    hidden, block = job.hidden, job.hidden * lanes
    pooled = pointer(job.pooled, like[0])
    row_starts(starts, job.batch, first, lanes, job.statistics * hidden)
    if job.mean >= 0:
        write_rows(after(pooled, job.mean * hidden), starts, running, lanes, hidden)
    if job.deviation >= 0:
        squares = after(running, 2 * block)
        for place in range(block):
            squares[place] = variance(squares[place], math.floor(ends[place % lanes]))
        write_rows(after(pooled, job.deviation * hidden), starts, squares, lanes, hidden)
    if job.largest >= 0:
        largest = after(running, 3 * block)
        write_rows(after(pooled, job.largest * hidden), starts, largest, lanes, hidden)
    if job.smallest >= 0:
        smallest = after(running, 4 * block)
        write_rows(after(pooled, job.smallest * hidden), starts, smallest, lanes, hidden)


# Backward.


@compiled
def spread_out(job, pulling, starts, ends, state_grad, first, lanes, like):
    """Get ready what `pull` reads, and give `state_grad` what falls to sequences of no steps.

    Pulling are what every step gets alike, the mean, what a step gets for each unit it lies above
    the mean, the largest state and its gradient, the smallest and its gradient.
    """
    size = lanes_of(pulling)
    hidden, block, stride = job.hidden, job.hidden * lanes, (job.hidden + size) * lanes
    pooled, grad = pointer(job.pooled, like[0]), pointer(job.grad_pooled, like[0])
    share, mean, slope = pulling, after(pulling, stride), after(pulling, 2 * stride)
    row_starts(starts, job.batch, first, lanes, job.statistics * hidden)
    fill(share, block, 0.0)
    if job.mean >= 0:
        read_rows(share, lanes, after(grad, job.mean * hidden), starts, hidden)
    if job.deviation >= 0:
        # The deviations pass through where the smallest state's gradient comes to stand.
        deviations = after(pulling, 6 * stride)
        read_rows(mean, lanes, after(pooled, job.mean * hidden), starts, hidden)
        read_rows(slope, lanes, after(grad, job.deviation * hidden), starts, hidden)
        read_rows(deviations, lanes, after(pooled, job.deviation * hidden), starts, hidden)
        for place in range(0, block, size):
            end = load(ends, place % lanes)
            steps = load(deviations, place) * end
            real = where_less(0.0, end, load(slope, place), 0.0)
            store(slope, place, real / where_less(0.0, end, steps, 1.0))
    if job.largest >= 0:
        read_rows(
            after(pulling, 3 * stride), lanes, after(pooled, job.largest * hidden), starts, hidden
        )
        read_rows(
            after(pulling, 4 * stride), lanes, after(grad, job.largest * hidden), starts, hidden
        )
    if job.smallest >= 0:
        read_rows(
            after(pulling, 5 * stride), lanes, after(pooled, job.smallest * hidden), starts, hidden
        )
        read_rows(
            after(pulling, 6 * stride), lanes, after(grad, job.smallest * hidden), starts, hidden
        )
    for place in range(0, block, size):
        end, even = load(ends, place % lanes), load(share, place)
        begun = even
        if job.largest >= 0:
            begun = begun + load(pulling, place + 4 * stride)
        if job.smallest >= 0:
            begun = begun + load(pulling, place + 6 * stride)
        store(state_grad, place, load(state_grad, place) + where_less(0.0, end, 0.0, begun))
        store(share, place, even / where_less(0.0, end, end, 1.0))


@compiled
def pull(h, pulling, place, stride, deviation, largest, smallest, ends, lanes, t, ragged):
    """The statistics' gradient of the states `h` after step `t`.

    The largest state's goes to the step that was read last, of those that have it, and likewise
    the smallest one's.
    """
    added, high, low = load(pulling, place), h, h
    if deviation:
        added = fma(load(pulling, place + 2 * stride), h - load(pulling, place + stride), added)
    if ragged:
        end = load(ends, place % lanes)
        added = where_less(t, end, added, 0.0)
        high, low = where_less(t, end, h, -math.inf), where_less(t, end, h, math.inf)
    if largest:
        bound, grad = load(pulling, place + 3 * stride), load(pulling, place + 4 * stride)
        added = added + where_less(high, bound, 0.0, grad)
        store(pulling, place + 4 * stride, where_less(high, bound, grad, 0.0))
    if smallest:
        bound, grad = load(pulling, place + 5 * stride), load(pulling, place + 6 * stride)
        added = added + where_less(bound, low, 0.0, grad)
        store(pulling, place + 6 * stride, where_less(bound, low, grad, 0.0))
    return added
