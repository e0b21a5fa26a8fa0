"""Results of the runtime in pieces equal its results at once, wherever the pieces begin."""

import tracemalloc

import numpy as np
import pytest

from tests.trained import ALL, LONG, QUICK, RAGGED, images, redraw, rows
from unspool import LSTMAutoencoder, Sequences, Windows, runtime
from unspool.errors import InputError
from unspool.runtime import pieces

TWICE = Sequences(np.tile(LONG.values, (2, 1, 1)), np.tile(LONG.lengths, 2))
STEP_AND_FEATURE = ("step", "feature")


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_VALUES", 80)


@pytest.fixture(scope="module")
def model():
    series = np.random.default_rng(0).normal(size=(90, 2)).cumsum(0)
    trained = LSTMAutoencoder(3, units=4, decoder="reversed_input", missing="mask", **QUICK)
    return runtime.Model(redraw(trained.fit(Windows(series, 8))).contents())


def filled(found, stop, start=0):
    """Values of pieces that follow one another, in one array, padded with NaN."""
    found = list(found)
    assert len(found) > 1
    assert [one.start for one in found] == [start, *[one.stop for one in found[:-1]]]
    assert found[-1].stop == stop
    if found[0].values.ndim == 1:
        return np.concatenate([one.values for one in found])
    longest = max(one.values.shape[1] for one in found)
    whole = np.full((stop - start, longest, *found[0].values.shape[2:]), np.nan)
    for one in found:
        whole[one.start - start : one.stop - start, : one.values.shape[1]] = one.values
    return whole


def check(model, method, X, **arguments):
    whole = getattr(model, method)(X, **arguments)
    if arguments.get("merge"):
        whole = np.concatenate(whole)
    found = list(model.in_pieces(method, X, **arguments))
    assert {one.values.dtype for one in found} == {whole.dtype}
    joined = filled(found, len(whole))
    if whole.dtype.kind == "f":
        np.testing.assert_allclose(joined, whole, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(joined, whole)
    first = next(model.in_pieces(method, X, start=found[-1].start, **arguments))
    assert first[:2] == found[-1][:2]
    np.testing.assert_array_equal(first.values, found[-1].values)
    assert list(model.in_pieces(method, X, start=len(whole), **arguments)) == []


@pytest.mark.usefixtures("small_pieces")
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
    ids=str,
)
def test_windows_in_pieces_equal_windows_at_once(model, method, arguments):
    rng = np.random.default_rng(1)
    series = [rng.normal(size=(n, 2)).cumsum(0) for n in (90, 9, 5, 60)]
    series[0][rng.random((90, 2)) < 0.1] = np.nan
    X = Windows(series, 8, 3, tail=True, short="keep", missing="mask")
    check(model, method, X, **arguments)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("name", "X", "methods"),
    [
        ("defaults", RAGGED, ("transform", "features", "reconstruct", "reconstruction_error")),
        ("missing, defaults", RAGGED, ("impute", "reconstruct")),
        ("composite", TWICE, ("reconstruct", "forecast", "predict")),
        ("table", rows(60), ("transform", "reconstruct", "reconstruction_error")),
        ("images", images(), ("transform", "reconstruct", "reconstruction_error")),
        ("forecaster, missing, targets", LONG, ("forecast", "predict_quantiles")),
        ("classifier, lstm", RAGGED, ("transform", "predict_proba", "predict")),
    ],
)
def test_sequences_in_pieces_equal_sequences_at_once(name, X, methods):
    model = runtime.Model(ALL[name].fit().contents())
    for method in methods:
        check(model, method, X)


@pytest.mark.usefixtures("small_pieces")
def test_an_imputed_series_has_its_given_values(model):
    series = np.random.default_rng(1).normal(size=(90, 2)).cumsum(0)
    holes = series.copy()
    holes[np.random.default_rng(2).random(series.shape) < 0.1] = np.nan
    (imputed,) = model.impute(Windows(holes, 8, missing="mask"), merge=True)
    given = ~np.isnan(holes)
    np.testing.assert_array_equal(imputed[given], series[given])
    assert np.isfinite(imputed).all()
    assert (imputed[~given] != series[~given]).all()


@pytest.mark.usefixtures("small_pieces")
def test_lengths_are_an_argument_of_methods_in_pieces(model):
    X, lengths = np.random.default_rng(2).normal(size=(30, 8, 2)), np.arange(30) % 8 + 1
    check(model, "transform", X, lengths=lengths)


def test_only_a_piece_is_in_memory(model, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_VALUES", 1 << 14)
    series = np.random.default_rng(0).normal(size=(60_000, 2))

    def peak(n):
        tracemalloc.start()
        for piece in model.in_pieces("reconstruct", Windows(series[:n], 8)):
            assert len(piece.values) <= 1024
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2_000)  # the first call imports and compiles
    assert peak(60_000) - peak(15_000) < 45_000 * series.itemsize * 2 * 8 / 2  # half of the values


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("stream", {}, "`method`"),
        ("transform", {"per": "step"}, "`in_pieces` cannot call `transform` with the argument"),
        ("transform", {"start": -1}, "`start`"),
        ("forecast", {}, "no decoder for a forecast"),
        ("predict_proba", {}, "`predict_proba` needs an EncoderClassifier"),
        ("reconstruct", {"merge": True}, "`merge` needs Windows"),
    ],
)
def test_what_cannot_be_computed_in_pieces_is_named(model, method, arguments, message):
    with pytest.raises(InputError, match=message):
        model.in_pieces(method, np.zeros((3, 8, 2)), **arguments)
