"""What estimators and the runtime refuse of data, or read in a way of their own."""

import contextlib

import numpy as np
import pandas as pd
import pytest
import torch
from torch.masked import masked_tensor

from tests.forms import (
    CUBE,
    DAYS,
    LABELS,
    QUICK,
    ROWS_ARE_TIMES,
    SERIES,
    TABLE,
    F,
    N,
    T,
    by_instance,
    forecaster,
    frames_of,
    lstm,
    nested,
    trained,
)
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    Windows,
    runtime,
)
from unspool.data.convert import as_sequences
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def test_rows_at_times_are_samples_where_a_model_reads_rows():
    dates = pd.DataFrame(TABLE).set_index(DAYS[:N])
    model = trained("table")
    expected = model.dense.transform(TABLE)
    np.testing.assert_array_equal(
        DenseAutoencoder(3, validation_split=0, **QUICK).fit(dates).transform(dates), expected
    )
    np.testing.assert_array_equal(model.light_dense.encode(dates), model.light_dense.encode(TABLE))
    images = ConvAutoencoder(3, image_shape=(3, 2), filters=(2,), validation_split=0, **QUICK)
    assert images.fit(dates).transform(dates).shape == (N, 3)
    with pytest.raises(InputError, match=ROWS_ARE_TIMES):
        ConvAutoencoder(3, **QUICK).fit(dates)


def test_a_table_of_one_column_is_read_where_it_can_only_be_meant():
    lags, following = SERIES[:-1, :1], SERIES[1:, 0]
    model = forecaster().fit(lags, following)  # each row has a future of its own
    assert model.predict(lags).shape == following.shape
    assert runtime.Model(model.contents()).predict(lags).shape == following.shape
    assert trained("table").forecaster.generate(TABLE[:, :1], 3).shape == (N, 3)
    assert lstm().fit(lags[:, None]).transform(lags).shape == (len(lags), 3)
    assert DenseAutoencoder(3, **QUICK).fit(lags).transform(lags).shape == (len(lags), 3)


def test_dimensions_with_names_say_what_is_time():
    class DataArray:  # as of xarray
        def __init__(self, values, *dims):
            self.values, self.dims, self.shape = values, dims, values.shape

        def __array__(self, dtype=None, copy=None):
            return self.values

    model = trained("one feature").plain
    whole = DataArray(TABLE, "instance", "time")
    np.testing.assert_array_equal(model.transform(whole), model.transform(TABLE))
    for turned in (DataArray(TABLE.T, "time", "instance"), DataArray(CUBE, "time", "a", "b")):
        with pytest.raises(InputError, match=r"transpose it. Give one series as X.values\[None\]"):
            model.transform(turned)


def test_frames_are_held_to_the_names_of_fit():
    model = lstm().fit(frames_of(CUBE))
    light = runtime.Model(model.contents())
    assert list(model.feature_names_in_) == ["a", "b"]
    others = [frame[["b", "a"]] for frame in frames_of(CUBE)]
    long, cells = by_instance(CUBE)[["b", "a"]], nested(CUBE)[["b", "a"]]
    for turned in (others, long, cells, Windows(others, 3)):
        for call in (model.transform, model.score, light.encode, light.score):
            with pytest.raises(
                InputError, match="the features a, b, in this order, got b, a; choose"
            ):
                call(turned)


HIDDEN = np.ma.MaskedArray(np.full((N, 1, 1), -9999.0), np.arange(N)[:, None, None] == 2)
DATES = np.arange("2024", "2032", dtype="M8[Y]").reshape(N, 1, 1)


@pytest.mark.parametrize(
    ("y", "message"),
    [(HIDDEN, "NaN|finite"), (DATES, "cannot be features")],
    ids=["masked", "dates"],
)
def test_nan_or_infinity_in_a_future_is_refused(y, message):
    X, models = CUBE[:, :, :1], trained("one feature")
    for call in (forecaster().fit, models.forecaster.score, models.light_forecaster.score):
        with pytest.raises(ValueError, match=message):
            call(X, y)


def test_a_future_in_another_order_of_columns_is_refused():
    X, y = frames_of(CUBE[:, :-1]), pd.DataFrame(CUBE[:, -1], columns=["a", "b"])
    model = forecaster().fit(X, y)
    light = runtime.Model(model.contents())
    for call in (forecaster().fit, model.score, light.score):
        with pytest.raises(InputError, match="the features a, b of `y` in this order, as in `X`"):
            call(X, y[["b", "a"]])
    assert model.score(X, y) == model.score(X, y.to_numpy())


def test_a_step_in_another_order_of_columns_is_not_pushed():
    stream = runtime.Model(lstm(bidirectional=False).fit(frames_of(CUBE)).contents()).stream()
    step = pd.Series({"a": 1.0, "b": 2.0})
    code = stream.push(step)
    with pytest.raises(InputError, match="Expected the features a, b, in this order, got b, a"):
        stream.push(step[::-1])
    stream.reset()
    np.testing.assert_array_equal(stream.push([1.0, 2.0]), code)


def test_a_future_by_instance_and_time_is_refused_since_instances_are_not_matched():
    past, future = CUBE[:, :4], CUBE[:, 4:]
    model = forecaster().fit(past, future)
    light = runtime.Model(model.contents())
    for call in (forecaster().fit, model.score, light.score):
        with pytest.raises(InputError, match="got a frame with an index of 2 levels"):
            call(by_instance(past), by_instance(future)[::-1])


def test_futures_in_a_list_of_frames_have_their_columns_put_in_order():
    past, future = CUBE[:, :4], CUBE[:, 4:]
    names = [f"f{i}" for i in range(CUBE.shape[2])]
    frames = [pd.DataFrame(one, columns=names) for one in future]
    frames[1:] = [frame[names[::-1]] for frame in frames[1:]]
    model, plain = (forecaster().fit(past, y) for y in (frames, future))
    np.testing.assert_array_equal(model.forecast(past), plain.forecast(past))
    assert model.score(past, frames) == model.score(past, future)
    assert runtime.Model(model.contents()).score(past, frames) == pytest.approx(
        model.score(past, future)
    )


def test_a_dense_model_of_sequences_refuses_rows_that_are_times():
    model = DenseAutoencoder(2, **QUICK).fit(np.random.default_rng(0).normal(size=(20, 10, 1)))
    frame = pd.DataFrame(
        np.zeros((30, 3)), index=pd.date_range("2024", periods=30, freq="h"), columns=list("abc")
    )
    light = runtime.Model(model.contents())
    for call in (model.transform, light.encode):
        with pytest.raises(InputError, match="the rows of this frame are steps of time"):
            call(frame)
        with pytest.raises(InputError, match="Expected sequences of more than one step"):
            call(np.zeros((30, 1)))


def test_codes_of_instances_have_no_place_in_a_frame_of_steps():
    X = by_instance(CUBE)
    model = lstm().fit(X)
    assert model.transform(X).shape[0] == len(CUBE)
    model.set_output(transform="pandas")
    with pytest.raises(InputError, match="do not call `set_output`"):
        model.transform(X)
    assert len(model.transform(as_sequences(X))) == len(CUBE)


def test_a_classifier_scores_labels_in_every_form_that_it_was_fitted_on():
    y = np.arange(len(CUBE)) % 2
    model = EncoderClassifier(lstm(), **QUICK).fit(CUBE, y.astype(object))
    expected = float(np.mean(model.predict(CUBE) == y))
    for labels in (y, y.astype(object), y[:, None], pd.Series(y), y.tolist()):
        assert model.score(CUBE, labels) == expected
    with pytest.raises(InputError, match="Expected labels `y` like 0"):
        model.score(CUBE, np.array(["a"] * len(y)))
    with pytest.raises(InputError, match=r"^`y` must have the shape \(8,\)"):
        model.score(CUBE, y[:-1])


MISSING = {
    "None": np.array(["a", "b", None, *"ababa"], object),
    "NaN": np.array([0, 1, np.nan, 0, 1, 0, 1, 0]),
    "pandas.NA": pd.Series([0, 1, pd.NA, 0, 1, 0, 1, 0], dtype="Int64"),
    "NaT": np.array(["2024", "2025", "NaT", *["2024"] * 5], "M8[Y]"),
    "masked": np.ma.MaskedArray([0, 1, 9, 0, 1, 0, 1, 0], np.arange(8) == 2),
}


@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING)
def test_missing_labels_are_refused(y):
    for call in (
        EncoderClassifier(lstm(), **QUICK).fit,
        trained("sequences").light_classifier.score,
    ):
        with pytest.raises(InputError, match=r"missing value for sequence 2; leave such"):
            call(CUBE, y)


def test_labels_in_a_column_are_scored_as_those_in_a_row():
    for model in (trained("sequences").classifier, trained("sequences").light_classifier):
        assert model.score(CUBE, LABELS[:, None]) == model.score(CUBE, LABELS)


NOTHING = {
    "NaN": np.full((N, T, F), np.nan),
    "masked": np.ma.MaskedArray(CUBE, True),
    "empty sequences": [np.zeros((0, F))] * N,
    "lengths of zero": Sequences(CUBE, [0] * N),
    "no steps": np.zeros((N, 0, F)),
    "frame without a number": nested(np.full((N, T, F), np.nan)),
}


@pytest.mark.parametrize("X", NOTHING.values(), ids=NOTHING)
def test_there_is_nothing_to_learn_from_missing_values_alone(X):
    for model in (lstm(), LSTMForecaster(3, horizon=1, **QUICK), DenseAutoencoder(3, **QUICK)):
        with pytest.raises(InputError, match=r"at least one step to learn from.*are missing"):
            model.fit(X)
    for model in (trained("sequences").plain, trained("sequences").light_plain):
        with pytest.raises(InputError, match="at least one step to compare with"):
            model.score(X)


def test_the_part_trained_on_has_a_step():
    X = np.full((2, T, F), np.nan)
    X[0] = 1.0
    refused = 0
    for seed in range(8):  # where the one known sequence is held out, nothing is left
        model = LSTMAutoencoder(3, **{**QUICK, "random_state": seed, "validation_split": 0.5})
        with contextlib.suppress(InputError):
            model.fit(X)
            continue
        refused += 1
        with pytest.raises(InputError, match=r"^`validation_split` 0.5 leaves no step to train on"):
            model.fit(X)
    assert 0 < refused < 8


@pytest.mark.parametrize(
    "make", [lambda v: Windows(v, 5, 5), lambda v: Sequences(v.reshape(N, T, F))]
)
def test_values_that_turn_nan_later_are_refused(make):
    values = SERIES.copy()
    source = make(values)
    values[30] = np.nan
    models = trained("sequences")
    for call in (
        lstm().fit,
        models.plain.transform,
        models.forecaster.score,
        models.light_plain.encode,
    ):
        with pytest.raises(
            InputError, match=r"was changed and holds NaN or infinity now; correct it and make"
        ):
            call(source)
    values[30] = np.finfo(np.float64).max  # a sum that is too large is no fault
    values[31] = np.finfo(np.float64).max
    assert np.isfinite(source.take(np.arange(len(source)))[0]).all()


def test_infinity_within_the_length_of_a_sequence_is_refused():
    values = CUBE.copy()
    values[3, 4, 1] = np.inf
    with pytest.raises(InputError, match=r"^Sequence 3 holds inf at step 4, feature 1"):
        Sequences(values, [T] * N)
    assert Sequences(values, [4] * N).max_length == 4


def test_columns_that_are_only_numbered_are_put_in_order_too():
    frames = [pd.DataFrame(one) for one in CUBE]
    turned = [frame[[1, 0]] if i else frame for i, frame in enumerate(frames)]
    source = as_sequences(turned)
    np.testing.assert_array_equal(source.values, CUBE)
    assert source.feature_names is None
    named = as_sequences([frames[0], *frames_of(CUBE[1:])])  # numbers have no say where names do
    np.testing.assert_array_equal(named.values, CUBE)


@pytest.mark.filterwarnings("ignore")  # of prototypes
def test_tensors_of_odd_kinds_are_read_or_refused_in_words():
    values, known = torch.ones(2, 3), torch.tensor([[True, True, False]] * 2)
    assert as_sequences(masked_tensor(values, known)).lengths.tolist() == [2, 2]
    with pytest.raises(InputError, match=r"got a nested one; give X.unbind\(\)"):
        as_sequences(torch.nested.nested_tensor([values[0], values[1, :2]]))
    assert as_sequences(torch.quantize_per_tensor(values, 0.5, 0, torch.quint8)).shape == (2, 3, 1)


def test_masked_lengths_are_refused():
    hidden = np.ma.MaskedArray([T] * (N - 1) + [99], [False] * (N - 1) + [True])
    with pytest.raises(InputError, match=r"^Expected `lengths` as 8 whole numbers"):
        Sequences(CUBE, hidden)
    with pytest.raises(InputError, match=r"^Expected `lengths` as one whole number"):
        trained("sequences").plain.inverse_transform(np.zeros((N, 3)), lengths=hidden)
