"""Messages of estimators that no other test compares."""

import warnings

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from unspool import (
    AnomalyDetector,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    Windows,
)
from unspool._loss_parameter import read_loss
from unspool.anomaly import GlobalZ, MovingZ
from unspool.errors import InputError, NoBetterThanMeanWarning, OverlapWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
QUICK = {"epochs": 1, "random_state": 0, "verbose": 0, "validation_split": 0.0}
X = np.random.default_rng(0).normal(size=(12, 6, 2)).cumsum(1)
SERIES = np.sin(np.arange(200)[:, None] / [3, 5])
WIDE = np.ones((12, 2, 3))  # a `y` of three quantities


def lstm(**parameters):
    return LSTMAutoencoder(2, **QUICK, **parameters)


def dense(**parameters):
    return DenseAutoencoder(2, **QUICK, **parameters)


def forecaster(horizon=2, **parameters):
    return LSTMForecaster(2, horizon=horizon, **QUICK, **parameters)


def detector(model=None, window=8, **parameters):
    return AnomalyDetector(model, window=window, random_state=0, verbose=0, **parameters)


def loss_of_steps(predicted, target):
    return ((predicted - target) ** 2).mean(-1)


QUANTITY = "`y` is a quantity that is no feature of `X`, because it has another width"
OUT = np.where(np.arange(200)[:, None] == 9, np.inf, SERIES)
NO_NORMAL = np.where(np.arange(200)[:, None] > 150, np.nan, SERIES)
CASES = {
    "a frozen model that is not fitted": (
        lambda: detector(FrozenEstimator(dense())).fit(SERIES),
        "`model` is a FrozenEstimator, which must hold a fitted unspool model.",
    ),
    "a model that is none": (
        lambda: detector("x").fit(SERIES),
        "`model` must be an unspool autoencoder or forecaster, a baseline of unspool.anomaly, or "
        "None, got 'x'.",
    ),
    "a baseline and missing values": (
        lambda: detector(GlobalZ(), missing="mask").fit(SERIES),
        "`missing` 'mask' needs a `model` with missing='mask' or None, got GlobalZ(); baselines do "
        "not accept missing values.",
    ),
    "a baseline in a file": (
        lambda: detector(MovingZ()).fit(SERIES).contents(),
        "A detector with the model MovingZ cannot be saved, because model files only hold unspool "
        "models; pickle it, or fit it again.",
    ),
    "one step": (
        lambda: detector(dense(), window=1).fit(SERIES[:1]),
        "Expected more steps, got n_samples=1; `calibration_split` 0.2 leaves none to train on; "
        "give more normal data.",
    ),
    "a series without a window to train on": (
        lambda: detector(forecaster(4)).fit(SERIES[:13]),
        "Expected a series of at least 12 training steps (a window and its forecast), got at most "
        "10 without the held-out part; give longer series, or set a smaller `window`.",
    ),
    "a detector that reads later steps": (
        lambda: detector(forecaster(1, targets=(0,), known=(1,))).fit(SERIES),
        "A detector scores a step from the steps before it, but this `model` reads features of "
        "later steps (`known`); set known=().",
    ),
    "a second series without steps": (
        lambda: detector(dense()).fit(SERIES).detect([SERIES, SERIES[:0]]),
        "Expected at least one step, got 0 sample(s) in series 1.",
    ),
    "infinity in a series": (
        lambda: detector(dense()).fit(SERIES).detect(OUT),
        "Expected finite numbers, got inf (NaN or infinity) at step 9, feature 0; fill or drop "
        "such steps.",
    ),
    "held-out data without values": (
        lambda: detector(dense(missing="mask"), missing="mask").fit(NO_NORMAL),
        "All values of the held-out data are missing, so no normal error can be learned; hold out "
        "more data, or give `calibration` data with values.",
    ),
    "alarms without a period": (
        lambda: detector(threshold="alarms").fit(SERIES),
        "`threshold` 'alarms' needs `period`, the number of steps in which `rate` false alarms are "
        "allowed.",
    ),
    "too much contamination": (
        lambda: detector(contamination=0.7).fit(SERIES),
        "contamination must be in (0, 0.5] or 'auto', got 0.7.",
    ),
    "other layers than before": (
        lambda: lstm(warm_start=True).fit(X).set_params(latent_dim=3).fit(X),
        "The model has other layers than the model after the last fit, from which it starts: "
        "`latent_dim` is 3, but 2 there; set the same parameters, or set warm_start=False.",
    ),
    "a start that was fitted with `y`": (
        lambda: forecaster().fit(X, initial=forecaster().fit(X, X[:, :2])),
        "The model to start from was fitted with `y`; give the steps that follow each sequence of "
        "`X` as `y`.",
    ),
    "no labels": (
        lambda: EncoderClassifier(dense()).fit(Sequences(X[:0]), []),
        "Expected at least one sequence with a label, got none.",
    ),
    "weights of features and a loss of steps": (
        lambda: lstm(loss=loss_of_steps, feature_weight=(1, 2)).fit(X),
        "The loss function 'loss_of_steps' returns one loss for each step, so `feature_weight` "
        "cannot weigh the features; leave it out, or return a loss for each value.",
    ),
    "two losses of a feature": (
        lambda: lstm(loss={0: "mae", (0, 1): "mse"}).fit(X),
        "`loss` has two losses for feature 0; give each feature one.",
    ),
    "a category of one column": (
        lambda: read_loss({0: "categorical_crossentropy"}, 2),
        "`loss` 'categorical_crossentropy' needs the columns of a category, at least two, got 0; "
        "use 'binary_crossentropy' for a single column.",
    ),
    "a cross-entropy without an output layer": (
        lambda: lstm(loss={0: "binary_crossentropy"}, head_units=None).fit(X),
        "`head_units` None removes the output layer, but a cross-entropy in `loss` needs one with "
        "its own activation; set head_units=().",
    ),
    "normalised targets": (
        lambda: lstm(normalization="standard", targets=(0,)).fit(X),
        "A model with `targets` cannot normalise each sequence, got normalization='standard'; set "
        "normalization='none' or targets=None.",
    ),
    "a linear map of a quantity": (
        lambda: forecaster(targets="y", linear_steps=3).fit(X, WIDE),
        "`linear_steps` maps the last steps of a feature to its next steps, which a quantity that "
        "is no feature does not have (targets='y'); set linear_steps='auto' or 0, got 3.",
    ),
    "a linear map of a wide y": (
        lambda: forecaster(linear_steps=2).fit(X, WIDE),
        f"{QUANTITY}, and it has no last steps that `linear_steps` could read; set "
        "linear_steps='auto' or 0, got 2.",
    ),
    "a loss by feature of a wide y": (
        lambda: forecaster(loss={0: "mae"}).fit(X, WIDE),
        f"{QUANTITY}, but `loss` describes features of `X`; set one loss for `y`.",
    ),
    "every step of a wide y": (
        lambda: forecaster(every_step=True, pooling="last", decoder="repeat").fit(X, WIDE),
        f"{QUANTITY}, and `every_step` needs the steps that follow; set every_step=False.",
    ),
    "a checkpoint that is no path": (
        lambda: lstm().fit(X, checkpoint=3),
        "`checkpoint` must be the path of a file or None, got 3.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_said_in_full(name):
    make, message = CASES[name]
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_a_class_without_windows_that_overlap_no_other_group_cannot_be_trained():
    one, two = SERIES[:14], SERIES[:40]
    windows = Windows([one, two], 6)
    owner, start = windows.place(np.arange(len(windows)))
    groups = np.where(owner == 0, start % 2, 2 + start // 12)
    parameters = {**QUICK, "validation_split": 0.3}
    with pytest.raises(InputError) as caught:
        EncoderClassifier(dense(), **parameters).fit(windows, owner, groups=groups)
    assert str(caught.value) == (
        "`groups` leaves no sequence of some class to train on, because windows of other groups "
        "overlap them; give all windows of a series the same group, or set validation_split=0."
    )


def test_what_is_neither_a_series_nor_sequences_is_shown():
    found = detector(dense()).fit(SERIES)
    with pytest.raises(
        InputError, match=r"^Expected a series as \(T, F\), a list of those, or seq"
    ):
        found.detect(X[None])


def test_validation_data_that_occur_in_the_training_data_are_counted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBetterThanMeanWarning)
        with pytest.warns(OverlapWarning) as caught:
            lstm().fit(X, validation_data=X[:3])
    (warning,) = caught
    assert str(warning.message) == (
        "3 of 3 sequences of `validation_data` that were checked occur in `X` too, so the "
        "validation loss says little about other sequences; remove them from one of the two."
    )
