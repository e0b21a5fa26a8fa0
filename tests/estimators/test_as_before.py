"""A fit that an error ends at any line leaves the older model, to the bit."""

import signal
import sys

import numpy as np
import pytest
import torch

from tests.estimators.quick import sines
from unspool import (
    AnomalyDetector,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    StackedAutoencoder,
)
from unspool.training import interruption

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),  # one epoch
    # The injected errors also hit code that cannot raise, such as the end of a generator.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

X, LABELS = sines(24, 8, features=2), np.arange(24) % 2
QUICK = {"epochs": 1, "random_state": 0, "verbose": 0, "batch_size": 8}


def dense():
    return DenseAutoencoder(3, **QUICK)


def fit(model, factor):
    return model.fit(factor * X, LABELS)


def fit_again(model, factor):
    return model.fit(factor * X)


KINDS = {
    "dense": (dense, fit_again),
    "warm start": (lambda: DenseAutoencoder(3, warm_start=True, **QUICK), fit_again),
    "partial fit": (dense, lambda model, factor: model.partial_fit(factor * X)),
    "lstm": (lambda: LSTMAutoencoder(3, units=4, **QUICK), fit_again),
    "stack": (lambda: StackedAutoencoder(3, hidden_units=(4,), **QUICK), fit_again),
    "classifier": (lambda: EncoderClassifier(dense(), fine_tune=True, epochs=1, verbose=0), fit),
    "detector": (
        lambda: AnomalyDetector(dense(), window=6, random_state=0),
        lambda model, factor: model.fit(factor * X.reshape(-1, 2)),
    ),
}


class Failure:
    """Raises an error at a line of unspool, counted from 1; for `sys.settrace`."""

    def __init__(self, line, error):
        self.line, self.error, self.count = line, error, 0

    def __call__(self, frame, event, arg):
        return self.at_line if "/unspool/" in frame.f_code.co_filename else None

    def at_line(self, frame, event, arg):
        self.count += 1
        if self.count == self.line:
            raise self.error
        return self.at_line


def traced(failure, call, *given):
    """Call a function; return the number of lines of unspool that ran, and the error."""
    before = sys.gettrace()
    sys.settrace(failure)
    try:
        call(*given)
    except (MemoryError, KeyboardInterrupt) as error:
        return failure.count, error.with_traceback(None)
    finally:
        sys.settrace(before)
    return failure.count, None


def content(value, depth=0):
    """Everything in an estimator as plain values, which can be compared."""
    if isinstance(value, torch.nn.Module):
        return repr(value), value.training, content(value.state_dict(), depth + 1)
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return str(value.dtype), tuple(value.shape), np.asarray(value).tolist()
    if isinstance(value, dict):
        return {repr(name): content(one, depth + 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [content(one, depth + 1) for one in value]
    if hasattr(value, "__dict__") and not callable(value) and depth < 12:
        return type(value).__name__, content(vars(value), depth + 1)
    return repr(value)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_at_any_line_leaves_the_older_model(kind):
    make, fit_with = KINDS[kind]
    model = fit_with(make(), 1.0)
    before = content(model)
    fit_with(make(), 2.0)  # what is compiled or remembered runs no lines later
    lines, _ = traced(Failure(-1, None), fit_with, fit_with(make(), 1.0), 2.0)
    handlers = [signal.getsignal(number) for number in interruption.DEFAULTS]
    places, ended = np.linspace(lines // 50, lines - lines // 50, 9).astype(int), 0
    for place, error in zip(places, 5 * [MemoryError, KeyboardInterrupt], strict=False):
        _, raised = traced(Failure(place, error), fit_with, model, 2.0)
        if raised is None:  # Python ignores errors of generators that are closed
            model = fit_with(make(), 1.0)
            continue
        ended += 1
        assert isinstance(raised, error)
        assert content(model) == before
        assert [signal.getsignal(number) for number in interruption.DEFAULTS] == handlers
        assert interruption._current is None
    assert ended >= 7
