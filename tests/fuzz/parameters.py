"""Odd values for every parameter of every estimator: a fit works, or says in words why not.

A case is made from its seed alone, so that one that failed can be tried again by its number.
"""

import decimal
import fractions
import math
import warnings

import numpy as np
import torch

from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    load,
)
from unspool.errors import (
    DivergedError,
    InputError,
    NoBetterThanMeanWarning,
    OverlapWarning,
    UnstableTrainingWarning,
)

SMALL = {"epochs": 1, "patience": 1, "batch_size": 4, "random_state": 0, "verbose": 0}
ESTIMATORS = {
    "LSTMAutoencoder": lambda: LSTMAutoencoder(2, **SMALL),
    "LSTMForecaster": lambda: LSTMForecaster(2, **SMALL),
    "DenseAutoencoder": lambda: DenseAutoencoder(2, **SMALL),
    "StackedAutoencoder": lambda: StackedAutoencoder(2, hidden_units=(3,), **SMALL),
    "ConvAutoencoder": lambda: ConvAutoencoder(2, filters=(2,), **SMALL),
    "EncoderClassifier": lambda: EncoderClassifier(DenseAutoencoder(2, **SMALL), **SMALL),
}


class Named(str):
    """A string of another class."""


class Unprintable:
    """Nothing can be said of it."""

    def __repr__(self):
        raise RuntimeError("it has no repr")


NAMES = (
    *("mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy", "accuracy"),
    *("adam", "sgd", "rmsprop", "adamw", "nadam", "adamax", "adagrad", "adadelta"),
    *("linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax", "hard_sigmoid"),
    *("repeat", "state", "previous", "reshape", "flat", "dense", "reversed_input"),
    *(
        "standard",
        "minmax",
        "robust",
        "none",
        "auto",
        "compiled",
        "torch",
        "stepwise",
        "cpu",
        "cuda:99",
        "meta",
    ),
)
NUMBERS = (
    *(0, 1, 2, 3, 5, -1, 17, 1000, 10**5, 10**9, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64),
    *(10**30, -(10**30), 10**5000, 0.0, -0.0, 0.1, 0.5, 0.99, 1.0, 1.5, 2.0, -0.5, 1e-9, 1e9),
    *(1e-300, 1e300, 5e-324, math.inf, -math.inf, math.nan, True, False),
)
KINDS = (
    *(np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64),
    *(np.float16, np.float32, np.float64, np.longdouble, np.bool_, np.complex128),
)
OTHERS = (
    *(None, "", " ", "x", "None", "\x1b[31m", b"mse", Named("mse"), np.str_("tanh"), ...),
    *((), [], {}, set(), (3,), [3], [2, 3], (1, 2, 3), [0], [2.5], ["mse"], ("mae", "mse"), [[2]]),
    *([None], {"mse"}, {"a": 1}, range(3), [10**30], [2**31], (math.nan, 1), (1, -1), (0.5, 2)),
    *((True, 1), "mse mae", object(), Unprintable(), [Unprintable()], int, len, 1j, slice(3)),
    *(decimal.Decimal(3), decimal.Decimal("NaN"), fractions.Fraction(1, 2), torch.tensor(3)),
    *(torch.tensor([1.0, 2.0]), np.random.default_rng(0), np.random.RandomState(0)),
    *(np.datetime64("2020-01-01"), np.timedelta64(3, "s"), np.ma.masked, np.array(None)),
    *(LSTMAutoencoder(2, **SMALL), LSTMAutoencoder, DenseAutoencoder(0, **SMALL)),
)


SOUND = {
    str: NAMES,
    bool: (True, False, np.True_, np.False_),
    int: (1, 2, 3, 5, 17, np.int64(2), np.uint8(200), np.int8(100), np.int32(1)),
    float: (0, 0.0, 0.1, 0.5, 1, 1.0, np.float32(0.5), np.float64(0.1), np.int8(1), 1e-9),
    tuple: ((), [], (2,), [3], (3, 2), [np.int64(2), 3], (np.uint8(200),), ["mae"], ("mse",)),
    type(None): (None, 1, 2, 0.5, np.int64(2), np.float16(0.1), "dense", "repeat", (2, 3)),
}


def near(default, rng):
    """A value of about the kind of the default: sound, or not far from it."""
    values = SOUND.get(type(default), NAMES)
    return values[rng.integers(len(values))]


def odd(rng):
    """One odd value."""
    kind = rng.integers(8)
    number = NUMBERS[rng.integers(len(NUMBERS))]
    if kind == 0:
        return NAMES[rng.integers(len(NAMES))]
    if kind < 3:
        return number
    if kind == 3:
        with np.errstate(all="ignore"):
            return KINDS[rng.integers(len(KINDS))](rng.choice([0, 1, 2, 3, 100]))
    if kind == 4:
        things = [number, NAMES[rng.integers(len(NAMES))], OTHERS[rng.integers(len(OTHERS))]]
        shape = [(), (1,), (2,), (2, 2), (0,)][rng.integers(5)]
        array = np.empty(shape, object)
        array.fill(things[rng.integers(3)])
        if rng.random() < 0.7 and isinstance(things[0], float) and math.isfinite(things[0]):
            array = np.full(shape, things[0])
        elif rng.random() < 0.7:
            array = np.full(shape, things[1])
        return array
    if kind == 5:
        values = [number, *(NUMBERS[i] for i in rng.integers(len(NUMBERS), size=2))]
        return [tuple, list][rng.integers(2)](values[: rng.integers(1, 4)])
    return OTHERS[rng.integers(len(OTHERS))]


def case(seed):
    """The estimator, and values of one to three of its parameters, that `seed` draws."""
    rng = np.random.default_rng([11, seed])
    name = list(ESTIMATORS)[rng.integers(len(ESTIMATORS))]
    known = ESTIMATORS[name]().get_params(deep=False)
    chosen = rng.choice(sorted(known), rng.integers(1, 4), replace=False)
    return name, {
        str(one): odd(rng) if rng.random() < 0.4 else near(known[one], rng) for one in chosen
    }


def tried(seed, path):
    """What came of the case: "works", "is refused", or what went wrong; a model is saved there."""
    name, changes = case(seed)
    data = np.random.default_rng(seed)
    X, y = data.normal(size=(8, 6)).cumsum(1), np.arange(8) % 2
    if data.random() < 0.5:
        X = X[:, :, None] * [1.0, 2.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for foreseen in (NoBetterThanMeanWarning, OverlapWarning, UnstableTrainingWarning):
            warnings.simplefilter("ignore", foreseen)
        try:
            model = ESTIMATORS[name]().set_params(**changes)
            model.fit(X, y if isinstance(model, EncoderClassifier) else None)
            model.save(path)
            for one in (model, load(path)):
                for method in ("transform", "predict"):
                    if hasattr(one, method):
                        getattr(one, method)(X)
        except (InputError, DivergedError) as error:
            return "is refused" if str(error).strip() else "is refused without a word"
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:300]}"
    return "works"
