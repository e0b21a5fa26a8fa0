"""A noisy sine's next value, and the same forecast computed in NumPy from the trained weights.

The experiment of the article "Implement Keras LSTM feedforward with numpy".

article()      the model with the article's settings
in_numpy()     its forward pass without PyTorch, after every step
run(folder)    data → training → weights by gate → NumPy → pictures
"""

from pathlib import Path

import numpy as np

from unspool.data.sequences import FloatArray
from unspool.datasets import make_sine_forecasts
from unspool.demos.report import Report
from unspool.estimators import LSTMForecaster
from unspool.lstm import reference
from unspool.nn import gate_weights

EPOCHS = 15


def article(epochs: int = EPOCHS, random_state: int = 0) -> LSTMForecaster:
    """Make the model with the settings of the article."""
    return LSTMForecaster(
        latent_dim=100,
        optimizer="rmsprop",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        loss="mse",
        batch_size=600,
        epochs=epochs,
        validation_split=0.05,
        # What the article does not have is switched off.
        normalization="none",
        linear_steps=0,
        dropout=0.0,
        patience=None,
        global_clipnorm=None,
        scaling="none",
        random_state=random_state,
        verbose=0,
    )


def in_numpy(model: LSTMForecaster, X: FloatArray) -> FloatArray:
    """Compute what the model forecasts after each step of X (N, T, 1), with NumPy alone: (N, T)."""
    (gates,) = gate_weights(model).values()
    weights = {
        name: weight.detach().cpu().numpy() for name, weight in model.module_.named_parameters()
    }
    w_out = weights["decoders.forecast.head.0.weight"]
    b_out = weights["decoders.forecast.head.0.bias"]
    h, _, _ = reference.forward(X.astype(np.float32), **reference.join_gates(gates))
    forecasts: FloatArray = (h @ w_out.T + b_out)[:, :, 0]
    return forecasts


def run(folder: Path, epochs: int = EPOCHS, seed: int = 0) -> dict[str, float]:
    """Run the experiment, print what came out, and leave model and pictures in `folder`."""
    from unspool import plots

    report = Report(folder, "the next value of a noisy sine")
    data = make_sine_forecasts()
    report.fact("windows", f"train {data.X_train.shape}, test {data.X_test.shape}")
    with report.timed("fit"):
        model = article(epochs, seed).fit(data.X_train, data.y_train)
    model.save(report.path("next_value.unspool"))

    forecast = model.predict(data.X_test)
    report.number("test MSE", np.square(forecast - data.y_test).mean())
    last = data.X_test[:, -1]
    report.number("test MSE of the last value seen", np.square(last - data.y_test).mean())
    report.fact("runs on", model.module_.backends()["encoder.lstm.layers.0.0"])
    for layer, by_name in gate_weights(model).items():
        for name, by_gate in by_name.items():
            shapes = ", ".join(f"{gate} {weight.shape}" for gate, weight in by_gate.items())
            report.fact(f"{layer} {name}", shapes)

    by_step = in_numpy(model, data.X_test)
    apart = np.abs(by_step[:, -1] - forecast[:, 0]).max()
    report.number("forecast in NumPy, largest difference", apart, ".1e")

    truth = data.y_test[:, 0]
    both = {"unspool": forecast[:, 0], "NumPy": by_step[:, -1]}
    report.keep(plots.ForecastDisplay(truth, both).plot(), "forecast.png")
    report.keep(plots.ForecastByStepDisplay(truth, by_step.T).plot(), "forecast_by_step.png")
    report.keep(plots.TrainingHistoryDisplay.from_estimator(model), "history.png")
    return report.end()
