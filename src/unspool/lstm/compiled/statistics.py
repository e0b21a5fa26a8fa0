"""Statistics of the states over the steps, computed while the steps run, and their gradients.

No state is kept for them. The mean and the squared deviations follow Welford [1]_, which is
accurate if all states are close together and far from zero. The mean carries its rounding error
along (Kahan summation): after many steps, a single state changes it by less than one unit in the
last place.

Arrays are ``[row][lane]`` as in `recurrence`, or the units of one sequence as in `small_batch`.
Every operation is element-wise, so that both compute the same bits.

References
----------
.. [1] B. P. Welford (1962). Note on a method for calculating corrected sums of squares and
   products. Technometrics 4(3).
"""

import math

from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.lstm.compiled.jit import compiled
from unspool.lstm.compiled.tiles import fill, read_rows, row_starts, write_rows
from unspool.lstm.compiled.vector import after, fma, lanes_of, load, pointer, store, where_less

MEAN, DEVIATION, LARGEST, SMALLEST, ROUNDING = range(5)  # the arrays that `collect` updates
RUNNING = 5  # number of these arrays
STATISTICS = 4  # number of arrays that can be requested: all except the rounding error
GRADIENT_TERMS = 2 * STATISTICS  # number of arrays that `gradient_terms` fills


@compiled
def positions(args):
    """Return the position of each of the four among the requested statistics, or -1."""
    return args.mean, args.deviation, args.largest, args.smallest


# Forward.


@compiled
def begin(running, state, block):
    """Initialise the statistics with the first states.

    `running` has the mean, the sum of squared deviations, the largest and the smallest state, and
    the rounding error of the mean, each `block` values in whole vectors.
    """
    for place in range(0, block, lanes_of(running)):
        h = load(state, place)
        store(running, MEAN * block + place, h)
        store(running, LARGEST * block + place, h)
        store(running, SMALLEST * block + place, h)
        store(running, DEVIATION * block + place, h * 0.0)
        store(running, ROUNDING * block + place, h * 0.0)


@compiled
def collect(args, running, state, block, lanes, ends, t, ragged):
    """Update the statistics with the states after step `t`.

    A lane past its end keeps its statistics. Since its state is still the final one, only the mean
    and the deviations need a mask.
    """
    size = lanes_of(running)
    if t == 0:
        begin(running, state, block)
        return
    if args.mean >= 0 or args.deviation >= 0:
        share, others, squares = 1.0 / (t + 1.0), t / (t + 1.0), args.deviation >= 0
        rounding, deviations = after(running, ROUNDING * block), after(running, DEVIATION * block)
        for place in range(0, block, size):
            mean, error = load(running, place), load(rounding, place)
            difference = load(state, place) - mean
            if ragged:
                end = load(ends, place % lanes)
                difference, error = (
                    where_less(t, end, difference, 0.0),
                    where_less(t, end, error, 0.0),
                )
            step = fma(difference, share, error)
            moved = mean + step
            store(running, place, moved)
            store(rounding, place, step - (moved - mean))
            if squares:
                store(
                    deviations, place, fma(difference * difference, others, load(deviations, place))
                )
    # The comparisons are written so that NaN stays NaN.
    if args.largest >= 0:
        extremes = after(running, LARGEST * block)
        for place in range(0, block, size):
            h, largest = load(state, place), load(extremes, place)
            store(extremes, place, where_less(h, largest, largest, h))
    if args.smallest >= 0:
        extremes = after(running, SMALLEST * block)
        for place in range(0, block, size):
            h, smallest = load(state, place), load(extremes, place)
            store(extremes, place, where_less(smallest, h, smallest, h))


@compiled
def variance(squares, length):
    """Return the variance from squared deviations summed over `length` steps, which may be 0."""
    return squares / max(length, 1)


@compiled
def write_statistics(args, running, starts, ends, first, lanes, like):
    """Write the statistics of a tile's sequences; for "std" the variance, or its root."""
    hidden, block = args.hidden, args.hidden * lanes
    pooled = pointer(args.pooled, like[0])
    row_starts(starts, args.batch, first, lanes, args.pooled_batch)
    if args.deviation >= 0:
        squares = after(running, DEVIATION * block)
        for place in range(block):
            end = math.floor(ends[place % lanes])
            squares[place] = variance(squares[place], end)
            if args.takes_root:
                squares[place] = math.sqrt(squares[place] + VARIANCE_FLOOR) if end else 0.0
    for k in range(STATISTICS):
        place = positions(args)[k]
        if place >= 0:
            out = after(pooled, place * args.pooled_step)
            write_rows(out, starts, after(running, k * block), lanes, hidden)


# Backward.


@compiled
def gradient_terms(args, terms, starts, ends, state_grad, first, lanes, like):
    """Prepare what `state_gradient` reads, for all steps of a tile.

    The gradients of sequences without steps are added to `state_grad`.

    `terms` first has the gradients: the part that is equal for all steps, the factor of a state's
    difference from the mean, and the gradients of the largest and the smallest state; then it has
    the four statistics.
    """
    size = lanes_of(terms)
    hidden, block, stride = args.hidden, args.hidden * lanes, (args.hidden + size) * lanes
    pooled, grad = pointer(args.pooled, like[0]), pointer(args.grad_pooled, like[0])
    row_starts(starts, args.batch, first, lanes, args.pooled_batch)
    fill(terms, block, 0.0)
    for k in range(STATISTICS):
        place = positions(args)[k]
        if place >= 0:
            out = after(terms, k * stride)
            for source in (grad, pooled):
                read_rows(out, lanes, after(source, place * args.pooled_step), starts, hidden)
                out = after(out, STATISTICS * stride)
    slope, deviation = (
        after(terms, DEVIATION * stride),
        after(terms, (STATISTICS + DEVIATION) * stride),
    )
    for place in range(0, block, size):
        end, even = load(ends, place % lanes), load(terms, place)
        steps, begun = where_less(0.0, end, end, 1.0), even
        if args.deviation >= 0:
            spread = where_less(0.0, end, load(deviation, place) * steps, 1.0)
            store(slope, place, load(slope, place) / spread)
        if args.largest >= 0:
            begun = begun + load(terms, place + LARGEST * stride)
        if args.smallest >= 0:
            begun = begun + load(terms, place + SMALLEST * stride)
        store(state_grad, place, load(state_grad, place) + where_less(0.0, end, 0.0, begun))
        store(terms, place, even / steps)


@compiled
def state_gradient(h, terms, place, stride, deviation, largest, smallest, ends, lanes, t, ragged):
    """Return the gradient of the statistics with respect to the states `h` after step `t`.

    If several steps have the largest or the smallest state, its gradient is assigned to the one
    that was read last.
    """
    added, high, low = load(terms, place), h, h
    values = place + STATISTICS * stride
    if deviation:
        difference = h - load(terms, values)
        added = fma(load(terms, place + DEVIATION * stride), difference, added)
    if ragged:
        end = load(ends, place % lanes)
        added = where_less(t, end, added, 0.0)
        high, low = where_less(t, end, h, -math.inf), where_less(t, end, h, math.inf)
    if largest:
        bound = load(terms, values + LARGEST * stride)
        grad = load(terms, place + LARGEST * stride)
        added = added + where_less(high, bound, 0.0, grad)
        store(terms, place + LARGEST * stride, where_less(high, bound, grad, 0.0))
    if smallest:
        bound = load(terms, values + SMALLEST * stride)
        grad = load(terms, place + SMALLEST * stride)
        added = added + where_less(bound, low, 0.0, grad)
        store(terms, place + SMALLEST * stride, where_less(bound, low, grad, 0.0))
    return added
