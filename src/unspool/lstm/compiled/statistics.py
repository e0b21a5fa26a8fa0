"""Statistics of the states over the steps, taken while the steps run, and their gradients.

No state is kept for them. Mean and squared deviations are Welford's, which hold where all states
lie close together and far from zero; the mean carries its rounding error along (Kahan), since
after many steps a single state changes it by less than one unit in the last place.

Arrays are ``[row][lane]`` as in `recurrence`, or the units of one sequence as in `few`; every
operation is element by element, so that both give the same bits.

Source: Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares".
"""

import math

from unspool.lstm.compiled.jit import compiled
from unspool.lstm.compiled.tiles import fill, read_rows, row_starts, write_rows
from unspool.lstm.compiled.vector import after, fma, lanes_of, load, pointer, store, where_less

MEAN, DEVIATION, LARGEST, SMALLEST, ROUNDING = range(5)  # arrays of what `collect` keeps
RUNNING = 5
STATISTICS = 4  # that have a place and a gradient: all but the rounding error
PULLING = 2 * STATISTICS  # arrays that `spread_out` fills


@compiled
def places(args):
    """The place of each of the four among the statistics asked for, -1 where it is not."""
    return args.mean, args.deviation, args.largest, args.smallest


# Forward.


@compiled
def begin(running, state, block):
    """Set the statistics to those of the states alone, `block` values in whole vectors.

    Running are the mean, the sum of squared deviations, the largest and the smallest state, and
    the mean's rounding error, `block` values each.
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
    """Take in the states after step `t`; a lane past its end keeps what it has.

    Its state is the last one still, so that only the mean has to leave it out.
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
            apart = load(state, place) - mean
            if ragged:
                end = load(ends, place % lanes)
                apart, error = where_less(t, end, apart, 0.0), where_less(t, end, error, 0.0)
            step = fma(apart, share, error)
            moved = mean + step
            store(running, place, moved)
            store(rounding, place, step - (moved - mean))
            if squares:
                store(deviations, place, fma(apart * apart, others, load(deviations, place)))
    # Written so that what is not a number stays.
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
    """From squared deviations added up over `length` steps, which may be none."""
    return squares / max(length, 1)


@compiled
def write_statistics(args, running, starts, ends, first, lanes, like):
    """Write the statistics of a tile's sequences, in the place of each, variances for "std"."""
    hidden, block = args.hidden, args.hidden * lanes
    pooled = pointer(args.pooled, like[0])
    row_starts(starts, args.batch, first, lanes, args.statistics * hidden)
    if args.deviation >= 0:
        squares = after(running, DEVIATION * block)
        for place in range(block):
            squares[place] = variance(squares[place], math.floor(ends[place % lanes]))
    for k in range(STATISTICS):
        place = places(args)[k]
        if place >= 0:
            out = after(pooled, place * hidden)
            write_rows(out, starts, after(running, k * block), lanes, hidden)


# Backward.


@compiled
def spread_out(args, pulling, starts, ends, state_grad, first, lanes, like):
    """Get ready what `pull` reads, and give `state_grad` what falls to sequences of no steps.

    Pulling are first the gradients: what every step gets alike, what it gets for each unit that it
    lies above the mean, and what the largest and the smallest get; then the four statistics.
    """
    size = lanes_of(pulling)
    hidden, block, stride = args.hidden, args.hidden * lanes, (args.hidden + size) * lanes
    pooled, grad = pointer(args.pooled, like[0]), pointer(args.grad_pooled, like[0])
    row_starts(starts, args.batch, first, lanes, args.statistics * hidden)
    fill(pulling, block, 0.0)
    for k in range(STATISTICS):
        place = places(args)[k]
        if place >= 0:
            own = after(pulling, k * stride)
            for source in (grad, pooled):
                read_rows(own, lanes, after(source, place * hidden), starts, hidden)
                own = after(own, STATISTICS * stride)
    slope, deviation = (
        after(pulling, DEVIATION * stride),
        after(pulling, (STATISTICS + DEVIATION) * stride),
    )
    for place in range(0, block, size):
        end, even = load(ends, place % lanes), load(pulling, place)
        steps, begun = where_less(0.0, end, end, 1.0), even
        if args.deviation >= 0:
            spread = where_less(0.0, end, load(deviation, place) * steps, 1.0)
            store(slope, place, load(slope, place) / spread)
        if args.largest >= 0:
            begun = begun + load(pulling, place + LARGEST * stride)
        if args.smallest >= 0:
            begun = begun + load(pulling, place + SMALLEST * stride)
        store(state_grad, place, load(state_grad, place) + where_less(0.0, end, 0.0, begun))
        store(pulling, place, even / steps)


@compiled
def pull(h, pulling, place, stride, deviation, largest, smallest, ends, lanes, t, ragged):
    """The statistics' gradient of the states `h` after step `t`.

    The largest state's goes to the step that was read last, of those that have it, and likewise
    the smallest one's.
    """
    added, high, low = load(pulling, place), h, h
    values = place + STATISTICS * stride
    if deviation:
        apart = h - load(pulling, values)
        added = fma(load(pulling, place + DEVIATION * stride), apart, added)
    if ragged:
        end = load(ends, place % lanes)
        added = where_less(t, end, added, 0.0)
        high, low = where_less(t, end, h, -math.inf), where_less(t, end, h, math.inf)
    if largest:
        bound = load(pulling, values + LARGEST * stride)
        grad = load(pulling, place + LARGEST * stride)
        added = added + where_less(high, bound, 0.0, grad)
        store(pulling, place + LARGEST * stride, where_less(high, bound, grad, 0.0))
    if smallest:
        bound = load(pulling, values + SMALLEST * stride)
        grad = load(pulling, place + SMALLEST * stride)
        added = added + where_less(bound, low, 0.0, grad)
        store(pulling, place + SMALLEST * stride, where_less(bound, low, grad, 0.0))
    return added
