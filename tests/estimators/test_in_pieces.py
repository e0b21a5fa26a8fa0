"""Results in pieces equal the results at once, to the last bit, wherever the pieces begin."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trained import ALL, LONG, QUICK, RAGGED, images, redraw, rows
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    Windows,
)
from unspool.data.merging import overlap_mean, overlap_means, window_before
from unspool.errors import InputError
from unspool.estimators import batch_runner

TWICE = Sequences(np.tile(LONG.values, (2, 1, 1)), np.tile(LONG.lengths, 2))
STEP_AND_FEATURE = ("step", "feature")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Make batches of at most 40 steps, and pieces of two batches."""
    monkeypatch.setattr(batch_runner, "INFERENCE_STEPS", 40)
    monkeypatch.setattr(batch_runner, "PIECE_BATCHES", 2)
    monkeypatch.setattr(batch_runner, "SORTED_BATCHES", 2)


@pytest.fixture(scope="module")
def model():
    series = np.random.default_rng(0).normal(size=(90, 2)).cumsum(0)
    model = LSTMAutoencoder(3, units=4, decoder="reversed_input", missing="mask", **QUICK)
    return redraw(model.fit(Windows(series, 8)))


def joined(pieces):
    """Pieces as one array, padded with NaN, after a check that they follow one another."""
    found, end = [], 0
    for start, stop, values in pieces:
        assert start == end
        assert len(values) == stop - start > 0
        found.append(values)
        end = stop
    if found[0].ndim == 1:
        return np.concatenate(found)
    longest = max(one.shape[1] for one in found)
    pad = [(0, 0)] * (found[0].ndim - 2)
    return np.concatenate(
        [
            np.pad(one, [(0, 0), (0, longest - one.shape[1]), *pad], constant_values=np.nan)
            for one in found
        ]
    )


def check_in_pieces(model, method, X, at_least=2, **arguments):
    whole = getattr(model, method)(X, **arguments)
    if arguments.get("merge"):
        whole = np.concatenate(whole)
    pieces = list(model.in_pieces(method, X, **arguments))
    assert len(pieces) >= at_least
    found = joined(pieces)
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole)
    middle = pieces[len(pieces) // 2].start
    again = model.in_pieces(method, X, start=middle, **arguments)
    np.testing.assert_array_equal(
        np.concatenate([one.values for one in again]), joined_from(pieces, middle)
    )
    assert list(model.in_pieces(method, X, start=pieces[-1].stop, **arguments)) == []


def joined_from(pieces, start):
    return np.concatenate([one.values for one in pieces if one.start >= start])


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("transform", {}),
        ("features", {"scales": (1, 2)}),
        ("reconstruct", {}),
        ("impute", {}),
        ("reconstruction_error", {}),
        ("reconstruction_error", {"per": "step"}),
        ("reconstruction_error", {"per": "feature"}),
        ("reconstruct", {"merge": True}),
        ("impute", {"merge": True}),
        ("reconstruction_error", {"per": "step", "merge": True}),
        ("reconstruction_error", {"per": STEP_AND_FEATURE, "merge": True}),
    ],
)
def test_windows_in_pieces_equal_windows_at_once(model, method, arguments):
    rng = np.random.default_rng(1)
    series = [rng.normal(size=(n, 2)).cumsum(0) for n in (90, 9, 5, 60)]
    series[0][rng.random((90, 2)) < 0.1] = np.nan
    X = Windows(series, 8, 3, tail=True, short="keep", missing="mask")
    check_in_pieces(model, method, X, **arguments)


@pytest.mark.parametrize(
    ("name", "X", "methods"),
    [
        ("defaults", RAGGED, ("transform", "features", "reconstruct", "reconstruction_error")),
        ("missing, defaults", RAGGED, ("impute", "reconstruct")),
        ("targets, streamed", RAGGED, ("reconstruct", "reconstruction_error")),
        ("composite", TWICE, ("reconstruct", "forecast")),
        ("table", rows(60), ("transform", "reconstruct", "reconstruction_error")),
        ("images", images(), ("transform", "reconstruct", "reconstruction_error")),
        ("forecaster, repeat", LONG, ("forecast",)),
        ("forecaster, missing, targets", LONG, ("forecast", "predict_quantiles")),
    ],
)
def test_sequences_in_pieces_equal_sequences_at_once(name, X, methods):
    trained = ALL[name].fit()
    for method in methods:
        check_in_pieces(trained, method, X)


@pytest.mark.parametrize("per", ["sequence", "feature", "step"])
def test_missing_values_in_one_piece_change_no_other(model, per):
    values = np.random.default_rng(0).normal(size=(40, 8, 2))
    values[3, 2] = np.nan
    check_in_pieces(model, "reconstruction_error", Sequences(values, missing="mask"), per=per)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "reconstruction_error"])
def test_a_memory_mapped_series_equals_one_in_memory(model, method, tmp_path):
    series = np.random.default_rng(2).normal(size=(300, 2)).cumsum(0)
    np.save(tmp_path / "series.npy", series)
    mapped = Windows(np.load(tmp_path / "series.npy", mmap_mode="r"), 8)
    found = joined(model.in_pieces(method, mapped))
    whole = getattr(model, method)(Windows(series, 8))
    np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(getattr(model, method)(mapped), whole)


def test_a_table_keeps_its_form_in_pieces():
    X = rows(60)
    trained = ALL["table"].fit()
    assert {one.values.ndim for one in trained.in_pieces("reconstruct", X)} == {2}


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    size=st.integers(1, 8),
    stride=st.integers(1, 11),
    dilation=st.integers(1, 3),
    tail=st.booleans(),
    cuts=st.lists(st.integers(1, 69), max_size=3),
    data=st.data(),
)
def test_means_of_overlapping_windows_do_not_depend_on_where_they_begin(
    lengths, size, stride, dilation, tail, cuts, data
):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(n, 2)) for n in lengths]
    breaks = [np.array(sorted({at for at in cuts if at < n}), np.int64) for n in lengths]
    windows = Windows(
        series, size, stride, tail=tail, dilation=dilation, short="keep", breaks=breaks
    )
    n = len(windows)
    values = rng.normal(size=(n, windows.max_length, 2))  # sums depend on the order
    whole = np.concatenate(overlap_mean(windows, iter([(np.arange(n), values)])))
    np.testing.assert_array_equal(whole, slow_mean(windows, values))

    edges = sorted({0, n, *data.draw(st.lists(st.integers(0, n), max_size=4))})
    batches = [(np.arange(a, b), values[a:b]) for a, b in itertools.pairwise(edges)]
    found, end = np.full_like(whole, 7), 0
    for start, means in overlap_means(windows, batches):
        assert start == end
        end = start + len(means)
        found[start:end] = means
    assert end == len(whole)
    np.testing.assert_array_equal(found, whole)

    start = data.draw(st.integers(0, len(whole) - 1))
    first = window_before(windows, start)
    rest = [(np.arange(first, n), values[first:])]
    after = [means for _, means in overlap_means(windows, rest, start, first)]
    np.testing.assert_array_equal(np.concatenate(after), whole[start:])


def test_windows_in_any_order_are_averaged_at_their_steps():
    rng = np.random.default_rng(0)
    windows = Windows([rng.normal(size=(n, 2)) for n in (30, 25)], 4)
    n = len(windows)
    values, order = rng.normal(size=(n, 4, 2)), rng.permutation(n)
    expected = slow_mean(windows, values)
    batches = [(some, values[some]) for some in np.array_split(order, 3)]
    found = np.concatenate(overlap_mean(windows, batches))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    in_order = [(np.arange(a, b), values[order][a:b]) for a, b in ((0, 20), (20, n))]
    found = np.concatenate(overlap_mean(windows[order], in_order))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_only_missing_values_of_a_series_in_pieces_are_imputed(model):
    rng = np.random.default_rng(5)
    series = [rng.normal(size=(n, 2)).cumsum(0) for n in (70, 30)]
    for one in series:
        one[rng.random(one.shape) < 0.2] = np.nan
    X = Windows(series, 8, missing="mask")
    assert len(list(model.in_pieces("impute", X, merge=True))) > 2
    imputed, reconstructed = model.impute(X, merge=True), model.reconstruct(X, merge=True)
    for one, filled, means in zip(series, imputed, reconstructed, strict=True):
        np.testing.assert_array_equal(filled, np.where(np.isnan(one), means, one))


def slow_mean(windows, values):
    """Averages by the definition: window after window."""
    sums = [np.zeros((len(one), 2)) for one in windows.series]
    counts = [np.zeros((len(one), 1)) for one in windows.series]
    owner, start = windows.place(np.arange(len(windows)))
    for i, length in enumerate(windows.lengths_of(np.arange(len(windows)))):
        for step in range(length):
            at = start[i] + step * windows.dilation
            sums[owner[i]][at] += values[i, step]
            counts[owner[i]][at] += 1
    sums, counts = np.concatenate(sums), np.concatenate(counts)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_a_run_of_neighbours_on_its_own_is_one_run(model, lengths):
    lengths[0] = max(1, lengths[0])
    X = Sequences(np.zeros((len(lengths), max(lengths), 2)), np.array(lengths))
    runs = list(batch_runner.runner(model).pieces(X))
    assert [start for start, _ in runs] == [0, *(stop for _, stop in runs[:-1])]
    assert runs[-1][1] == len(X)
    for start, stop in runs:
        total = np.maximum(lengths[start:stop], 1)
        assert len(total) == 1 or total.sum() <= max(80, 2 * total.max())
        if X.min_length < X.max_length:
            part = X[start:stop]
            inner = list(batch_runner.runner(model).pieces(part))
            assert inner == [(0, len(part))] or part.min_length == part.max_length


def test_a_long_sequence_does_not_make_the_runs_of_others_long(model):
    X = Sequences(np.zeros((100, 79, 2)), np.array([79] + [1] * 99))
    assert [stop for _, stop in batch_runner.runner(model).pieces(X)] == [2, 82, 100]


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # few epochs
def test_a_model_of_dense_layers_or_convolutions_works_in_pieces():
    X = np.random.default_rng(0).normal(size=(40, 8, 2))
    for make in (DenseAutoencoder, ConvAutoencoder):
        check_in_pieces(redraw(make(3, **QUICK).fit(X)), "reconstruct", X)


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        (
            "predict",
            {},
            "unknown `method` 'predict': known are 'features', 'forecast', 'impute', "
            "'reconstruct', 'reconstruction_error', 'transform'.",
        ),
        ("transform", {"start": -1}, "`start` must be a whole number of at least 0, got -1."),
        (
            "transform",
            {"merge": True},
            "`in_pieces` cannot call `transform` with the argument 'merge'; it accepts none.",
        ),
        (
            "reconstruct",
            {"per": "step"},
            "`in_pieces` cannot call `reconstruct` with the argument 'per'; it accepts merge.",
        ),
        (
            "forecast",
            {"future": np.zeros((1, 1, 1))},
            "`in_pieces` cannot call `forecast` with the argument 'future'; it accepts none.",
        ),
    ],
)
def test_what_cannot_be_computed_in_pieces_is_refused(model, method, arguments, message):
    with pytest.raises(InputError) as raised:
        model.in_pieces(method, RAGGED, **arguments)
    assert str(raised.value) == message


def test_a_forecast_that_needs_known_features_is_refused():
    trained = LSTMForecaster(3, horizon=2, known=(1,), targets=(0,), **QUICK).fit(LONG)
    with pytest.raises(InputError, match="give them for the 2 steps after each sequence"):
        trained.in_pieces("forecast", LONG)


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.filterwarnings("ignore::unspool.errors.OverlapWarning")
@pytest.mark.parametrize("X", [RAGGED, TWICE, rows(40)], ids=["ragged", "twice", "rows"])
def test_classes_in_pieces_are_those_of_all_sequences(X):
    inner = DenseAutoencoder(2, **QUICK) if isinstance(X, np.ndarray) else None
    inner = LSTMAutoencoder(3, units=4, **QUICK) if inner is None else inner
    model = EncoderClassifier(inner, **QUICK).fit(X, np.arange(len(X)) % 3)
    for method in ("predict_proba", "predict"):
        pieces = list(model.in_pieces(method, X))
        np.testing.assert_array_equal(joined(pieces), getattr(model, method)(X))
        rest = list(model.in_pieces(method, X, start=pieces[0].stop))
        assert len(rest) == len(pieces) - 1
    with pytest.raises(InputError, match="unknown `method` 'transform'"):
        model.in_pieces("transform", X)
