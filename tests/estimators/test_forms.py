"""What an X may be: every form at every entry gives the numbers of plain arrays, or a way out."""

from functools import cache

import numpy as np
import pytest

from tests.forms import LABELS, QUICK, REFUSED, SAME, forecaster, lstm, trained
from unspool import DenseAutoencoder, EncoderClassifier
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning",
    "ignore:X (has|does not have valid) feature names:UserWarning",
    "ignore:the matrix subclass:PendingDeprecationWarning",
)

READERS = {
    "fit": lambda m, X: lstm().fit(X).scaler_.shift,
    "fit_transform": lambda m, X: lstm().fit_transform(X),
    "fit a forecaster": lambda m, X: forecaster().fit(X).scaler_.shift,
    "fit a classifier": lambda m, X: EncoderClassifier(lstm(), **QUICK).fit(X, LABELS).predict(X),
    "transform": lambda m, X: m.plain.transform(X),
    "reconstruct": lambda m, X: m.plain.reconstruct(X),
    "reconstruction_error": lambda m, X: m.plain.reconstruction_error(X, per="step"),
    "score": lambda m, X: m.plain.score(X),
    "forecast": lambda m, X: m.composite.forecast(X),
    "score a forecaster": lambda m, X: m.forecaster.score(X),
    "predict": lambda m, X: m.forecaster.predict(X),
    "predict_proba": lambda m, X: m.classifier.predict_proba(X),
    "score a classifier": lambda m, X: m.classifier.score(X, LABELS),
    "runtime encode": lambda m, X: m.light_plain.encode(X),
    "runtime reconstruct": lambda m, X: m.light_plain.reconstruct(X),
    "runtime error": lambda m, X: m.light_plain.reconstruction_error(X),
    "runtime score": lambda m, X: m.light_plain.score(X),
    "runtime forecast": lambda m, X: m.light_composite.forecast(X),
    "runtime predict_proba": lambda m, X: m.light_classifier.predict_proba(X),
    "dense fit": lambda m, X: DenseAutoencoder(3, **QUICK).fit(X).scaler_.shift,
    "dense transform": lambda m, X: m.dense.transform(X),
    "dense reconstruct": lambda m, X: m.dense.reconstruct(X),
    "dense runtime": lambda m, X: m.light_dense.reconstruct(X),
}


@cache
def plain_results(kind):
    """What the entries give for plain arrays; those of dense layers for tables alone."""
    X, models = SAME[kind][0], trained(kind)
    readers = {
        name: reader for name, reader in READERS.items() if kind == "table" or name[:5] != "dense"
    }
    return {name: reader(models, X) for name, reader in readers.items()}


@pytest.mark.parametrize(
    ("kind", "form"), [(kind, form) for kind in SAME for form in SAME[kind][1]]
)
def test_a_form_gives_the_numbers_of_plain_arrays(kind, form):
    for name, expected in plain_results(kind).items():
        found = READERS[name](trained(kind), SAME[kind][1][form]())
        np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_refused_names_the_way_out(form):
    X, way_out = REFUSED[form]
    for name, reader in READERS.items():
        if not name.startswith("dense"):
            with pytest.raises(InputError, match=f"(?s){way_out}"):
                pytest.fail(f"{name} gave {reader(trained('one feature'), X)!r}")
