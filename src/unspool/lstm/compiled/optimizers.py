"""Updates of weights by their gradients, for blocks of all weights of a model in one call.

A block is a row of a table: the number of its weight, its number of values, and the addresses of
parts of the weight, of its gradient and of the two arrays of its state (0 if there is none). All
values are float32. The operations on a value are those of `torch.optim`, in the same order.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.vector import after, pointer

WEIGHT, COUNT, VALUES, GRADIENT, FIRST, SECOND = range(6)  # columns of the table

RULES = ("rmsprop", "adam", "nadam", "adamax", "adagrad", "adadelta", "sgd")
RMSPROP, ADAM, NADAM, ADAMAX, ADAGRAD, ADADELTA, SGD = range(len(RULES))


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c`` of three numbers of the same type with one rounding, as in PyTorch."""

    def code(context, builder, sig, args):
        kind = args[0].type
        shape = ir.FunctionType(kind, [kind] * 3)
        function = cgutils.get_or_insert_function(
            builder.module, shape, f"llvm.fma.f{sig.return_type.bitwidth}"
        )
        return builder.call(function, args)

    return a(a, b, c), code


@compiled
def _moving_mean(mean, value, share):
    """Return a moving mean, in which a new value has this share."""
    return fma(share, value - mean, mean)


@Kernel
def update(rule, table, numbers):
    """Change the weights and their state.

    `numbers` has a row of float32 for each weight. First is the factor by which the weight is
    multiplied before the step (decoupled weight decay), then what the rule needs.
    """
    for row in range(len(table)):
        count, scalars = table[row, COUNT], numbers[table[row, WEIGHT]]
        value = pointer(table[row, VALUES], np.float32(0))
        gradient = pointer(table[row, GRADIENT], np.float32(0))
        one = pointer(table[row, FIRST], np.float32(0))
        two = pointer(table[row, SECOND], np.float32(0))
        a, b, c, d, e, f = (
            scalars[1], scalars[2], scalars[3], scalars[4], scalars[5], scalars[6],
        )  # fmt: skip
        if scalars[0] != np.float32(1):
            for i in range(count):
                value[i] *= scalars[0]
        if rule == RMSPROP:
            for i in range(count):
                one[i] = fma(b * gradient[i], gradient[i], one[i] * a)
                value[i] += d * gradient[i] / (np.sqrt(one[i]) + c)
        elif rule == ADAM:
            for i in range(count):
                one[i] = _moving_mean(one[i], gradient[i], a)
                two[i] = fma(c * gradient[i], gradient[i], two[i] * b)
                value[i] += f * one[i] / (np.sqrt(two[i]) / d + e)
        elif rule == NADAM:
            for i in range(count):
                one[i] = _moving_mean(one[i], gradient[i], a)
                two[i] = fma(c * gradient[i], gradient[i], two[i] * b)
                root = np.sqrt(two[i]) / d + e
                value[i] = value[i] + scalars[7] * gradient[i] / root + f * one[i] / root
        elif rule == ADAMAX:
            for i in range(count):
                one[i] = _moving_mean(one[i], gradient[i], a)
                size = abs(gradient[i]) + c
                scaled = two[i] * b
                two[i] = size if size > scaled or size != size else scaled
                value[i] += d * one[i] / two[i]
        elif rule == ADAGRAD:
            for i in range(count):
                one[i] = fma(gradient[i], gradient[i], one[i])
                value[i] += gradient[i] * b / (np.sqrt(one[i]) + a)
        elif rule == ADADELTA:
            for i in range(count):
                one[i] = fma(b * gradient[i], gradient[i], one[i] * a)
                change = np.sqrt(two[i] + c) / np.sqrt(one[i] + c) * gradient[i]
                two[i] = fma(b * change, change, two[i] * a)
                value[i] = fma(d, change, value[i])
        else:
            for i in range(count):
                value[i] = fma(a, gradient[i], value[i])


@Kernel
def sums_of_squares(table, sums):
    """sums[row] = sum of the squares of a block's gradient, in float64 and in a fixed order."""
    for row in range(len(table)):
        count, start = table[row, COUNT], table[row, GRADIENT]
        gradient = pointer(start, np.float32(0))
        whole = count // 8 * 8
        a = b = c = d = e = f = g = h = 0.0
        for i in range(0, whole, 8):
            eight = after(gradient, i)
            a += np.float64(eight[0]) * np.float64(eight[0])
            b += np.float64(eight[1]) * np.float64(eight[1])
            c += np.float64(eight[2]) * np.float64(eight[2])
            d += np.float64(eight[3]) * np.float64(eight[3])
            e += np.float64(eight[4]) * np.float64(eight[4])
            f += np.float64(eight[5]) * np.float64(eight[5])
            g += np.float64(eight[6]) * np.float64(eight[6])
            h += np.float64(eight[7]) * np.float64(eight[7])
        for i in range(whole, count):
            a += np.float64(gradient[i]) * np.float64(gradient[i])
        sums[row] = ((a + b) + (c + d)) + ((e + f) + (g + h))


@Kernel
def scale(table, factor):
    """Multiply the gradients by a factor."""
    for row in range(len(table)):
        gradient = pointer(table[row, GRADIENT], np.float32(0))
        for i in range(table[row, COUNT]):
            gradient[i] *= factor
