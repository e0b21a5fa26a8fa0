"""A detector that reads a series step by step finds what it finds in the whole series."""

import functools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.anomaly.detectors import MODELS, detector, waves
from unspool import AnomalyDetector, runtime
from unspool.errors import NoBetterThanMeanWarning, ThresholdWarning

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
MASKED = [name for name in MODELS if "probabilities" not in name]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
GLITCHES = (1e3, -1e10, 1e300, 0.0)
# The response of a random kernel to equal steps is 0 but for rounding, which is that of their
# size. At the first step of a window a kernel reads nothing but this step, so a huge value there
# has a response of thousands with a random sign, which differs between PyTorch and NumPy.
GLITCHES_FOR_KERNELS = (100.0, -100.0, 0.0)


@functools.lru_cache(maxsize=64)
def fitted(name, window, dilation, threshold, missing):
    model = MODELS[name]()
    if missing == "mask":
        model.set_params(missing="mask")
    options = {"rate": 0.3, "period": 9, "memory": 9, "missing": missing}
    found = detector(model, window=window, dilation=dilation, threshold=threshold, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBetterThanMeanWarning)
        warnings.simplefilter("ignore", ThresholdWarning)
        return found.fit(waves(130))


detectors = st.builds(
    fitted,
    st.sampled_from(sorted(MASKED)),
    st.sampled_from((1, 2, 5, 8)),
    st.sampled_from((1, 1, 2, 3)),
    st.sampled_from(("quantile", "pareto", "alarms", "moving")),
    st.sampled_from(("raise", "mask")),
)


@st.composite
def series(draw, found, glitches=GLITCHES):
    """A series for a detector: up to 60 steps with glitches, missing values and outages."""
    steps = draw(st.integers(1, 60))
    values = waves(steps, seed=draw(st.integers(0, 1000))) * 1.2
    for place in draw(st.lists(st.integers(0, steps - 1), max_size=2)):
        values[place, draw(st.integers(0, 1))] = draw(st.sampled_from(glitches))
    if found.missing == "mask":
        rng = np.random.default_rng(draw(st.integers(0, 1000)))
        values[rng.random(values.shape) < draw(st.sampled_from((0.0, 0.1, 0.5)))] = np.nan
        start, length = draw(st.integers(0, steps - 1)), draw(st.sampled_from((0, 3, 20)))
        values[start : start + length] = np.nan
        if np.isnan(values).all():
            values[0] = 1.0
    return values


def series_of_close_scores(found):
    """A series whose scores differ by rounding alone between PyTorch and NumPy."""
    kernels = getattr(found.model_.module_.encoder, "kernels", None)
    return series(found, GLITCHES if kernels is None else GLITCHES_FOR_KERNELS)


def compare(expected, results, rows):
    for name, values in (
        ("score", expected.scores),
        ("threshold", expected.thresholds),
        ("contributions", expected.contributions),
    ):
        got = np.array([getattr(one, name) for one in results])
        np.testing.assert_allclose(got, values[rows], err_msg=name, **CLOSE)


@given(detectors, st.data())
def test_a_stream_has_the_scores_and_thresholds_of_the_whole_series(found, data):
    values = data.draw(series_of_close_scores(found))
    expected = found.detect(values, "trailing")
    stream = found.stream()
    compare(expected, [stream.update(step) for step in values], slice(None))


@given(detectors, st.data())
def test_a_stream_continues_from_its_state_at_any_step(found, data):
    values = data.draw(series(found))
    cut = data.draw(st.integers(0, len(values)))
    first, second = found.stream(), found.stream()
    for step in values[:cut]:
        first.update(step)
    second.restore(first.state())
    for step in values[cut:]:
        one, other = first.update(step), second.update(step)
        np.testing.assert_array_equal(one[:3], other[:3])


@given(detectors, st.data(), st.sampled_from(("window", "step", "trailing")))
def test_the_runtime_finds_what_the_detector_finds(found, data, kind):
    values = data.draw(series_of_close_scores(found))
    if kind not in found.thresholds_:
        kind = "trailing"
    expected = found.detect(values, kind)
    got = runtime.Detector(found.contents()).detect(values, kind)
    np.testing.assert_allclose(got.scores, expected.scores, **CLOSE)
    np.testing.assert_allclose(got.thresholds, expected.thresholds, **CLOSE)
    np.testing.assert_allclose(got.contributions, expected.contributions, **CLOSE)


@given(detectors, st.data())
def test_several_series_have_the_scores_that_each_has_alone(found: AnomalyDetector, data):
    several = [data.draw(series(found)) for _ in range(2)]
    for kind in ("trailing", *set(found.thresholds_) & {"window", "step"}):
        together = found.anomaly_scores(several, kind)
        for one, scores in zip(several, together, strict=True):
            np.testing.assert_allclose(scores, found.anomaly_scores(one, kind), **CLOSE)
