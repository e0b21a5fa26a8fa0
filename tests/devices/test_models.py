"""Every kind of model trains and runs on the device as it does on the CPU."""

import numpy as np
import pytest
import torch

from tests import fakegpu
from tests.trained import ALL, LONG, QUICK, RAGGED, Case, classifier, forecaster, lstm, redraw, rows
from unspool import EncoderClassifier, LSTMForecaster, StackedAutoencoder
from unspool.nn import gate_weights, summary
from unspool.nn.device import resolve_device

DEVICES = ("device", "autoencoder__device")
LABELS = np.arange(len(RAGGED)) % 3
SHARES = np.random.default_rng(9).uniform(size=(30, 8, 3))
KINDS = {
    **{name: case for name, case in ALL.items() if not name.endswith(" head")},
    "scheduled sampling": Case(lstm(decoder="previous", teacher_forcing=0.3, epochs=2), RAGGED),
    "noise and dropout": Case(lstm(input_noise=0.1, input_dropout=0.2, code_l1=0.01), RAGGED),
    "probabilities": Case(
        lstm(
            decoder="previous",
            output_activation="sigmoid",
            scaling="minmax",
            loss="binary_crossentropy",
            metrics=("accuracy", "mse"),
        ),
        SHARES,
    ),
    "forecasts after every step": Case(forecaster(every_step=True, decoder="repeat"), LONG),
    "stacked, fine-tuned": Case(
        lambda: StackedAutoencoder(3, hidden_units=(5, 4), fine_tune=True, **QUICK),
        rows(),
    ),
    "classifier, fine-tuned": Case(
        classifier(lstm(decoder="state", bidirectional=True), fine_tune=True), RAGGED, LABELS
    ),
}
one_epoch = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def there():
    return resolve_device("auto").type


def outputs(model, case):
    """All outputs of a fitted model for its data, by name."""
    X, y, found = case.X, case.y, {}
    if isinstance(model, EncoderClassifier):
        return {"probabilities": model.predict_proba(X), "score": model.score(X, y)}
    if hasattr(model, "transform"):
        found["codes"] = codes = model.transform(X)
        found["reconstruction"] = model.reconstruct(X)
        found["errors"] = model.reconstruction_error(X, per="step")
        found["score"] = model.score(X)
        if not model.decoder_.needs_input and model.normalization == "none":
            found["from codes"] = model.inverse_transform(codes)
            if model.loss == "binary_crossentropy":
                found["drawn"] = model.generate(codes, random_state=1)
    if hasattr(model, "features"):
        found["features"] = model.features(X, scales=(1, 3))
    if hasattr(model, "feature_maps"):
        found["maps"] = model.feature_maps(X)
    if getattr(model, "horizon_", 0):
        found["forecast"] = model.forecast(X, future=case.future)
    if isinstance(model, LSTMForecaster):
        if model.targets is None and model.contents().form.n_responses == 0:
            found["generated"] = model.generate(X, 4)
        of_code = not model.decoder.startswith(("state", "reversed"))
        by_step = model.patch_size_ == 1 and model.pooling == "last" and not model.conv_filters
        if of_code and by_step and not model.bidirectional and case.future is None:
            found["forecast by step"] = model.forecast_by_step(X)
    return found


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_training_and_inference_equal_those_on_the_cpu(case, monkeypatch):
    monkeypatch.setattr(fakegpu, "without_float64", True)
    model, on_cpu = (
        case.train(**{name: where for name in DEVICES if name in case.parameters()})
        for where in ("auto", "cpu")
    )
    assert {weight.device.type for weight in model.module_.parameters()} == {there()}
    for name, expected in on_cpu.history_.items():
        if name != "layers":
            assert model.history_[name] == pytest.approx(expected, rel=1e-3), name
    on_cpu.module_.load_state_dict(redraw(model).module_.state_dict())
    found = outputs(model, case)
    for name, expected in outputs(on_cpu, case).items():
        scale = max(1e-3, np.nanmax(np.abs(expected)))
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-4 * scale, err_msg=name)


@pytest.mark.parametrize(
    "name", ["variational", "scheduled sampling", "noise and dropout", "images", "classifier, lstm"]
)
def test_the_default_device_of_pytorch_changes_nothing(name):
    from unspool.interop.torch import to_torch

    case, found = KINDS[name], []
    try:
        for default in (None, there(), "meta"):
            torch.set_default_device(default)
            model = case.train(**{name: "cpu" for name in DEVICES if name in case.parameters()})
            found.append((model.history_, outputs(model, case)))
            if "sampling" not in name:
                assert next(to_torch(model).parameters()).device.type == "cpu"
    finally:
        torch.set_default_device(None)
    for history, results in found[1:]:
        assert history == found[0][0]
        np.testing.assert_equal(results, found[0][1])


@one_epoch
def test_a_classifier_accepts_an_encoder_on_another_device():
    model = ALL["classifier, dense"].make().autoencoder.set_params(device="cpu").fit(rows())
    for where in ("auto", "cpu"):
        tuned = EncoderClassifier(model, fine_tune=True, epochs=2, verbose=0, device=where)
        tuned.fit(rows(), np.arange(20) % 3)
        expected = {resolve_device(where).type}
        assert {weight.device.type for weight in tuned.module_.parameters()} == expected
        assert tuned.autoencoder_.device == where
        assert tuned.predict(rows()).shape == (20,)
    assert next(model.module_.parameters()).device.type == "cpu"


@one_epoch
def test_demos_compute_their_models_in_numpy():
    from unspool import demos
    from unspool.datasets import make_sine_classes, make_sine_forecasts

    script, data = demos.load("forecast_in_numpy"), make_sine_forecasts()
    model = script.make_model(epochs=1).fit(data.X_train, data.y_train)
    by_step = script.forecast_in_numpy(model, data.X_test)
    np.testing.assert_allclose(by_step[:, -1], model.predict(data.X_test)[:, 0], atol=1e-5)
    script, windows = demos.load("two_sines"), make_sine_classes().X_train[:2000]
    model = script.make_model(epochs=1).fit(windows)
    codes = script.encode_in_numpy(model, windows.take(np.arange(2000))[0])
    np.testing.assert_allclose(codes, model.transform(windows), atol=1e-5)


def test_weights_and_tables_are_read_from_the_device():
    model = ALL["state"].fit()
    assert len(gate_weights(model)) == 2
    assert "LSTM 5 tanh" in str(summary(model))
    in_torch = model.encoder_.lstm.to_torch()
    assert next(in_torch.parameters()).device.type == there()
    x = torch.from_numpy(RAGGED.values).float().to(there())
    expected, _ = model.encoder_.lstm(x)
    torch.testing.assert_close(in_torch(x)[0].cpu(), expected.cpu(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["state", "flat", "composite", "images", "classifier, lstm"])
def test_exports_equal_those_of_the_cpu(name, tmp_path):
    from unspool.interop.onnx import export_onnx
    from unspool.interop.torch import to_torch

    model, X = ALL[name].fit(), ALL[name].X
    values = X.values if hasattr(X, "values") else X.reshape(len(X), -1, X.shape[-1])
    lengths = torch.from_numpy(getattr(X, "lengths", np.full(len(X), values.shape[1])))
    module, x = to_torch(model), torch.from_numpy(values)
    expected = module(x, lengths)
    found = module.to(there())(x.to(there()), lengths.to(there()))
    for part, tensor in found.items():
        scale = float(expected[part].detach().abs().max())
        torch.testing.assert_close(tensor.cpu(), expected[part], rtol=0, atol=1e-4 * scale)
    export_onnx(model, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size
