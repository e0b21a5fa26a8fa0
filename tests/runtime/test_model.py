"""`runtime.Model` agrees with the estimator, for every kind of model."""

import pickle
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from tests.trained import (
    ALL,
    AUTOENCODERS,
    CLASSIFIERS,
    FEATURES,
    FORECASTERS,
    LONG,
    QUICK,
    RAGGED,
    STEPS,
    images,
    lstm,
    rows,
)
from unspool import ConvAutoencoder, Sequences, Windows, model_file, runtime
from unspool.data.sequences import MASK_HINT
from unspool.errors import InputError


@pytest.fixture(scope="module")
def pairs():
    """Estimators with their runtime models, each made once."""
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
def test_an_autoencoder_agrees_with_the_estimator(name, pairs):
    trained, model = pairs(name)
    X = ALL[name].X
    close("codes", trained.transform(X), model.encode(X))
    close("reconstruction", trained.reconstruct(X), model.reconstruct(X))
    for per in ("sequence", "step", "feature", ("step", "feature")):
        errors = model.reconstruction_error(X, per=per)
        close(f"error per {per}", trained.reconstruction_error(X, per=per), errors, 1e-4)
    close("score", trained.score(X), model.score(X), 1e-5)
    close("skill", trained.skill_score(X), model.skill_score(X), 1e-5)
    if trained.horizon_:
        future = ALL[name].future
        close("forecast", trained.forecast(X, future), model.forecast(X, future=future))


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_forecaster_agrees_with_the_estimator(name, pairs):
    trained, model = pairs(name)
    X, y = ALL[name].X, ALL[name].y
    future = ALL[name].future
    close("forecast", trained.forecast(X, future), model.forecast(X, future=future))
    close("prediction", trained.predict(X, future), model.predict(X, future=future))
    close("score", trained.score(X, y), model.score(X, y))
    if trained.quantiles:
        quantiles = model.predict_quantiles(X, future=future)
        close("quantiles", trained.predict_quantiles(X, future), quantiles)
        assert (np.diff(quantiles) >= 0).all()
    else:
        for one in (trained, model):
            with pytest.raises(InputError, match="quantiles"):
                one.predict_quantiles(X)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_agrees_with_the_estimator(name, pairs):
    trained, model = pairs(name)
    X, y = ALL[name].X, ALL[name].y
    close("probabilities", trained.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), trained.predict(X))
    assert model.score(X, y) == trained.score(X, y)
    np.testing.assert_array_equal(model.classes, trained.classes_)


@pytest.mark.parametrize("scales", [(1,), (3, 1, 20)], ids=str)
@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("stacked")])
def test_features_agree_with_the_estimator(name, scales, pairs):
    trained, model = pairs(name)
    trained = getattr(trained, "autoencoder_", trained)
    if not hasattr(trained, "features"):
        for call in (partial(model.features, ALL[name].X), model.feature_names):
            with pytest.raises(
                InputError, match="Features are statistics of the states of an LSTM encoder"
            ):
                call(scales=scales)
        return
    got = model.features(ALL[name].X, scales=scales)
    assert got.dtype == np.float32
    close("features", trained.features(ALL[name].X, scales=scales), got)
    np.testing.assert_array_equal(model.feature_names(scales), trained.feature_names(scales))


def test_features_ignore_values_past_the_lengths(pairs):
    trained, model = pairs("kernels, pooling")
    values = RAGGED.values.copy()
    values[np.arange(STEPS) >= RAGGED.lengths[:, None]] = np.inf
    expected = trained.features(RAGGED, scales=(1, 2))
    close("features", expected, model.features(values, RAGGED.lengths, scales=(1, 2)))
    assert not model.features(values[:1], [0], scales=(1, 2)).any()
    raises("`scales` must be distinct, got (2, 2).", model.features, RAGGED, scales=(2, 2))


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_decoded_codes_agree_with_the_estimator(name, pairs):
    trained, model = pairs(name)
    codes = trained.transform(ALL[name].X)
    normalised = model._network.scaler.normalization != "none"
    if normalised or model._network.decoders["reconstruction"].needs_input:
        with pytest.raises(InputError, match="codes alone cannot be decoded"):
            model.decode(codes)
        return
    most = model._network.decoders["reconstruction"].max_steps
    for lengths in (None, np.arange(len(codes)) % (3 if most is None else min(most, 2) + 1)):
        if lengths is not None and "images" in name:
            for unwind in (trained.inverse_transform, model.decode):
                with pytest.raises(InputError) as caught:
                    unwind(codes, lengths)
                assert str(caught.value) == "All images have the same size; leave `lengths` out."
            continue
        close("sequences", trained.inverse_transform(codes, lengths), model.decode(codes, lengths))


def test_values_past_the_lengths_are_ignored(pairs):
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
    monkeypatch.setattr("unspool.runtime.network.BATCH", 4)
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
        with pytest.raises(InputError, match="it has an encoder alone"):
            call(LONG)


WRONG = {
    "features": (
        lambda model: model.encode(np.zeros((2, 4, 5))),
        "X has 5 features, but LSTMAutoencoder is expecting 3 features as input.",
    ),
    "lengths of sequences": (
        lambda model: model.encode(RAGGED, [1] * len(RAGGED)),
        f"`lengths` needs an array (N, T, F), got {RAGGED!r}; leave `lengths` out.",
    ),
    "forecast": (
        lambda model: model.forecast(RAGGED),
        "This LSTMAutoencoder has no decoder for a forecast; it has reconstruction.",
    ),
    "classes": (
        lambda model: model.predict_proba(RAGGED),
        "`predict_proba` needs an EncoderClassifier, but this model is of class LSTMAutoencoder.",
    ),
    "per": (
        lambda model: model.reconstruction_error(RAGGED, per="steps"),
        "`per` must be 'sequence', 'step', 'feature' or ('step', 'feature'), got 'steps'.",
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
def test_wrong_calls_are_refused_with_a_whole_message(call, pairs):
    contents = ALL["repeat"].fit().contents()
    fitted = {**contents.fitted, "feature_names_in": ["a", "b", "c"]}
    model = runtime.Model(replace(contents, fitted=fitted))
    with pytest.raises(InputError) as caught:
        call[0](model)
    assert str(caught.value) == call[1]


def test_longer_sequences_than_in_fit_are_refused(pairs):
    _, model = pairs("dense sequences")
    with pytest.raises(InputError) as caught:
        model.encode(np.zeros((2, STEPS + 1, FEATURES)))
    assert str(caught.value) == (
        "Expected sequences of at most 9 steps, as in `fit`, got 10; this DenseAutoencoder "
        "has layers of a fixed number of steps."
    )
    _, images = pairs("images")
    with pytest.raises(InputError) as caught:
        images.encode(np.zeros((2, 5, 7, 2)))
    assert str(caught.value) == (
        "Expected images of shape (N, 7, 5, 2), or a table (N, 70), got shape (2, 5, 7, 2); fit "
        "another model to images of another shape."
    )


def test_a_score_needs_labels_or_a_future_of_the_right_shape(pairs):
    _, model = pairs("classifier, lstm")
    with pytest.raises(InputError) as caught:
        model.score(RAGGED)
    assert str(caught.value) == "Expected labels `y` to compare predictions with, got none."
    _, model = pairs("forecaster of tables")
    with pytest.raises(InputError, match=r"Expected `y` of shape \(20, 4\), got \(20, 3\)."):
        model.score(rows(), rows(features=3))


def raises(message, call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    assert str(caught.value) == message


def test_images_are_whole_and_at_least_one(pairs):
    _, model = pairs("images")
    X = ALL["images"].X
    raises(
        "Expected at least one sequence, got none (shape (0, 7, 5, 2)).", model.reconstruct, X[:0]
    )
    pixels = Sequences(X.reshape(11, 35, 2), [35] * 10 + [1])
    raises(
        f"Expected images of shape (N, 7, 5, 2), or a table (N, 70), got {pixels!r}; fit another "
        "model to images of another shape.",
        model.encode,
        pixels,
    )
    raises(
        "All images have the same size; leave `lengths` out.", model.encode, X, lengths=[35] * 11
    )
    cut = X.copy()
    cut[3, -1, -2:] = np.nan
    raises(
        f"Image 3 ends in NaN, but this model needs every value of it; fill or drop it{MASK_HINT}.",
        model.encode,
        cut,
    )


def test_rows_with_nan_at_their_ends_are_named(pairs):
    _, model = pairs("dense rows")
    cut = rows()
    cut[4, -1] = np.nan
    raises(
        f"Row 4 ends in NaN, but this model needs every value of it; fill or drop it{MASK_HINT}.",
        model.encode,
        cut,
    )


def frames(values, names):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = polars.DataFrame(values, schema=names)
    return [pandas.DataFrame(values, columns=names), frame, frame.to_arrow()]


@pytest.mark.parametrize("name", ["table", "dense rows", "stacked"])
def test_columns_of_a_frame_in_another_order_are_refused(name):
    names = list("abcdef")
    for turned, frame in zip(frames(rows(), names[::-1]), frames(rows(), names), strict=True):
        model = replace(ALL[name], X=frames(rows(), names)[0]).fit()
        model = runtime.Model(model.contents())
        np.testing.assert_array_equal(model.encode(frame), model.encode(rows()))
        raises(
            "Expected the features a, b, c, d, e, f, in this order, got f, e, d, c, b, a; "
            "choose and order them as in `fit`.",
            model.encode,
            turned,
        )


def test_a_table_whose_last_columns_were_cut_off_may_have_any_columns():
    before, after = frames(rows(), list("abcdef"))[0], frames(rows(), list("cdefgh"))[0]
    trained = replace(ALL["forecaster, repeat"], X=before).fit()
    model = runtime.Model(trained.contents())
    close("forecast", trained.forecast(after), model.forecast(after))


def test_reconstructions_have_the_form_that_the_estimator_returns(pairs):
    one = replace(ALL["repeat"], X=rows()[:, :, None]).fit()
    again = runtime.Model(one.contents()).reconstruct(rows())
    close("sequences of one feature", one.reconstruct(rows()), again)


@pytest.mark.parametrize("name", ["repeat", "images", "dense rows", "classifier, lstm"])
def test_a_model_is_pickled_and_copied(name, pairs):
    _, model = pairs(name)
    for twin in (pickle.loads(pickle.dumps(model)), deepcopy(model)):
        np.testing.assert_array_equal(twin.encode(ALL[name].X), model.encode(ALL[name].X))


def test_several_threads_may_use_one_model(pairs):
    _, model = pairs("previous, both ways, two layers")
    each = [Sequences(RAGGED.values * factor, RAGGED.lengths) for factor in range(8)]
    alone = [model.reconstruct(X) for X in each]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(model.reconstruct, each))
    finally:
        sys.setswitchinterval(interval)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["dense", "images", "repeat", "classifier, dense"])
def test_a_model_keeps_its_weights_when_the_estimator_changes(name):
    trained, X = ALL[name].fit(), ALL[name].X
    model = runtime.Model(trained.contents())
    calls = [model.encode, model.reconstruct if model.classes is None else model.predict_proba]
    before = [call(X) for call in calls]
    for weight in trained.module_.parameters():
        weight.data += 1
    for call, expected in zip(calls, before, strict=True):
        np.testing.assert_array_equal(call(X), expected)


def convolved():
    return ConvAutoencoder(4, filters=(60,), **QUICK)


def peak(call, *arguments):
    """Peak memory of a call in bytes."""
    tracemalloc.start()
    call(*arguments)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_batches_bound_memory_by_the_widest_activation(pairs, monkeypatch):
    wide = runtime.Model(replace(ALL["repeat"], make=lstm(decoder_units=64)).fit().contents())
    sequences = np.zeros((200, 100, FEATURES), np.float32)
    many = runtime.Model(replace(ALL["images"], make=convolved).fit().contents())
    features = partial(wide.features, scales=(300,))
    for call, X, factor in [
        (wide.reconstruct, sequences, 7),
        (many.reconstruct, images(60), 8),
        (features, sequences[:, :10], 2),
    ]:
        monkeypatch.setattr("unspool.runtime.network.BATCH_VALUES", 1 << 30)
        unbounded = peak(call, X)
        monkeypatch.setattr("unspool.runtime.network.BATCH_VALUES", 1 << 16)
        assert peak(call, X) < unbounded / factor


def test_values_that_float32_cannot_hold_are_refused_at_the_door(pairs):
    _, model = pairs("repeat")
    message = (
        "Expected values below 3.4e+38 after scaling, the largest number of float32, got up to "
        "1.0e+300 before scaling; remove outliers, or divide the data."
    )
    raises(message, model.encode, np.full((1, 2, FEATURES), 1e300))
    stream = model.stream()
    raises(message, stream.push, [1, 1e300, 0])
    assert not np.any(stream.state)
    raises(
        "Codes contain NaN or infinity (first in row 1); leave such rows out.",
        model.decode,
        [[0] * 5, [1e300] * 5],
    )


def test_labels_that_are_not_like_those_of_fit_are_no_score_of_zero(pairs):
    for name, given, kind in [
        ("classifier, lstm", [0] * len(RAGGED), "'a', as in `fit`, got labels like 0."),
        ("classifier, dense", ["0"] * 20, "0, as in `fit`, got labels like '0'."),
    ]:
        _, model = pairs(name)
        raises(f"Expected labels `y` like {kind}", model.score, ALL[name].X, given)
    _, model = pairs("classifier, lstm")
    labels = ALL["classifier, lstm"].y
    raises("Expected `y` of shape (23,), got (5,).", model.score, RAGGED, labels[:5])
    assert model.score(RAGGED, labels[:, None]) == model.score(RAGGED, labels)
    assert model.score(RAGGED, labels.astype(object)) == model.score(RAGGED, labels)


def test_a_future_with_missing_values_is_refused(pairs):
    _, model = pairs("forecaster of tables")
    y = rows(features=4)
    y[2, 1] = np.nan
    raises(
        "`y` contains NaN or infinity (first at index 2); fill it or drop the sequence.",
        model.score,
        rows(),
        y,
    )
    raises(
        (
            "Expected real numbers in `y`, got dtype <U1; convert text to numbers with "
            "X.astype(float)."
        ),
        model.score,
        rows(),
        [["a"]] * 20,
    )
    assert np.isnan(model.score(rows()[:1], rows(features=4)[:1]))  # nothing varies in one


def test_a_model_without_a_loss_cannot_be_written(tmp_path):
    trained = ALL["repeat"].fit()
    contents = trained.contents()
    parameters = {k: v for k, v in contents.parameters.items() if k != "loss"}
    with pytest.raises(InputError, match="cannot be saved: The field 'loss' is missing"):
        model_file.write(tmp_path / "m", replace(contents, parameters=parameters))


def test_methods_have_the_names_of_the_estimators_too(pairs):
    _, model = pairs("repeat")
    codes = model.encode(RAGGED)
    np.testing.assert_array_equal(model.transform(RAGGED), codes)
    np.testing.assert_array_equal(model.inverse_transform(codes), model.decode(codes))
    assert model.classes_ is model.classes is None
    _, model = pairs("classifier, lstm")
    assert model.classes_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ALL)
def test_every_method_of_an_estimator_that_needs_no_torch_is_there(name, pairs):
    trained, model = pairs(name)
    by_training = {"fit", "fit_transform", "partial_fit", "save", "contents", "from_contents"}
    random = {"generate"}  # draws with PyTorch
    inspection = {"feature_maps", "forecast_by_step"}
    of_sklearn = {name for name in dir(BaseEstimator) if not name.startswith("_")}
    of_sklearn |= {"set_output", "get_feature_names_out"}
    left_out = by_training | random | inspection | of_sklearn
    methods = {
        method
        for method in dir(type(trained))
        if not method.startswith(("_", "set_")) and callable(getattr(type(trained), method))
    }
    assert {method for method in methods - left_out if not hasattr(model, method)} == set()
