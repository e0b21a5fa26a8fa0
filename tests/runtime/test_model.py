"""A model in NumPy alone gives what PyTorch gives, for every kind of model."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trained import (
    ALL,
    AUTOENCODERS,
    CLASSIFIERS,
    FEATURES,
    FORECASTERS,
    LONG,
    RAGGED,
    STEPS,
    rows,
)
from unspool import Sequences, Windows, runtime
from unspool.errors import InputError


@pytest.fixture(scope="module")
def pairs():
    """Models and their twins, each made once."""
    made = {}

    def pair(name):
        if name not in made:
            model = ALL[name].fit()
            made[name] = model, runtime.Model(model.contents())
        return made[name]

    return pair


def close(what, expected, got, rtol=1e-5):
    expected, got = np.asarray(expected), np.asarray(got)
    assert expected.shape == got.shape, what
    scale = np.nanmax(np.abs(expected), initial=1e-3)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * scale, err_msg=what)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_an_autoencoder(name, pairs):
    trained, model = pairs(name)
    X = ALL[name].X
    close("codes", trained.transform(X), model.encode(X))
    close("reconstruction", trained.reconstruct(X), model.reconstruct(X))
    for per in ("sequence", "step"):
        errors = model.reconstruction_error(X, per=per)
        expected = trained.reconstruction_error(X, per=per)
        close(f"error per {per}", expected.reshape(errors.shape), errors, 1e-4)
    close("score", trained.score(X), model.score(X), 1e-5)
    if trained.horizon_:
        close("forecast", trained.forecast(X), model.forecast(X))


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_forecaster(name, pairs):
    trained, model = pairs(name)
    X, y = ALL[name].X, ALL[name].y
    close("forecast", trained.forecast(X), model.forecast(X))
    close("prediction", trained.predict(X), model.predict(X))
    close("score", trained.score(X, y), model.score(X, y))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier(name, pairs):
    trained, model = pairs(name)
    X, y = ALL[name].X, ALL[name].y
    close("probabilities", trained.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), trained.predict(X))
    assert model.score(X, y) == trained.score(X, y)
    np.testing.assert_array_equal(model.classes, trained.classes_)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_codes_are_unwound(name, pairs):
    trained, model = pairs(name)
    codes = trained.transform(ALL[name].X)
    if model.decoders["reconstruction"].needs_input:
        with pytest.raises(InputError, match="codes alone cannot be unwound"):
            model.decode(codes)
        return
    most = model.decoders["reconstruction"].most_steps
    for lengths in (None, np.arange(len(codes)) % (3 if most is None else min(most, 2) + 1)):
        if lengths is not None and "images" in name:
            for unwind in (trained.inverse_transform, model.decode):
                with pytest.raises(InputError) as caught:
                    unwind(codes, lengths)
                assert str(caught.value) == "Images are all of one size; leave `lengths` out."
            continue
        close("sequences", trained.inverse_transform(codes, lengths), model.decode(codes, lengths))


def test_lengths_stand_beside_an_array_and_padding_is_never_looked_at(pairs):
    _, model = pairs("reversed_input")
    values, lengths = RAGGED.values.copy(), RAGGED.lengths
    values[np.arange(STEPS) >= lengths[:, None]] = np.nan
    np.testing.assert_array_equal(model.encode(values, lengths), model.encode(RAGGED))
    np.testing.assert_array_equal(model.reconstruct(values, lengths), model.reconstruct(RAGGED))
    longer = np.concatenate([values, np.full((len(values), 4, FEATURES), np.inf)], axis=1)
    close("codes", model.encode(RAGGED), model.encode(longer, lengths), 1e-6)


def test_a_list_is_read_as_well(pairs):
    _, model = pairs("repeat")
    listed = [RAGGED[i] for i in range(len(RAGGED))]
    np.testing.assert_array_equal(model.encode(listed), model.encode(RAGGED))


def test_many_sequences_go_in_batches(pairs, monkeypatch):
    _, model = pairs("repeat, both ways, two layers")
    whole = model.reconstruct(RAGGED)
    monkeypatch.setattr("unspool.runtime.model.BATCH", 4)
    close("reconstruction", whole, model.reconstruct(RAGGED), 1e-6)


def test_windows_are_merged_into_their_series(pairs):
    trained, model = pairs("repeat")
    windows = Windows(list(np.random.default_rng(0).normal(size=(2, 30, FEATURES))), 8, 3)
    for expected, got in zip(
        trained.reconstruct(windows, merge=True),
        model.reconstruct(windows, merge=True),
        strict=True,
    ):
        close("series", expected, got)
    expected = trained.reconstruction_error(windows, per="step", merge=True)
    got = model.reconstruction_error(windows, per="step", merge=True)
    for one, other in zip(expected, got, strict=True):
        close("errors", one, other, 1e-4)


def test_images_in_every_form(pairs):
    _, model = pairs("images")
    X = ALL["images"].X
    flat = X.reshape(len(X), -1)
    np.testing.assert_array_equal(model.encode(flat), model.encode(X))
    assert model.reconstruct(flat).shape == flat.shape
    _, grey = pairs("flat images")
    assert grey.reconstruct(np.zeros((2, 6, 4))).shape == (2, 6, 4)


def test_a_file_is_read(pairs, tmp_path):
    trained, model = pairs("composite")
    trained.save(tmp_path / "m")
    again = runtime.load(tmp_path / "m")
    np.testing.assert_array_equal(again.reconstruct(LONG), model.reconstruct(LONG))
    trained.save(tmp_path / "encoder", part="encoder")
    encoder = runtime.load(tmp_path / "encoder")
    np.testing.assert_array_equal(encoder.encode(LONG), model.encode(LONG))
    assert repr(encoder) == "Model(LSTMAutoencoder, 3 features, codes of 5)"
    for call in (encoder.reconstruct, encoder.forecast, encoder.score):
        with pytest.raises(InputError, match="it holds an encoder alone"):
            call(LONG)


WRONG = {
    "features": (
        lambda model: model.encode(np.zeros((2, 4, 5))),
        "Expected 3 features, as in training, got 5.",
    ),
    "lengths of sequences": (
        lambda model: model.encode(RAGGED, [1] * len(RAGGED)),
        "Expected `lengths` beside an array; Sequences have their own.",
    ),
    "forecast": (
        lambda model: model.forecast(RAGGED),
        "This model has no decoder for a forecast, it holds reconstruction.",
    ),
    "classes": (
        lambda model: model.predict_proba(RAGGED),
        "This model is no classifier but of LSTMAutoencoder.",
    ),
    "per": (
        lambda model: model.reconstruction_error(RAGGED, per="steps"),
        "unknown `per` 'steps': did you mean 'step'? Known are 'sequence', 'step'.",
    ),
    "merge": (
        lambda model: model.reconstruct(RAGGED, merge=True),
        f"`merge` needs Windows(series, size), got {RAGGED!r}.",
    ),
    "names": (
        lambda model: model.encode(Sequences(RAGGED.values, None, ["b", "a", "c"])),
        "Expected the features a, b, c, in this order, got b, a, c; "
        "choose and order them as in `fit`.",
    ),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_cannot_be_read(call, pairs):
    contents = ALL["repeat"].fit().contents()
    fitted = {**contents.fitted, "feature_names_in": ["a", "b", "c"]}
    model = runtime.Model(replace(contents, fitted=fitted))
    with pytest.raises(InputError) as caught:
        call[0](model)
    assert str(caught.value) == call[1]


def test_what_is_bound_in_length(pairs):
    _, model = pairs("dense sequences")
    with pytest.raises(InputError) as caught:
        model.encode(np.zeros((2, STEPS + 1, FEATURES)))
    assert str(caught.value) == (
        "Expected sequences of at most 9 steps, as in training, got 10; this model is made for "
        "sequences of bounded length."
    )
    _, images = pairs("images")
    with pytest.raises(InputError) as caught:
        images.encode(np.zeros((2, 5, 7, 2)))
    assert str(caught.value) == (
        "Expected images as (N, 7, 5, 2), or a table (N, 70), got shape (2, 5, 7, 2)."
    )


def test_a_score_needs_what_it_is_held_against(pairs):
    _, model = pairs("classifier, lstm")
    with pytest.raises(InputError) as caught:
        model.score(RAGGED)
    assert str(caught.value) == "Expected labels `y` to hold predictions against, got none."
    _, model = pairs("forecaster of tables")
    with pytest.raises(InputError, match=r"Expected `y` of shape \(20, 4\), got \(20, 3\)."):
        model.score(rows(), rows(features=3))
