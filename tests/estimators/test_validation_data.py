"""Validation data that are given to `fit`, and rows of `X` that overlap."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimators.quick import sines
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
)
from unspool.errors import InputError, OverlapWarning

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"latent_dim": 3, "epochs": 3, "batch_size": 8, "random_state": 0, "verbose": 0}
LAST = {**QUICK, "patience": None}  # keeps the last weights, whose losses the history ends with
X, V = sines(n=40, steps=12, features=2), sines(n=9, steps=12, features=2, seed=1) * 3

AUTOENCODERS = {
    "LSTM": LSTMAutoencoder(**LAST),
    "flat": LSTMAutoencoder(**LAST, decoder="flat"),
    "dense": DenseAutoencoder(**LAST),
    "convolutions": ConvAutoencoder(**LAST),
    "stacked": StackedAutoencoder(**LAST, hidden_units=(5,)),
    "stacked and tuned": StackedAutoencoder(**LAST, hidden_units=(5,), fine_tune=True),
}


def error(model, V):
    """Mean of the errors of all steps, computed after the fit."""
    return float(np.nanmean(model.reconstruction_error(V, per="step")))


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_the_validation_loss_is_that_of_the_given_sequences(name):
    model = sklearn.clone(AUTOENCODERS[name]).fit(X, validation_data=V)
    assert model.history_["val_loss"][-1] == pytest.approx(error(model, V), rel=1e-5)
    assert len(model.history_["val_loss"]) == len(model.history_["loss"])


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_validation_data_change_no_weight_if_the_last_are_kept(name):
    fits = [
        sklearn.clone(AUTOENCODERS[name]).set_params(validation_split=split).fit(X, **given)
        for split, given in (
            (0, {}),
            ("auto", {"validation_data": V}),
            (0, {"validation_data": X + 1}),
        )
    ]
    codes = [model.transform(V) for model in fits]
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])
    np.testing.assert_array_equal(fits[0].scaler_.apply(V), fits[1].scaler_.apply(V))


def test_the_weights_with_the_lowest_validation_loss_are_kept():
    parameters = {**QUICK, "epochs": 30, "learning_rate": 0.05, "patience": 29}
    model = LSTMAutoencoder(**parameters).fit(X, validation_data=V)
    history = model.history_
    assert history["best_epoch"] == int(np.argmin(history["val_loss"]))
    assert min(history["val_loss"]) == pytest.approx(error(model, V), rel=1e-5)


def test_all_sequences_of_x_are_trained_on_and_all_given_ones_validated_on():
    Y = np.concatenate([X, X[:1] + 5])
    held_out = DenseAutoencoder(**LAST, validation_split=0).fit(Y)
    model = DenseAutoencoder(**LAST).fit(Y, validation_data=V)
    assert model.history_["loss"] == held_out.history_["loss"]


def forms(values):
    names = ["a", "b"]
    return {
        "array": values,
        "list": list(values),
        "frames": [pd.DataFrame(one) for one in values],
        "named frames": [pd.DataFrame(one, columns=names) for one in values],
        "Sequences": Sequences(values),
        "Windows": Windows(list(values), values.shape[1]),
        "nested": values.tolist(),
    }


@pytest.mark.parametrize("form", forms(V))
def test_validation_data_may_have_any_form(form):
    expected = LSTMAutoencoder(**LAST).fit(X, validation_data=V).history_["val_loss"]
    model = LSTMAutoencoder(**LAST).fit(forms(X)[form], validation_data=forms(V)[form])
    given = LSTMAutoencoder(**LAST).fit(X, validation_data=forms(V)[form])
    assert given.history_["val_loss"] == pytest.approx(expected, rel=1e-6)
    if form != "Windows":
        assert model.history_["val_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("lengths", [[0, 1, 7, 12, 12, 5, 3, 2, 11], [1] * 9, [12] * 9])
def test_padding_of_validation_data_does_not_count(lengths):
    ragged = [one[:length] for one, length in zip(V, lengths, strict=True)]
    padded = np.pad(V, ((0, 0), (0, 4), (0, 0)), constant_values=9.0)
    losses = [
        LSTMAutoencoder(**LAST).fit(X, validation_data=given).history_["val_loss"]
        for given in (ragged, Sequences(padded, lengths))
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("steps", [1, 12, 20])
def test_validation_sequences_may_be_longer_or_shorter(steps):
    other = sines(n=9, steps=steps, features=2, seed=1)
    model = LSTMAutoencoder(**LAST).fit(X, validation_data=other)
    assert model.max_length_ == 12
    assert model.history_["val_loss"][-1] == pytest.approx(error(model, other), rel=1e-5)


def test_a_table_is_validated_on_a_table():
    names = list("abcde")
    table = np.random.default_rng(0).normal(size=(50, 5))
    frame, other = (pd.DataFrame(one, columns=names) for one in (table[:40], table[40:]))
    model = DenseAutoencoder(**LAST).fit(frame, validation_data=other)
    assert model.history_["val_loss"][-1] == pytest.approx(error(model, other), rel=1e-5)
    with pytest.raises(InputError, match="feature names"):
        DenseAutoencoder(**LAST).fit(frame, validation_data=other.rename(columns={"a": "z"}))
    images = ConvAutoencoder(**LAST, image_shape=(4, 3), filters=(2,))
    pixels = np.random.default_rng(0).random((40, 4, 3))
    assert "val_loss" in images.fit(pixels, validation_data=pixels[:8] ** 2).history_


def mean_error(forecast, future, model):
    """Mean squared error of a forecast in scaled units."""
    scaled = [model.scaler_.apply(one) for one in (forecast, future)]
    return float(np.mean((scaled[0] - scaled[1]) ** 2))


@pytest.mark.parametrize("kind", [LSTMForecaster, LSTMAutoencoder])
def test_a_forecaster_is_validated_on_the_last_steps_or_on_a_future(kind):
    model = kind(**LAST, horizon=2).fit(X, validation_data=V)
    past, future = V[:, :-2], V[:, -2:]
    reached = model.history_.get("val_forecast_loss", model.history_["val_loss"])[-1]
    assert reached == pytest.approx(mean_error(model.forecast(past), future, model), rel=1e-4)
    model = kind(**LAST, horizon=2).fit(
        X[:, :-2], X[:, -2:], validation_data=(V[:, :-2], V[:, -2:])
    )
    reached = model.history_.get("val_forecast_loss", model.history_["val_loss"])[-1]
    assert reached == pytest.approx(mean_error(model.forecast(past), future, model), rel=1e-4)


def test_a_pair_and_what_fit_was_given_must_agree():
    model = LSTMForecaster(**QUICK, horizon=2)
    with pytest.raises(InputError) as caught:
        model.fit(X[:, :-2], X[:, -2:], validation_data=V[:, :-2])
    assert str(caught.value) == (
        "`fit` was given `y`, so `validation_data` must be a tuple (X_val, y_val) with the steps "
        "that follow each sequence of X_val."
    )
    with pytest.raises(InputError, match="must be X_val alone, whose last steps are cut off"):
        model.fit(X, validation_data=(V[:, :-2], V[:, -2:]))
    with pytest.raises(InputError, match=r"Expected `y` of shape \(9, 2, 2\)"):
        model.fit(X[:, :-2], X[:, -2:], validation_data=(V[:, :-2], V[:, -3:]))
    assert not hasattr(model, "history_")
    # An autoencoder ignores the `y` of validation data as it ignores that of `fit`.
    one, two = (DenseAutoencoder(**LAST).fit(X, validation_data=given) for given in (V, (V, V)))
    assert one.history_ == two.history_


def test_an_explicit_share_and_validation_data_are_refused():
    for share in (0.1, 0.5):
        with pytest.raises(InputError) as caught:
            LSTMAutoencoder(**QUICK, validation_split=share).fit(X, validation_data=V)
        assert str(caught.value) == (
            f"`validation_split` is {share}, but `validation_data` is given too; leave one of them "
            "out."
        )
    with pytest.raises(InputError, match="with `validation_data` none are held out"):
        LSTMAutoencoder(**QUICK).fit(X, validation_data=V, groups=np.arange(40) // 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (V[:, :, :1], "X has 1 features, but LSTMAutoencoder is expecting 2 features"),
        (V[:0], "at least one sequence"),
        (np.full((2, 3, 2), np.nan), "at least one step in `validation_data`"),
        (np.where(V > 2, np.inf, V), "holds inf at step"),
    ],
    ids=["features", "none", "empty", "infinite"],
)
def test_other_validation_data_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        LSTMAutoencoder(**QUICK).fit(X, validation_data=given)


def test_validation_sequences_are_not_longer_than_layers_allow():
    for model in (DenseAutoencoder(**QUICK), LSTMAutoencoder(**QUICK, decoder="flat")):
        with pytest.raises(InputError, match="at most 12 steps, as in `fit`, got 15"):
            model.fit(X, validation_data=sines(n=9, steps=15, features=2))


def test_targets_of_a_cross_entropy_are_checked_in_validation_data_too():
    bits = np.random.default_rng(0).integers(0, 2, (40, 12, 2)).astype(float)
    model = LSTMAutoencoder(**QUICK, loss="binary_crossentropy", scaling="none")
    with pytest.raises(InputError, match="needs values between 0 and 1, got 0 to 2"):
        model.fit(bits, validation_data=2 * bits[:9])


Y, YV = np.array(list("abc") * 13 + ["a"]), np.array(list("cab") * 3)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_classifier_is_validated_on_given_sequences_and_labels(fine_tune):
    inner = FrozenEstimator(LSTMAutoencoder(**QUICK).fit(X))
    options = {**LAST, "fine_tune": fine_tune}
    options.pop("latent_dim")
    model = EncoderClassifier(inner, **options).fit(X, Y, validation_data=(V, YV))
    history = model.history_
    probabilities = model.predict_proba(V).astype(np.float64)
    of_labels = probabilities[np.arange(9), np.searchsorted(model.classes_, YV)]
    assert history["val_loss"][-1] == pytest.approx(-np.log(of_labels).mean(), rel=1e-4)
    assert history["val_accuracy"][-1] == pytest.approx(model.score(V, YV))


def test_an_encoder_that_is_not_fitted_is_validated_on_the_same_sequences():
    options = {name: value for name, value in QUICK.items() if name != "latent_dim"}

    def history(**parameters):
        inner = LSTMAutoencoder(**QUICK, **parameters)
        model = EncoderClassifier(inner, **options).fit(X, Y, validation_data=(V, YV))
        return model.autoencoder_.history_["val_loss"]

    assert history() == LSTMAutoencoder(**QUICK).fit(X, validation_data=V).history_["val_loss"]
    share = LSTMAutoencoder(**QUICK, validation_split=0.2).fit(X).history_["val_loss"]
    assert history(validation_split=0.2) == share


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (V, "must be a tuple (X_val, y_val) with one label"),
        ((V, None), "must be a tuple (X_val, y_val) with one label"),
        ((V, YV[:-1]), "y_val must have the shape (9,), one label per sequence of X_val"),
        ((V, ["z"] * 9), "y_val contains the label 'z', which `y` does not contain"),
    ],
    ids=["no labels", "None", "too few", "unknown"],
)
def test_labels_of_validation_data_are_checked(given, message):
    inner = LSTMAutoencoder(**QUICK).fit(X)
    with pytest.raises(InputError) as caught:
        EncoderClassifier(inner, epochs=2, verbose=0).fit(X, Y, validation_data=given)
    assert message in str(caught.value)


def test_a_pipeline_passes_validation_data():
    table = np.random.default_rng(0).normal(size=(50, 5))
    pipeline = make_pipeline(StandardScaler(), DenseAutoencoder(**LAST))
    name = pipeline.steps[-1][0]
    pipeline.fit(table[:40], **{f"{name}__validation_data": table[40:]})
    model = pipeline[-1]
    assert model.history_["val_loss"][-1] == pytest.approx(error(model, table[40:]), rel=1e-5)
    codes = DenseAutoencoder(**LAST).fit_transform(table[:40], validation_data=table[40:])
    assert codes.shape == (40, 3)


def test_metadata_are_routed():
    table = np.random.default_rng(0).normal(size=(50, 5))
    with sklearn.config_context(enable_metadata_routing=True):
        model = DenseAutoencoder(**LAST).set_fit_request(validation_data=True, groups=False)
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.fit(table[:40], validation_data=table[40:])
        assert "val_loss" in pipeline[-1].history_


S = np.random.default_rng(3).normal(size=500).cumsum()
ROWS = sliding_window_view(S, 10)[::2]  # (246, 10)


def windows_like(rows):
    return {
        "dense": (DenseAutoencoder, rows),
        "LSTM": (LSTMAutoencoder, rows),
        "array": (LSTMAutoencoder, rows[:, :, None]),
    }


@pytest.mark.parametrize("name", windows_like(ROWS))
def test_rows_that_overlap_are_split_by_time(name, monkeypatch):
    kind, rows = windows_like(ROWS)[name]
    parts = {}

    def noted(self, objective, batches, validation, *rest):
        parts.update(training=batches.indices, held_out=validation.indices)
        return train(self, objective, batches, validation, *rest)

    train = kind._train
    monkeypatch.setattr(kind, "_train", noted)
    with pytest.warns(OverlapWarning) as caught:
        kind(**QUICK).fit(rows)
    assert str(caught[0].message) == (
        "The rows of `X` are overlapping windows of a series: each is the row before, shifted by 2 "
        "steps. Rows held out at random would nearly equal training rows; the last 25 rows are "
        "held out, and the 4 rows before them, which overlap them, are not used. Give "
        "`Windows(series, 10, stride=2)` instead, which knows which windows overlap."
    )
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(parts["held_out"], np.arange(221, 246))
    np.testing.assert_array_equal(parts["training"], np.arange(217))
    assert not np.isin(ROWS[parts["held_out"]], ROWS[parts["training"]]).any()
    # Windows are split in the same way.
    _, held_out = Windows(S, 10, 2).split(25 / 246)
    assert abs(len(held_out) - 25) <= 4


def test_a_future_after_each_row_overlaps_too():
    future = sliding_window_view(S[10:], 6)[::2]
    rows = ROWS[: len(future)]
    with pytest.warns(OverlapWarning, match="the 7 rows before them, which overlap them"):
        LSTMForecaster(**QUICK).fit(rows, future)


def test_nothing_is_held_out_of_few_rows_that_overlap():
    rows = sliding_window_view(S[:60], 30)  # 31 rows, but only one next to another
    with pytest.warns(OverlapWarning, match="they are too few to hold out a part"):
        model = DenseAutoencoder(**QUICK).fit(rows)
    assert "val_loss" not in model.history_
    with pytest.raises(InputError, match=r"`validation_split` 0.1 leaves 0 sequences"):
        DenseAutoencoder(**QUICK, validation_split=0.1).fit(rows)


def test_rows_are_not_compared_where_nothing_is_held_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error", OverlapWarning)
        DenseAutoencoder(**QUICK, validation_split=0).fit(ROWS)
        DenseAutoencoder(**QUICK).fit(ROWS[:15])
        DenseAutoencoder(**QUICK).fit(ROWS[:100], validation_data=ROWS[110:])
        DenseAutoencoder(**QUICK).fit(np.random.default_rng(0).permutation(ROWS))


def test_a_classifier_holds_out_rows_that_overlap_by_time():
    y = np.where(np.arange(len(ROWS)) < 240, np.arange(len(ROWS)) % 2, 2)
    inner = LSTMAutoencoder(**QUICK, validation_split=0).fit(ROWS)
    model = EncoderClassifier(inner, epochs=2, verbose=0, validation_split=0.1)
    with pytest.warns(OverlapWarning, match="the last 25 rows are held out"):
        model.fit(ROWS, y)
    assert list(model.classes_) == [0, 1, 2]


def test_validation_data_that_occur_in_x_warn():
    with pytest.warns(OverlapWarning, match="^5 of 9 sequences of `validation_data`.*occur in `X`"):
        LSTMAutoencoder(**QUICK).fit(X, validation_data=np.concatenate([X[:5], V[:4]]))
    order = np.random.default_rng(0).permutation(len(ROWS))
    with pytest.warns(OverlapWarning, match="overlap sequences of `X`, as windows") as caught:
        DenseAutoencoder(**QUICK).fit(ROWS[order[:200]], validation_data=ROWS[order[200:]])
    assert caught[0].filename == __file__
    inner = LSTMAutoencoder(**QUICK, validation_split=0).fit(X)
    with pytest.warns(OverlapWarning, match="9 of 9"):
        EncoderClassifier(inner, epochs=2, verbose=0).fit(X, Y, validation_data=(X[:9], Y[:9]))


def test_every_layer_of_a_stack_is_validated_on_the_given_sequences():
    given = (V, V[:, ::-1].copy())
    one, two = (
        StackedAutoencoder(**LAST, hidden_units=(5,)).fit(X, validation_data=some).history_
        for some in given
    )
    for layers in zip(one["layers"], two["layers"], strict=True):
        assert layers[0]["loss"] == layers[1]["loss"]
        assert layers[0]["val_loss"] != layers[1]["val_loss"]
