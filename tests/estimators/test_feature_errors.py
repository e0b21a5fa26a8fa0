"""Reconstruction errors by feature, for sequences, windows, rows and images."""

import warnings

import numpy as np
import pytest
import torch

from tests.trained import AUTOENCODERS, FEATURES, RAGGED, STEPS, Case, images, lstm, rows
from unspool import Windows, runtime
from unspool.errors import InputError

BOTH = ("step", "feature")
LOSSES = {
    "mse": torch.nn.MSELoss(reduction="none"),
    "mae": torch.nn.L1Loss(reduction="none"),
    "huber": torch.nn.HuberLoss(reduction="none"),
}


def scaled(model, values):
    return torch.from_numpy((values - model.scaler_.shift) / model.scaler_.scale)


@pytest.mark.parametrize("loss", LOSSES)
def test_errors_of_steps_and_features_are_those_of_torch(loss):
    model = AUTOENCODERS["repeat"].train(loss=loss)
    real = np.arange(STEPS) < RAGGED.lengths[:, None]
    expected = LOSSES[loss](
        scaled(model, model.reconstruct(RAGGED)[real]), scaled(model, RAGGED.values[real])
    )
    errors = model.reconstruction_error(RAGGED, per=BOTH)
    assert errors.shape == (len(RAGGED), STEPS, FEATURES)
    np.testing.assert_allclose(errors[real], expected, rtol=1e-4, atol=1e-6)
    assert np.isnan(errors[~real]).all()


def test_binary_crossentropy_has_errors_by_feature():
    X = images()
    model = AUTOENCODERS["images"].train(
        loss="binary_crossentropy", output_activation="sigmoid", scaling="none"
    )
    errors = model.reconstruction_error(X, per=BOTH)
    p = model.reconstruct(X)
    np.testing.assert_allclose(errors, -X * np.log(p) - (1 - X) * np.log(1 - p), rtol=1e-4)


# A category counts once in the errors of steps: see test_loss_by_feature.
@pytest.mark.parametrize("name", [name for name in AUTOENCODERS if "loss by feature" not in name])
def test_means_over_features_and_steps_are_the_other_errors(name):
    model, X = AUTOENCODERS[name].fit(), AUTOENCODERS[name].X
    errors = {
        per: model.reconstruction_error(X, per=per) for per in ("sequence", "step", "feature", BOTH)
    }
    features = errors[BOTH].shape[-1]
    assert errors[BOTH].shape == (*errors["step"].shape, features)
    assert errors["feature"].shape == (len(X), features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing but NaN
        np.testing.assert_allclose(np.nanmean(errors[BOTH], axis=-1), errors["step"], rtol=1e-12)
        whole = np.nanmean(errors[BOTH].reshape(len(X), -1), axis=1)
    np.testing.assert_allclose(whole, errors["sequence"], rtol=1e-12)
    if model.missing == "raise":
        np.testing.assert_allclose(errors["feature"].mean(axis=-1), errors["sequence"], rtol=1e-12)
    steps = errors[BOTH].reshape(len(X), -1, features)
    some = ~np.isnan(errors["sequence"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        means = np.nanmean(steps[some], axis=1)
    np.testing.assert_allclose(means, errors["feature"][some], rtol=1e-12)
    assert np.isnan(errors["feature"][~some]).all()


@pytest.mark.parametrize(
    ("name", "X", "by_step", "features"),
    [
        ("images", images(), (11, 7, 5), 2),
        ("flat images", images(shape=(24,)), (11, 6, 4), 1),
        ("dense rows", rows(), (20, 1), 6),
        ("table", rows(), (20, 6), 1),
    ],
)
def test_features_are_channels_of_images_and_columns_of_rows(name, X, by_step, features):
    model = AUTOENCODERS[name].fit()
    assert model.reconstruction_error(X, per="feature").shape == (len(X), features)
    assert model.reconstruction_error(X, per=BOTH).shape == (*by_step, features)


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_merged_into_errors_of_the_features_of_their_series(stride):
    model = AUTOENCODERS["repeat"].fit()
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(length, FEATURES)) for length in (20, 9, 13)]
    windows = Windows(series, 8, stride)
    merged = model.reconstruction_error(windows, per=BOTH, merge=True)
    by_window = model.reconstruction_error(windows, per=BOTH)
    first = 0
    for one, errors in zip(series, merged, strict=True):
        assert errors.shape == one.shape
        starts = range(0, len(one) - 8 + 1, stride)
        for step in range(len(one)):
            covering = [
                by_window[first + i, step - start]
                for i, start in enumerate(starts)
                if start <= step < start + 8
            ]
            expected = np.mean(covering, axis=0) if covering else np.full(FEATURES, np.nan)
            np.testing.assert_allclose(errors[step], expected, rtol=1e-12)
        first += len(starts)
    by_step = model.reconstruction_error(windows, per="step", merge=True)
    for errors, means in zip(merged, by_step, strict=True):
        np.testing.assert_allclose(errors.mean(axis=1), means, rtol=1e-12)
    light = runtime.Model(model.contents()).reconstruction_error(windows, per=BOTH, merge=True)
    for errors, others in zip(merged, light, strict=True):
        np.testing.assert_allclose(others, errors, rtol=1e-4, atol=1e-5)


def test_an_error_in_one_feature_is_found_in_this_feature():
    model = AUTOENCODERS["repeat"].train()
    X = RAGGED.values[RAGGED.lengths == STEPS]
    broken = X.copy()
    broken[:, :, 1] += 100 * model.scaler_.scale[1]
    errors = model.reconstruction_error(broken, per="feature")
    assert (errors.argmax(axis=1) == 1).all()
    assert (errors[:, 1] > 1000 * errors[:, [0, 2]].max(axis=1)).all()


def refusal(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    return str(caught.value)


@pytest.mark.parametrize("per", ["feature", BOTH])
def test_a_loss_of_whole_steps_has_no_errors_by_feature(per):
    X = np.eye(3)[np.random.default_rng(0).integers(0, 3, (20, 9))]
    parameters = {"loss": "categorical_crossentropy", "output_activation": "softmax"}
    model = Case(lstm(**parameters, scaling="none"), X).train()
    for one in (model, runtime.Model(model.contents())):
        assert one.reconstruction_error(X, per="step").shape == (20, 9)
        assert refusal(one.reconstruction_error, X, per=per) == (
            "The loss 'categorical_crossentropy' has one value for all features of a step, so "
            "there are no errors by feature; use per='step'."
        )


@pytest.mark.parametrize("per", ["features", ("feature", "step"), ["step", "feature"], (), None])
def test_any_other_per_is_refused(per):
    model = AUTOENCODERS["repeat"].fit()
    for one in (model, runtime.Model(model.contents())):
        assert refusal(one.reconstruction_error, RAGGED, per=per) == (
            f"`per` must be 'sequence', 'step', 'feature' or ('step', 'feature'), got {per!r}."
        )


@pytest.mark.parametrize("per", ["sequence", "feature"])
def test_merge_needs_errors_of_steps(per):
    model = AUTOENCODERS["repeat"].fit()
    windows = Windows(np.zeros((20, FEATURES)), 8)
    assert refusal(model.reconstruction_error, windows, per=per, merge=True) == (
        "`merge` averages errors of steps; set per='step' or per=('step', 'feature')."
    )
