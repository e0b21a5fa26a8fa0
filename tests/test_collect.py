"""Errors and scores of the outputs of models; results of real models are tested elsewhere."""

import numpy as np
import pytest
import torch

from unspool import Sequences, _losses
from unspool._scores import scores
from unspool.data.scaling import Scaler
from unspool.nn import losses

RNG = np.random.default_rng(0)
TARGET = RNG.uniform(size=(4, 5, 3)).astype(np.float32)
INSIDE = RNG.uniform(0.001, 0.999, size=(4, 5, 3)).astype(np.float32)
OUTSIDE = np.resize(np.float32([-2, -1e-3, 0, 1e-9, 1, 1.001, 3]), (4, 5, 3))


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("prediction", [INSIDE, 4 * INSIDE - 2, OUTSIDE], ids=["in", "far", "edge"])
def test_every_loss_is_the_one_that_is_trained_on(name, prediction):
    assert set(_losses.LOSSES) == set(losses.LOSSES)
    expected = losses.LOSSES[name](torch.from_numpy(prediction), torch.from_numpy(TARGET))
    np.testing.assert_allclose(
        _losses.LOSSES[name](prediction, TARGET), expected, rtol=2e-6, atol=2e-6
    )


def test_an_error_of_a_step_is_a_mean_over_features_or_the_loss_of_the_step():
    for name in _losses.LOSSES:
        values = _losses.LOSSES[name](INSIDE, TARGET).astype(np.float64)
        by_step = values.sum(2) if name == "categorical_crossentropy" else values.mean(2)
        np.testing.assert_allclose(_losses.step_errors(INSIDE, TARGET, name), by_step, rtol=1e-6)


def test_explained_is_one_minus_the_share_of_the_squared_error():
    X = Sequences(RNG.normal(5, 3, size=(6, 7, 2)), [7, 0, 3, 5, 7, 1])
    scaler = Scaler(np.array([4.0, 5.0]), np.array([2.0, 3.0]))
    values, lengths = X.take(np.arange(6))
    x = scaler.apply(values)
    again = x + RNG.normal(size=x.shape).astype(np.float32)
    real = np.arange(7) < lengths[:, None]
    missed = ((again - x)[real] ** 2).sum()
    spread = ((x[real] - x[real].mean(axis=0)) ** 2).sum()
    halves = [np.arange(3), np.arange(3, 6)]
    got = scores(X, ((rows, x[rows], again[rows]) for rows in halves), scaler)
    assert got.explained == pytest.approx(1 - missed / spread, rel=1e-5)
    by_step = 0.0
    for t in range(7):
        reached = x[lengths > t, t].astype(np.float64)
        by_step += ((reached - reached.mean(axis=0)) ** 2).sum()
    assert got.skill == pytest.approx(1 - missed / by_step, rel=1e-5)
    assert got.skill < got.explained


def scores_of(values, again):
    scaler = Scaler(np.zeros(1), np.ones(1))
    X = Sequences(np.asarray(values, np.float64)[:, :, None])
    x = scaler.apply(X.take(np.arange(len(X)))[0])
    guess = np.broadcast_to(np.asarray(again, np.float32)[..., None], x.shape)
    return scores(X, [(np.arange(len(X)), x, guess)], scaler)


CURVES = np.sin(np.arange(9)) + RNG.normal(0, 0.1, size=(6, 9))


def test_the_mean_sequence_has_no_skill_and_may_explain_most():
    got = scores_of(CURVES, CURVES.mean(axis=0))
    assert got.skill == pytest.approx(0, abs=1e-5)
    assert got.explained > 0.95
    assert scores_of(CURVES, CURVES) == (1, 1)
    assert scores_of(CURVES, np.full(9, CURVES.mean())).explained == pytest.approx(0, abs=1e-5)


def test_skill_where_rounding_alone_differs():
    same = Sequences(np.full((5, 9, 1), 1000.3))
    x = np.full((5, 9, 1), 1000.3, np.float32)
    x[2] = np.nextafter(x[2], np.float32(np.inf))
    piece = (np.arange(5), x, x + np.float32(1))
    assert scores(same, [piece], Scaler(np.zeros(1), np.ones(1))).skill == 0


def test_skill_where_nothing_differs():
    same = np.tile(0.1 * np.arange(9) + 1000.3, (7, 1))
    assert scores_of(same, same) == (1, 1)
    assert scores_of(same, same + 1).skill == 0
    one = scores_of(same[:1], same[:1] + 0.01)
    assert np.isnan(one.skill)
    assert np.isfinite(one.explained)
