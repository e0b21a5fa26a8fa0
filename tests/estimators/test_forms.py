"""What an X may be: every form at every entry gives the numbers of plain arrays, or a way out."""

from functools import cache

import numpy as np
import pytest

from tests.forms import (
    CUBE,
    LABELS,
    QUICK,
    REFUSED,
    SAME,
    SERIES,
    TABLE,
    F,
    N,
    T,
    forecaster,
    frames_of,
    lstm,
    trained,
)
from unspool import ConvAutoencoder, DenseAutoencoder, EncoderClassifier, Sequences, runtime
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
    "error by feature": lambda m, X: m.plain.reconstruction_error(X, per=("step", "feature")),
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
def test_every_form_has_the_results_of_plain_arrays(kind, form):
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


def message_of(call, X):
    with pytest.raises(InputError) as caught:
        call(X)
    return str(caught.value)


# scikit-learn compares columns in an estimator; the runtime needs NumPy alone.
SKLEARN = ("X has ", "The feature names should match")

WRONG_SEQUENCES = {
    **{name: X for name, (X, _) in REFUSED.items() if name not in ("generator", "map")},
    "other features": np.zeros((3, T, F + 1)),
    "features first": np.zeros((3, F, T)),
    "one series": SERIES,
    "other names": [frame.rename(columns={"a": "z"}) for frame in frames_of(CUBE)],
    "infinity": np.where(np.arange(T)[:, None] == 3, np.inf, CUBE),
}


@pytest.mark.parametrize("X", WRONG_SEQUENCES.values(), ids=WRONG_SEQUENCES)
def test_estimators_and_runtime_refuse_the_same_sequences_in_the_same_words(X):
    model = on_frames()
    assert message_of(model.transform, X) == message_of(runtime.Model(model.contents()).encode, X)


@pytest.mark.parametrize("kind", ["plain", "dense"])
@pytest.mark.parametrize("X", WRONG_SEQUENCES.values(), ids=WRONG_SEQUENCES)
def test_models_of_tables_and_runtime_refuse_the_same_in_the_same_words(X, kind):
    models = trained("table")
    estimator, light = getattr(models, kind), getattr(models, f"light_{kind}")
    try:
        reported = message_of(light.encode, X)
    except pytest.fail.Exception:  # other columns: the runtime reads sequences of any length
        assert message_of(estimator.transform, X).startswith(SKLEARN)
        return
    expected = message_of(estimator.transform, X)
    assert reported == expected or expected.startswith(SKLEARN)


WRONG_IMAGES = {
    "transposed": np.zeros((2, 2, 3)),
    "of another size": np.zeros((2, 3, 3)),
    "of two channels": np.zeros((2, 3, 2, 2)),
    "of different sizes": [np.zeros((3, 2)), np.zeros((2, 2))],
    "Sequences": Sequences(np.zeros((2, 3, 2))),
    "none": np.zeros((0, 3, 2)),
    "with NaN at the end": np.where(np.arange(6) == 5, np.nan, np.zeros((2, 6))).reshape(2, 3, 2),
    "with NaN inside": np.where(np.arange(6) == 2, np.nan, np.zeros((2, 6))).reshape(2, 3, 2),
}


@pytest.mark.parametrize("X", WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_estimators_and_runtime_refuse_the_same_images_in_the_same_words(X):
    model = on_images()
    light = runtime.Model(model.contents())
    reported = message_of(model.transform, X)
    assert message_of(light.encode, X) == message_of(light.reconstruct, X) == reported
    assert message_of(model.reconstruct, X) == reported


@cache
def on_frames():
    return lstm().fit(frames_of(CUBE))


@cache
def on_images():
    images = ConvAutoencoder(3, image_shape=(3, 2), filters=(2,), validation_split=0, **QUICK)
    return images.fit(TABLE.reshape(N, 3, 2))
