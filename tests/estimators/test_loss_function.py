"""A loss function that a user wrote: training, checks, files and the runtime."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.nn import functional

import unspool
from tests.trained import LONG, QUICK, RAGGED, Case, forecaster, lstm
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    StackedAutoencoder,
    runtime,
)
from unspool.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::unspool.errors.{name}Warning")
    for name in ("NoBetterThanMean", "Threshold")
]


def squares(prediction, target):
    return (prediction - target) ** 2


def steps(prediction, target):
    return ((prediction - target) ** 2).mean(-1)


def relative(prediction, target):
    return (prediction - target).abs() / (1 + target.abs())


def root(prediction, target):
    """Its gradient is infinite, or NaN, where predictions equal targets, as in the padding."""
    return ((prediction - target) ** 2).sum(-1).sqrt()


MODELS = {
    "lstm": Case(lstm(), RAGGED),
    "composite": Case(lstm(horizon=2), LONG),
    "forecaster": Case(forecaster(), LONG),
    "every step": Case(
        forecaster(every_step=True, bidirectional=False, decoder="repeat", pooling="last"), LONG
    ),
    "dense": Case(lambda: DenseAutoencoder(3, **QUICK), RAGGED),
    "stacked": Case(lambda: StackedAutoencoder(3, hidden_units=(4,), **QUICK), RAGGED),
    "conv": Case(lambda: ConvAutoencoder(3, filters=(2,), **QUICK), RAGGED),
}


@pytest.mark.parametrize("loss", [squares, steps, torch.nn.MSELoss(reduction="none")])
@pytest.mark.parametrize("name", MODELS)
def test_squares_train_as_mse_does(name, loss):
    expected = MODELS[name].train(epochs=3)
    model = MODELS[name].train(epochs=3, loss=loss)
    for key in {"loss", "val_loss"} & set(expected.history_):
        np.testing.assert_allclose(model.history_[key], expected.history_[key], rtol=1e-4)
    for got, wanted in zip(model.module_.parameters(), expected.module_.parameters(), strict=True):
        np.testing.assert_allclose(got.detach(), wanted.detach(), rtol=1e-2, atol=1e-4)


def below_zero(prediction, target):
    return squares(prediction, target) - 7


def test_a_loss_may_be_negative():
    expected = MODELS["lstm"].train(epochs=3, loss=squares)
    model = MODELS["lstm"].train(epochs=3, loss=below_zero)
    losses = np.array(expected.history_["loss"]) - 7
    assert losses.max() < 0
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "dense", "stacked", "conv"])
def test_errors_are_the_values_of_the_function(name):
    model = MODELS[name].train(loss=relative)
    real = np.arange(RAGGED.max_length) < RAGGED.lengths[:, None]
    output, x = (
        torch.from_numpy((values[real] - model.scaler_.shift) / model.scaler_.scale)
        for values in (model.reconstruct(RAGGED), RAGGED.values)
    )
    errors = model.reconstruction_error(RAGGED, per=("step", "feature"))
    np.testing.assert_allclose(errors[real], relative(output, x), rtol=1e-4, atol=1e-5)
    by_step = model.reconstruction_error(RAGGED, per="step")
    np.testing.assert_allclose(by_step[real], relative(output, x).mean(-1), rtol=1e-4, atol=1e-5)
    assert np.isnan(errors[~real]).all()


def test_a_gradient_that_is_undefined_in_the_padding_is_not_used():
    model = Case(lstm(), RAGGED).train(loss=root, epochs=2)
    assert np.isfinite(model.history_["loss"]).all()
    assert all(weight.isfinite().all() for weight in model.module_.parameters())
    assert (RAGGED.lengths < RAGGED.max_length).any()


def test_a_function_of_steps_has_no_errors_by_feature():
    model = Case(lstm(), RAGGED).train(loss=root)
    assert model.reconstruction_error(RAGGED, per="step").shape == (len(RAGGED), 9)
    with pytest.raises(InputError, match="returns one value for all features of a step"):
        model.reconstruction_error(RAGGED, per="feature")


def test_metrics_are_recorded_with_a_function():
    history = MODELS["lstm"].train(loss=relative, metrics=("mse",)).history_
    assert history["mse"] != history["loss"]


def scalar(prediction, target):
    return functional.mse_loss(prediction, target)


def detached(prediction, target):
    return squares(prediction.detach(), target)


def in_numpy(prediction, target):
    return (prediction.detach().numpy() - target.numpy()) ** 2


def infinite(prediction, target):
    return squares(prediction, target) / 0


def steep(prediction, target):
    return (0 * (prediction - target)).sqrt()


def transposed(prediction, target):
    return squares(prediction, target).mT


def failing(prediction, target):
    raise ZeroDivisionError("nothing there")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (scalar, "returned a single number; leave the mean out.*reduction='none'"),
        (torch.nn.L1Loss(), "'L1Loss' must .* returned a single number.*reduction='none'"),
        (detached, "has no gradient with respect to the prediction"),
        (in_numpy, "'in_numpy' must return a tensor, got ndarray"),
        (infinite, "must return finite numbers"),
        (steep, "has a gradient that is NaN or infinite"),
        (transposed, r"for each value, .*, or one for each step, .*, got shape"),
        (failing, "'failing' failed on tensors of shape .*: ZeroDivisionError: nothing there"),
    ],
)
def test_a_function_that_cannot_be_trained_with_is_refused(loss, message):
    with pytest.raises(InputError, match=message):
        MODELS["lstm"].train(loss=loss)


def test_the_check_changes_no_number_of_the_training():
    """It draws no random number of the training."""
    expected = MODELS["composite"].train(loss="mae")
    model = MODELS["composite"].train(loss=torch.nn.L1Loss(reduction="none"))
    np.testing.assert_allclose(model.history_["loss"], expected.history_["loss"], rtol=1e-5)


def test_a_function_is_cloned_and_pickled_by_reference():
    model = MODELS["lstm"].train(loss=relative)
    assert clone(model).loss is relative
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copied = pickle.loads(pickle.dumps(model))
    assert copied.loss is relative
    np.testing.assert_array_equal(
        copied.reconstruction_error(RAGGED), model.reconstruction_error(RAGGED)
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("function") / "model.unspool"
    model = MODELS["lstm"].train(loss=relative)
    model.save(path)
    return model, path


NEEDED = r"The loss of this model is the function 'relative', .* load\(path, custom_objects="


def test_a_file_holds_the_name_alone(saved):
    model, path = saved
    loaded = unspool.load(path)
    np.testing.assert_array_equal(loaded.transform(RAGGED), model.transform(RAGGED))
    np.testing.assert_array_equal(loaded.reconstruct(RAGGED), model.reconstruct(RAGGED))
    assert loaded.score(RAGGED) == model.score(RAGGED)
    assert repr(loaded.loss) == "<loss function 'relative'>"
    with pytest.raises(InputError, match=NEEDED):
        loaded.reconstruction_error(RAGGED)
    with pytest.raises(InputError, match=NEEDED):
        loaded.fit(RAGGED)


def test_a_file_is_loaded_with_the_function(saved):
    model, path = saved
    loaded = unspool.load(path, custom_objects={"relative": relative, "other": root})
    assert loaded.loss is relative
    np.testing.assert_array_equal(
        loaded.reconstruction_error(RAGGED), model.reconstruction_error(RAGGED)
    )
    assert loaded.fit(RAGGED).history_ == model.history_


def test_a_loaded_model_is_saved_again_without_the_function(saved, tmp_path):
    _, path = saved
    unspool.load(path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert unspool.load(tmp_path / "again", custom_objects={"relative": relative}).loss is relative


@pytest.mark.parametrize("given", ["relative", {"relative": 3}, {3: relative}, [relative]])
@pytest.mark.parametrize("load", [unspool.load, runtime.load])
def test_custom_objects_are_functions_by_name(saved, load, given):
    with pytest.raises(InputError, match="must be a dict from names of functions to functions"):
        load(saved[1], custom_objects=given)


def relative_in_numpy(prediction, target):
    return abs(prediction - target) / (1 + abs(target))


def test_the_runtime_computes_errors_with_a_function_of_arrays(saved):
    model, path = saved
    running = runtime.load(path, custom_objects={"relative": relative_in_numpy})
    for per in ("sequence", "step", "feature", ("step", "feature")):
        np.testing.assert_allclose(
            running.reconstruction_error(RAGGED, per=per),
            model.reconstruction_error(RAGGED, per=per),
            rtol=1e-4,
            atol=1e-6,
        )
    longest = RAGGED.values[RAGGED.lengths.argmax()]
    stream = running.stream()
    for row in longest:
        stream.push(row)
    expected = running.reconstruction_error(longest[None], per="step")[0, -1]
    np.testing.assert_allclose(stream.reconstruction_error(), expected, rtol=1e-5)


@pytest.mark.parametrize("of", ["file", "estimator"])
def test_the_runtime_needs_the_function_for_errors_only(saved, of):
    model, path = saved
    running = runtime.load(path) if of == "file" else runtime.Model(model.contents())
    np.testing.assert_allclose(
        running.reconstruct(RAGGED), model.reconstruct(RAGGED), rtol=1e-3, atol=1e-3
    )
    with pytest.raises(InputError, match=NEEDED):
        running.reconstruction_error(RAGGED)


def test_the_runtime_checks_what_the_function_returns(saved):
    running = runtime.load(saved[1], custom_objects={"relative": lambda p, t: (p - t).mean()})
    with pytest.raises(InputError, match="must return a loss for each value"):
        running.reconstruction_error(RAGGED)


def test_a_classifier_keeps_the_loss_of_its_encoder(tmp_path):
    inner = lstm(loss=relative)()
    model = EncoderClassifier(inner, **QUICK).fit(RAGGED, np.arange(len(RAGGED)) % 2)
    model.save(tmp_path / "m")
    loaded = unspool.load(tmp_path / "m", custom_objects={"relative": relative})
    assert loaded.autoencoder.loss is relative
    assert repr(unspool.load(tmp_path / "m").autoencoder.loss) == "<loss function 'relative'>"
    np.testing.assert_array_equal(loaded.predict(RAGGED), model.predict(RAGGED))
    np.testing.assert_allclose(
        runtime.load(tmp_path / "m").predict_proba(RAGGED), model.predict_proba(RAGGED), rtol=1e-3
    )


def test_a_detector_uses_squared_differences_and_needs_no_function(tmp_path):
    series = np.sin(np.arange(300) / 5)[:, None] + np.random.default_rng(0).normal(size=(300, 1))
    short = {"latent_dim": 3, "pooling": "last", "n_kernels": 0, **QUICK}
    detectors = [
        AnomalyDetector(
            LSTMAutoencoder(**short, loss=loss), window=16, random_state=0, verbose=0
        ).fit(series)
        for loss in (squares, "mse")
    ]
    scores = [one.anomaly_scores(series) for one in detectors]
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-3)
    detectors[0].save(tmp_path / "d")
    loaded = unspool.load(tmp_path / "d")
    np.testing.assert_array_equal(loaded.anomaly_scores(series), scores[0])
    running = runtime.load_detector(tmp_path / "d")
    np.testing.assert_allclose(running.detect(series).scores, scores[0], rtol=1e-3, atol=1e-3)
    known = unspool.load(tmp_path / "d", custom_objects={"squares": squares})
    assert known.model.loss is squares
    assert known.model_.loss is squares
