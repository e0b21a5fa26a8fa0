"""Recurrent dropout computes what Keras's does, if both are given the same mask."""

import numpy as np
import pytest
import torch
from keras import layers as L

from tests.interop.nets import data, randomised
from unspool.lstm import lstm


@pytest.mark.parametrize("backend", ["compiled", "stepwise"])
def test_h_mask_is_the_recurrent_dropout_of_keras_with_one_mask_for_all_gates(backend):
    x, mask = data(6, 9, 3), np.random.default_rng(0).choice([0, 2], (6, 5)).astype(np.float32)
    layer = L.LSTM(5, return_sequences=True, recurrent_dropout=0.5)
    layer.build(x.shape)
    randomised(layer)
    kernel, recurrent, bias = (torch.tensor(weight) for weight in layer.get_weights()[:3])
    layer.cell.get_recurrent_dropout_mask = lambda _: [torch.from_numpy(mask)] * 4
    expected = layer(x, training=True).detach().numpy()
    got, *_ = lstm(
        torch.from_numpy(x), kernel.T, recurrent.T, bias,
        h_mask=torch.from_numpy(mask), backend=backend,
    )  # fmt: skip
    assert np.abs(layer(x, training=False).detach().numpy() - expected).max() > 0.1
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", ["compiled", "stepwise"])
def test_the_mask_of_a_gru_changes_what_its_gates_read_and_not_what_it_keeps_as_in_keras(backend):
    x, mask = data(6, 9, 3), np.random.default_rng(0).choice([0, 2], (6, 5)).astype(np.float32)
    layer = L.GRU(5, return_sequences=True, recurrent_dropout=0.5)
    layer.build(x.shape)
    randomised(layer)
    kernel, recurrent, bias = (torch.tensor(weight) for weight in layer.get_weights()[:3])
    bias = torch.cat([bias[0, :10] + bias[1, :10], bias[0, 10:], bias[1, 10:]])
    layer.cell.get_recurrent_dropout_mask = lambda _: [torch.from_numpy(mask)] * 3
    expected = layer(x, training=True).detach().numpy()
    got, *_ = lstm(
        torch.from_numpy(x), kernel.T, recurrent.T, bias, cell="gru",
        h_mask=torch.from_numpy(mask), backend=backend,
    )  # fmt: skip
    assert np.abs(layer(x, training=False).detach().numpy() - expected).max() > 0.1
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-5)
