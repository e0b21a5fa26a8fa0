"""Forecasters of a `y` that is no feature of `X`: regressors of sequences."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from unspool import LSTMForecaster, load, runtime
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 6, 3)) * [1, 10, 100] + [5, 50, 500]
Y = 1000 + 20 * (X[:, :, 0].mean(1) - 5) + 2 * (X[:, :, 1].mean(1) - 50)


def quick(**parameters):
    given = {"latent_dim": 8, "epochs": 40, "dropout": 0.0, "random_state": 0, "verbose": 0}
    return LSTMForecaster(**{**given, **parameters})


def test_a_quantity_is_predicted_in_its_units():
    model = quick().fit(X[:150], Y[:150])
    predicted = model.predict(X[150:])
    assert predicted.shape == (50,)
    assert model.score(X[150:], Y[150:]) > 0.8
    assert abs(predicted.mean() - 1000) < 10
    assert model.module_.skip is None
    assert model.module_.encoder.normalization == "none"
    assert model.targets_ == ()
    np.testing.assert_allclose(model.target_scaler_.shift, Y[:150].mean())
    np.testing.assert_allclose(model.target_scaler_.scale, Y[:150].std())


@pytest.mark.parametrize(
    ("y", "shape"),
    [
        (Y, (200,)),
        (np.stack([Y, Y + 1], 1), (200, 2)),
        (np.stack([Y, Y / 1e3], 1)[:, None], (200, 1, 2)),
        (np.zeros((200, 4, 1)) + Y[:, None, None], (200, 4, 1)),
    ],
    ids=["number", "steps", "quantities", "steps of one"],
)
def test_predictions_have_the_shape_of_y(y, shape, tmp_path):
    model = quick(epochs=1).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == shape
    assert np.isfinite(model.score(X, y))
    model.save(tmp_path / "model.unspool")
    np.testing.assert_array_equal(load(tmp_path / "model.unspool").predict(X), predicted)
    alone = runtime.load(tmp_path / "model.unspool")
    np.testing.assert_allclose(alone.predict(X), predicted, rtol=1e-4)
    assert alone.score(X, y) == pytest.approx(model.score(X, y), abs=1e-4)


def test_one_step_of_several_quantities_is_a_table():
    y = np.stack([Y, Y / 1e3], 1)
    model = quick(horizon=1, epochs=30).fit(X, y)
    assert model.predict(X).shape == (200, 2)
    assert model.score(X, y) > 0.5
    np.testing.assert_allclose(model.target_scaler_.scale, y.std(0))


def test_a_quantity_of_one_sensor_has_to_be_announced():
    one = X[..., :1]
    assert quick(epochs=1, targets="y").fit(one, Y).targets_ == ()
    assert quick(epochs=1).fit(one, Y).targets_ == (0,)


def test_quantiles_and_validation_data_of_a_quantity():
    model = quick(quantiles=(0.1, 0.9)).fit(X[:100], Y[:100], validation_data=(X[100:], Y[100:]))
    assert "val_loss" in model.history_
    low, high = model.predict_quantiles(X[100:])[:, 0, 0].T
    share = ((low <= Y[100:]) & (Y[100:] <= high)).mean()
    assert 0.4 < share <= 1


def test_scikit_learn_scores_the_regressor_and_can_compare_it_with_others():
    scores = cross_val_score(quick(epochs=30), X, Y, cv=3)
    assert scores.min() > 0.3
    flat = X.reshape(200, -1)
    assert LinearRegression().fit(flat, Y).score(flat, Y) == pytest.approx(1)


def test_what_does_not_apply_to_a_quantity_is_refused():
    with pytest.raises(InputError, match="set linear_steps='auto' or 0, got 4"):
        quick(linear_steps=4).fit(X, Y)
    with pytest.raises(InputError, match="set every_step=False"):
        quick(every_step=True, bidirectional=False).fit(X, Y)
    model = quick(epochs=1).fit(X, Y)
    with pytest.raises(InputError, match="give it as `y`"):
        model.score(X)
    with pytest.raises(InputError, match="needs forecasts of all features"):
        model.generate(X, 3)


@pytest.mark.parametrize("y", [Y, np.stack([Y, Y + 9], 1)[:, :, None]], ids=["number", "steps"])
def test_a_weight_of_n_counts_like_n_copies_of_a_quantity(y):
    """In its scaling too: the sequences of weight 0 have quantities of another size."""
    copies = np.arange(len(y)) % 3
    y = np.where(copies.reshape(-1, *[1] * (y.ndim - 1)) == 0, 1e5, y)
    model = quick(
        targets="y", epochs=3, batch_size=999, validation_split=0, code_dropout=0, patience=None
    )
    weighted = model.fit(X, y, sample_weight=copies)
    scaler, losses = weighted.target_scaler_, weighted.history_["loss"]
    model.fit(np.repeat(X, copies, axis=0), np.repeat(y, copies, axis=0))
    np.testing.assert_allclose(scaler.shift, model.target_scaler_.shift)
    np.testing.assert_allclose(scaler.scale, model.target_scaler_.scale)
    np.testing.assert_allclose(losses, model.history_["loss"], rtol=1e-4)


def test_a_quantity_is_clipped_in_training():
    outlier = Y.copy()
    outlier[3] = 5000
    model = quick(targets="y", epochs=2, validation_split=0, clip=2.0).fit(X, outlier)
    scaler, losses = model.target_scaler_, model.history_["loss"]
    assert outlier[3] > scaler.shift[0] + 2 * scaler.scale[0]
    assert losses[0] < (2 * 3) ** 2 / 200 + 2
    unclipped = quick(targets="y", epochs=2, validation_split=0).fit(X, outlier)
    assert losses[0] < 0.5 * unclipped.history_["loss"][0]


def test_a_loss_function_is_checked_on_the_quantity():
    shapes = []

    def squares(prediction, target):
        shapes.append(tuple(target.shape[1:]))
        return (prediction - target) ** 2

    quick(targets="y", epochs=1, loss=squares).fit(X, Y)
    assert set(shapes) == {(1, 1)}
