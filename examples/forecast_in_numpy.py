"""Forecast the next value of a noisy sine, and repeat the forecast in NumPy from the weights.

An LSTM reads five values and predicts the sixth. The trained weights are split by gate, and the
forward pass is written out in NumPy. It also shows what the model would predict after each of the
five steps, and how these predictions approach the truth.

Source: "Implement Keras LSTM feedforward with numpy"
(https://linuxtut.com/en/8e93c35a26ac46b56a6c).

    python forecast_in_numpy.py        or        unspool demo forecast_in_numpy

prints the test error, the shapes of the weights, and the difference between the forecasts of NumPy
and PyTorch. It writes the model and pictures to unspool-demo/forecast_in_numpy. It runs for a few
seconds.
"""

from pathlib import Path
from time import perf_counter

import numpy as np

from unspool import LSTMForecaster, gate_weights
from unspool.datasets import make_sine_forecasts
from unspool.plots import ForecastByStepDisplay, ForecastDisplay, TrainingHistoryDisplay


def make_model(epochs=15, random_state=0):
    """Return the model with the parameters of the article."""
    return LSTMForecaster(
        latent_dim=100,
        optimizer="rmsprop",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        loss="mse",
        batch_size=600,
        epochs=epochs,
        # The article does without the following, which unspool uses by default.
        validation_split=0,
        normalization="none",
        linear_steps=0,
        code_dropout=0.0,
        patience=None,
        global_clipnorm=None,
        scaling="none",
        random_state=random_state,
        verbose=0,
    )


def sigmoid(x):
    """Return the logistic function of `x`."""
    return 1 / (1 + np.exp(-x))


def forecast_in_numpy(model, x):
    """Compute the forecast after each time step of x (N, T, 1), as (N, T), with NumPy alone."""
    (layer,) = gate_weights(model).values()
    W, U, b = layer["w_ih"], layer["w_hh"], layer["bias"]  # each by gate: i, f, c, o
    parameters = dict(model.module_.named_parameters())
    head = "decoders.forecast.head.0"  # the dense layer after the LSTM
    w_out = parameters[f"{head}.weight"].detach().cpu().numpy()  # (1, 100)
    b_out = parameters[f"{head}.bias"].detach().cpu().numpy()  # (1,)

    h = c = np.zeros((len(x), model.latent_dim), np.float32)
    forecasts = []
    for t in range(x.shape[1]):
        gate = {name: x[:, t] @ W[name].T + h @ U[name].T + b[name] for name in "ifco"}
        c = sigmoid(gate["f"]) * c + sigmoid(gate["i"]) * np.tanh(gate["c"])
        h = sigmoid(gate["o"]) * np.tanh(c)
        forecasts.append(h @ w_out.T + b_out)
    return np.concatenate(forecasts, axis=1)


def main(output="unspool-demo/forecast_in_numpy", epochs=15, random_state=0):
    """Run the experiment, and return its results by name."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)

    data = make_sine_forecasts()
    print("windows:", data.X_train.shape, "for training,", data.X_test.shape, "for testing")

    # Like Keras in the article, validate on the last 5 % of the windows. Those before them, whose
    # targets they contain, are left out.
    first = round(0.95 * len(data.X_train))
    last = first - data.X_train.shape[1]
    start = perf_counter()
    model = make_model(epochs, random_state).fit(
        data.X_train[:last],
        data.y_train[:last],
        validation_data=(data.X_train[first:], data.y_train[first:]),
    )
    seconds = perf_counter() - start
    model.save(output / "forecast.unspool")

    for layer, weights in gate_weights(model).items():
        for name, by_gate in weights.items():
            shapes = ", ".join(f"{gate} {weight.shape}" for gate, weight in by_gate.items())
            print(f"{layer} {name}: {shapes}")

    forecast = model.predict(data.X_test)
    by_step = forecast_in_numpy(model, data.X_test.astype(np.float32))
    last_value = data.X_test[:, -1]
    results = {
        "fit, seconds": seconds,
        "test MSE": np.square(forecast - data.y_test).mean(),
        "test MSE of the last value seen": np.square(last_value - data.y_test).mean(),
        "forecast in NumPy, largest difference": np.abs(by_step[:, -1] - forecast[:, 0]).max(),
    }
    for name, value in results.items():
        print(f"{name:<38} {value:.4g}")

    truth = data.y_test[:, 0]
    both = {"unspool": forecast[:, 0], "NumPy": by_step[:, -1]}
    display = ForecastDisplay(truth, both).plot()
    display.figure_.savefig(output / "forecast.png", dpi=150)
    display = ForecastByStepDisplay(truth, by_step.T).plot()
    display.figure_.savefig(output / "forecast_by_step.png", dpi=150)
    display = TrainingHistoryDisplay.from_estimator(model)
    display.figure_.savefig(output / "history.png", dpi=150)
    print(f"The model and the pictures are in {str(output)!r}.")
    return results


if __name__ == "__main__":
    main()
