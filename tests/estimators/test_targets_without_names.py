"""Targets of data without names are labelled by their places in the data."""

import numpy as np
import pytest
from matplotlib import pyplot

from unspool import AnomalyDetector, LSTMAutoencoder, runtime
from unspool.plots import ContinuationDisplay, ReconstructionDisplay

QUICK = {"units": 4, "epochs": 2, "n_kernels": 0, "random_state": 0, "verbose": 0}
pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]


def names_in(events):
    return {name for event in events for name, _ in event.features}


def test_events_of_a_detector_name_the_features_of_the_data(tmp_path):
    series = np.random.default_rng(0).normal(size=(300, 4))
    model = LSTMAutoencoder(2, targets=(3, 2), **QUICK)
    detector = AnomalyDetector(model, window=10).fit(series)
    detector.save(tmp_path / "d.unspool")
    series[150:153, 3] = 60
    assert "feature 3" in names_in(detector.detect(series).events) <= {"feature 2", "feature 3"}
    found = runtime.load_detector(tmp_path / "d.unspool").detect(series)
    assert "feature 3" in names_in(found.events) <= {"feature 2", "feature 3"}


def test_panels_of_pictures_have_the_places_of_the_targets():
    X = np.random.default_rng(0).normal(size=(9, 8, 4))
    model = LSTMAutoencoder(2, targets=(3, 2), horizon=2, **QUICK).fit(X)
    for display in (ReconstructionDisplay, ContinuationDisplay):
        axes = display.from_estimator(model, X).ax_
        assert [one.get_ylabel() for one in axes[0]] == ["feature 3", "feature 2"]
        pyplot.close("all")
