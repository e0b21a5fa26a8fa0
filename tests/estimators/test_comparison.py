"""The warning that ends a fit no better than the mean: it names what helps, and that does help."""

import re
import warnings

import numpy as np
import pytest

from tests.estimators.quick import sines
from unspool import DenseAutoencoder, StackedAutoencoder
from unspool.errors import NoBetterThanMeanWarning, UnstableTrainingWarning
from unspool.estimators.comparison import advice

X = sines(n=120, steps=12)[:, :, 0] + 20 * np.sin(np.arange(12))  # the mean explains most
QUICK = {
    "latent_dim": 3,
    "scaling": "none",
    "code_activation": "linear",
    "random_state": 0,
    "verbose": 0,
}


def fit(parameters, X):
    """The warning of a fit, or None."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", UnstableTrainingWarning)
        DenseAutoencoder(**{**QUICK, **parameters}).fit(X)
    found = [str(one.message) for one in caught if one.category is NoBetterThanMeanWarning]
    assert len(found) == len(caught) <= 1
    return found[0] if found else None


def follow(message, parameters):
    """The parameters with what a warning says."""
    rate = re.search(r"`learning_rate`, for example to ([\d.e+-]*\d)", message)
    if rate:
        return {**parameters, "learning_rate": float(rate[1])}
    if "more `epochs`" in message:
        return {**parameters, "epochs": "auto"}
    assert "validation_split=0" in message
    return {**parameters, "validation_split": 0}


CURES = {
    "few epochs": ({"epochs": 1}, "4 updates of the weights were few. Train for more `epochs`."),
    "a low rate": ({"learning_rate": 1e-5}, "the training loss fell slowly. Raise"),
    "a high rate": (
        {"learning_rate": 1.0, "learning_rate_schedule": "constant"},
        "the training loss jumped. Lower",
    ),
}


@pytest.mark.parametrize("name", CURES)
def test_what_the_warning_says_helps(name):
    parameters, expected = CURES[name]
    message = fit(parameters, X)
    assert re.match(
        r"The reconstruction is no better than the mean sequence \(loss \S+, of the mean \S+\); ",
        message,
    )
    assert expected in message
    for _ in range(8):
        parameters = follow(message, parameters)
        message = fit(parameters, X)
        if message is None:
            break
    assert message is None


def test_of_sequences_that_hardly_differ_what_is_left_of_them_is_learned():
    alike = (X + 200 * np.sin(np.arange(12)))[:, :, None]
    parameters = {"epochs": 40, "learning_rate": 0.01}
    message = fit(parameters, alike)
    assert "Subtract it (X - X.mean(axis=0)), and fit the rest" in message
    assert fit(parameters, alike - alike.mean(axis=0)) is None


def test_a_few_sequences_that_are_unlike_the_others_are_not_trusted():
    rng = np.random.default_rng(0)
    parameters = {"validation_split": 0.1, "epochs": 300, "learning_rate": 0.01}
    drawn = np.random.default_rng(np.random.RandomState(0).randint(2**31)).permutation(20)
    odd = X[:20].copy()
    odd[drawn[:2]] = X[:20].mean(axis=0) + 0.1 * rng.normal(size=(2, 12))
    message = fit(parameters, odd)
    assert "so 2 sequences may be too few to validate on. Set validation_split=0" in message
    assert fit(follow(message, parameters), odd) is None


def test_a_stack_is_judged_by_its_outermost_layer():
    with pytest.warns(NoBetterThanMeanWarning, match="4 updates of the weights were few"):
        StackedAutoencoder(3, hidden_units=(4,), epochs=1, random_state=0, verbose=0).fit(X)


FALLING = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4]
STALLED = [1.0, 0.9, *[0.6, 0.61] * 15]
ADIAC = [0.901, 0.743, 0.852, 0.245, 0.925, 0.969, 0.6]  # a fit with a constant rate of 0.005
FEW, MANY = {"updates": 1499}, {"updates": 1500}
OF_TRAINING = "the training loss is 0.4, so "
MORE = "1499 updates of the weights were few. Train for more `epochs`."
HIGHER = (
    "the training loss fell slowly. Raise `learning_rate`, for example to 0.05, train for more "
    "`epochs`, or check the scale of the data."
)
LOWER = "Lower `learning_rate`, for example to 0.002"


@pytest.mark.parametrize(
    ("losses", "of_mean", "given", "expected"),
    [
        (FALLING, 0.1, FEW, MORE),
        (STALLED, 0.1, FEW, MORE),
        ([0.5], 0.4, FEW, MORE),
        (FALLING, 0.001, FEW, MORE),
        (
            FALLING, 0.0009, {"updates": 8, "held_out": 9},
            "the sequences hardly differ: their mean removes 99.91% of the loss of a constant. "
            "Subtract it (X - X.mean(axis=0)), and fit the rest.",
        ),
        (FALLING, 0.1, MANY, HIGHER),
        ([1.0] * 9, 0.9, MANY, HIGHER),
        ([1.0, 1.01, 0.99] * 9, 0.9, MANY, HIGHER),
        (STALLED, 0.1, MANY, f"the training loss stalled at 0.6. {LOWER}, or raise `latent_dim`."),
        (ADIAC, 0.0436, FEW, f"the training loss jumped. {LOWER}."),
        (
            FALLING, 0.9, {"updates": 8, "held_out": 9},
            f"{OF_TRAINING}9 sequences may be too few to validate on. Set validation_split=0, or "
            "hold out more.",
        ),
        (
            FALLING, 0.9, {"updates": 8, "held_out": 10},
            f"{OF_TRAINING}the model does not generalise to held-out sequences. Give `fit` more "
            "sequences, or lower `latent_dim` and `units`.",
        ),
    ],
)  # fmt: skip
def test_the_advice_fits_the_course_of_the_loss(losses, of_mean, given, expected):
    rates = np.linspace(0, 0.005, len(losses)) if len(losses) > 1 else [0.005]
    given = {"held_out": None, "of_constant": 1.0, **given}
    assert advice(losses, of_mean, list(rates), **given) == expected
