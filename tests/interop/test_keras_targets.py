"""Targets and quantities of `y` in Keras models."""

import keras
import numpy as np
import pytest

from tests.interop.test_onnx_targets import close, given
from tests.trained import ALL, FUTURE, RAGGED, Case, forecaster, lstm
from unspool.blueprint import DECODERS
from unspool.errors import InputError
from unspool.interop.keras import to_keras

CASES = {
    **{
        name: Case(lstm(decoder=name, targets=(2, 0)), RAGGED)
        for name in (*DECODERS, "dense")
        if "previous" not in name
    },
    "rows": ALL["dense rows, targets"],
    "images": ALL["images, targets"],
}


@pytest.mark.parametrize("name", CASES)
def test_keras_reconstructs_and_forecasts_the_targets(name):
    case = CASES[name]
    model = case.fit()
    X, values, lengths = given(case, model)
    real = np.arange(values.shape[1]) < np.asarray(lengths)[:, None]
    x = np.where(real[:, :, None], values, model.scaler_.shift)
    exported = to_keras(model)
    inputs = [x.reshape(len(x), *exported.inputs[0].shape[1:])]
    if len(exported.inputs) > 1:
        inputs.append(real)
    if len(exported.inputs) > 2:
        backwards = np.broadcast_to(model.scaler_.shift, x.shape).copy()
        for row, one, length in zip(backwards, values, lengths, strict=True):
            row[:length] = one[:length][::-1]
        inputs.append(backwards)
    got = keras.ops.convert_to_numpy(exported(inputs if len(inputs) > 1 else inputs[0]))
    expected = model.reconstruct(X)
    if got.ndim == 3:
        got = np.where(np.isnan(expected), np.nan, got)
    close(expected, got, model.target_scaler_)


def test_keras_refuses_features_that_are_known_ahead():
    model = ALL["forecaster, dense, known"].train(normalization="none")
    with pytest.raises(InputError, match=r"known ahead .* export to ONNX"):
        to_keras(model)
    assert to_keras(model, part="encoder").output_shape == (None, 5)


def test_keras_forecasts_quantities_of_their_own():
    case = Case(forecaster(horizon=None), RAGGED, 10 + FUTURE[:, 0, 0])
    model = case.fit()
    X, values, lengths = given(case, model)
    real = np.arange(values.shape[1]) < lengths[:, None]
    got = to_keras(model)([np.where(real[:, :, None], values, model.scaler_.shift), real])
    close(model.predict(X), keras.ops.convert_to_numpy(got), model.target_scaler_)
