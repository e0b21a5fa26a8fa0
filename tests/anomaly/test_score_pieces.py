"""Scores in pieces equal those of the whole series, wherever the pieces begin."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from unspool import AnomalyDetector, DenseAutoencoder, LSTMAutoencoder, LSTMForecaster, runtime
from unspool.anomaly import SubPCA, score_pieces
from unspool.data import stored
from unspool.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning"),
]
QUICK = {"epochs": 1, "verbose": 0, "random_state": 0, "steps_per_epoch": 3}
RNG = np.random.default_rng(0)
SERIES = (np.sin(np.arange(760) / 6)[:, None] + RNG.normal(size=(760, 2)) / 5).astype(np.float32)
HOLES = SERIES.copy()
HOLES[RNG.random(SERIES.shape) < 0.05] = np.nan
for start, length in ((233, 9), (390, 130), (631, 2), (750, 10)):
    HOLES[start : start + length] = np.nan


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(score_pieces, "PIECE_VALUES", 1)
    monkeypatch.setattr(score_pieces, "CONTEXTS", 1)


def detector(model=None, **more):
    model = LSTMAutoencoder(3, units=4, **QUICK) if model is None else model
    return AnomalyDetector(model, **{"window": 8, "random_state": 0, **more})


DETECTORS = {
    "windows": (lambda: detector().fit(SERIES), SERIES),
    "forecasts": (lambda: detector(LSTMForecaster(3, units=4, **QUICK)).fit(SERIES), SERIES),
    "dilation": (lambda: detector(dilation=3, window=6).fit(SERIES), SERIES),
    "outages": (
        lambda: detector(LSTMAutoencoder(3, units=4, missing="mask", **QUICK), missing="mask").fit(
            HOLES
        ),
        HOLES,
    ),
}


def together(pieces, n, start=0):
    """Pieces as one array, after a check that they follow one another to the end."""
    found = []
    for piece in pieces:
        assert (piece.start, len(piece.values)) == (start, piece.stop - piece.start)
        found.append(piece.values)
        start = piece.stop
    assert start == n
    return np.concatenate(found)


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_in_pieces_are_those_of_the_whole_series(name):
    fit, series = DETECTORS[name]
    fitted = fit()
    light = runtime.Detector(fitted.contents())
    for kind in fitted.thresholds_:
        whole = fitted.anomaly_scores(series, kind)
        pieces = list(fitted.in_pieces("anomaly_scores", series, kind))
        assert len(pieces) > 5
        np.testing.assert_allclose(together(pieces, len(series)), whole, rtol=1e-5, atol=1e-7)
        stop = pieces[2].stop
        rest = fitted.in_pieces("anomaly_scores", series, kind, start=stop)
        np.testing.assert_array_equal(
            together(rest, len(series), stop), together(pieces, len(series))[stop:]
        )
    found = together(light.in_pieces("anomaly_scores", series, "step"), len(series))
    whole = fitted.anomaly_scores(series, "step")
    np.testing.assert_allclose(found, whole, rtol=1e-3, atol=1e-5)
    for method in ("score_samples", "decision_function", "predict"):
        found = together(fitted.in_pieces(method, series), len(series))
        np.testing.assert_allclose(found, getattr(fitted, method)(series), rtol=1e-5, atol=1e-6)


def test_steps_of_several_series_with_gaps_in_time_follow_one_another():
    times = pd.date_range("2024-01-01", periods=500, freq="min").to_numpy().copy()
    times[200:] += np.timedelta64(1, "D")
    times[303:] += np.timedelta64(1, "D")
    frames = [
        pd.DataFrame(SERIES[:500], index=times, columns=["a", "b"]),
        pd.DataFrame(SERIES[500:505], index=times[:5], columns=["a", "b"]),
        pd.DataFrame(SERIES[505:760], index=times[100:355], columns=["a", "b"]),
    ]
    fitted = detector(max_gap="10min").fit(frames)
    whole = np.concatenate(fitted.anomaly_scores(frames))
    found = together(fitted.in_pieces("anomaly_scores", frames), 760)
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-7)


def test_sequences_are_scored_in_pieces():
    X = SERIES[:750].reshape(75, 10, 2)
    fitted = AnomalyDetector(DenseAutoencoder(3, **QUICK), random_state=0).fit(X)
    found = together(fitted.in_pieces("anomaly_scores", X), 75)
    np.testing.assert_allclose(found, fitted.anomaly_scores(X), rtol=1e-5)


def test_a_mapped_file_is_scored_in_a_part_of_its_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)
    monkeypatch.setattr(score_pieces, "PIECE_VALUES", 1 << 16)
    fitted = detector(DenseAutoencoder(3, **QUICK)).fit(SERIES)
    np.save(tmp_path / "x.npy", np.tile(SERIES, (200, 1)))
    there = np.load(tmp_path / "x.npy", mmap_mode="r")
    list(fitted.in_pieces("anomaly_scores", there[:760]))  # loads modules
    peaks = {}
    for steps in (50_000, len(there)):
        tracemalloc.start()
        for piece in fitted.in_pieces("anomaly_scores", there[:steps]):
            last = piece
        peaks[steps] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    whole = fitted.anomaly_scores(np.array(there[-3000:]))[-len(SERIES) :]
    assert last.stop == len(there)
    np.testing.assert_allclose(last.values[-len(SERIES) :], whole, rtol=1e-5, atol=1e-7)
    assert peaks[len(there)] < 1.2 * peaks[50_000]


def test_a_value_that_is_not_finite_is_named_by_its_step_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)
    series = SERIES.copy()
    series[577, 1] = np.nan
    np.save(tmp_path / "x.npy", series)
    fitted = detector(DenseAutoencoder(3, **QUICK)).fit(SERIES)
    there = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(InputError, match=r"at step 577, feature 1;"):
        list(fitted.in_pieces("anomaly_scores", there))


def test_what_cannot_be_computed_in_pieces_is_refused():
    fitted = detector(DenseAutoencoder(3, **QUICK)).fit(SERIES)
    with pytest.raises(InputError, match="unknown `method` 'detect'"):
        fitted.in_pieces("detect", SERIES)
    with pytest.raises(InputError, match="unknown `kind` 'steps'"):
        fitted.in_pieces("anomaly_scores", SERIES, "steps")
    with pytest.raises(InputError, match="Expected series, as in `fit`, got sequences"):
        fitted.in_pieces("anomaly_scores", SERIES.reshape(76, 10, 2))
    with pytest.raises(InputError) as error:
        fitted.in_pieces("predict", SERIES, "step")
    assert str(error.value) == (
        "`kind` is an argument of `anomaly_scores`, not of `predict`; leave it out."
    )
    simple = AnomalyDetector(SubPCA(), window=8, random_state=0).fit(SERIES)
    with pytest.raises(InputError) as error:
        simple.in_pieces("predict", SERIES)
    assert str(error.value) == (
        "SubPCA may read the whole series for a score, so `in_pieces` cannot call it; call "
        "`predict`."
    )
