"""Two sine waves: an LSTM autoencoder, its codes, and a classifier on them.

The experiment of the article "Implement LSTM AutoEncoder in Keras".

article()      the model with the article's settings
run(folder)    data → training → reconstruction → codes, in NumPy too → classifier → pictures
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from unspool.data.windows import Windows
from unspool.datasets import TrainTest, make_sine_classes
from unspool.demos.report import Report
from unspool.estimators import LSTMAutoencoder
from unspool.lstm import reference
from unspool.nn import gate_weights

SAMPLES_PER_CYCLE = (20, 80)
EPOCHS = 30


def article(
    epochs: int = EPOCHS, random_state: int | None = 0, verbose: int = 1
) -> LSTMAutoencoder:
    """Make the model with the settings of the article."""
    return LSTMAutoencoder(
        latent_dim=10,
        bidirectional=False,
        decoder="reversed_input",
        head_units=(10,),
        head_activation="relu",
        output_activation="tanh",
        optimizer="rmsprop",
        learning_rate=1e-3,
        learning_rate_schedule="constant",
        loss="mse",
        batch_size=500,
        epochs=epochs,
        # What the article does not have is switched off.
        pooling="last",
        n_kernels=0,
        patch_size=1,
        input_dropout=0.0,
        scaling="none",
        validation_split=0,
        patience=None,
        global_clipnorm=None,
        random_state=random_state,
        verbose=verbose,
    )


def codes_in_numpy(model: LSTMAutoencoder, windows: Windows) -> npt.NDArray[Any]:
    """Compute the codes from the trained weights, split by gate, with NumPy alone."""
    (gates,) = gate_weights(model.encoder_).values()
    weights, codes = reference.join_gates(gates), []
    for start in range(0, len(windows), 1000):
        x, _ = windows.take(np.arange(start, min(start + 1000, len(windows))))
        codes.append(reference.forward(x.astype(np.float32), **weights)[1])
    return np.concatenate(codes)


def run(folder: Path, epochs: int = EPOCHS, seed: int = 0) -> dict[str, float]:
    """Run the experiment, print what came out, and leave model and pictures in `folder`."""
    report = Report(folder, "two sines")
    data = make_sine_classes(SAMPLES_PER_CYCLE)
    report.fact("windows", f"train {data.X_train.shape}, test {data.X_test.shape}")
    with report.timed("fit"):
        model = article(epochs, seed).fit(data.X_train)
    model.save(report.path("sines.unspool"))

    codes, test_codes = model.transform(data.X_train), model.transform(data.X_test)
    apart = float(np.abs(codes_in_numpy(model, data.X_test) - test_codes).max())
    classifier = LogisticRegression().fit(codes, data.y_train)
    accuracy = classifier.score(test_codes, data.y_test)
    error = float(model.reconstruction_error(data.X_test).mean())
    x, _ = data.X_test.take(np.arange(len(data.X_test)))
    of_mean = float(((x - x.mean()) ** 2).mean())

    report.number("test MSE", error)
    report.number("test MSE of the mean", of_mean)
    report.fact("codes", f"train {codes.shape}, test {test_codes.shape}")
    report.number("codes in NumPy, largest difference", apart, ".1e")
    report.number("test accuracy of a classifier on the codes", accuracy)
    report.fact("runs on", model.module_.backends()["encoder.lstm.layers.0.0"])
    draw(model, data, report)
    return report.end()


def draw(model: LSTMAutoencoder, data: TrainTest[Windows], report: Report) -> None:
    """Draw the data, the history, and by class reconstructions, codes over a cycle, all codes."""
    from matplotlib.figure import Figure

    from unspool import plots
    from unspool.plots._style import tidy

    figure = Figure(figsize=(9, 3), layout="constrained")
    ax = figure.subplots()
    for one, samples in zip(data.X_train.series, SAMPLES_PER_CYCLE, strict=True):
        ax.plot(one[:80, 0], label=f"{samples} samples a cycle")
    ax.set(title="The two classes", xlabel="step", ylabel="value")
    tidy(ax)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    report.keep(figure, "data.png")
    report.keep(plots.TrainingHistoryDisplay.from_estimator(model), "history.png")
    for number, samples in enumerate(SAMPLES_PER_CYCLE):
        of_class = data.X_train[data.y_train == number]
        shown = of_class[:: len(of_class) // 5 - 7][:5]  # 7: no two at the same phase
        display = plots.ReconstructionDisplay.from_estimator(model, shown)
        report.keep(display, f"reconstruction_class{number}.png")
        trace = plots.CodeTraceDisplay.from_estimator(model, of_class[:samples])
        trace.ax_.set_title(f"Codes over one cycle of {samples} windows, class {number}")
        report.keep(trace, f"codes_over_cycle_class{number}.png")
    scatter = plots.CodeScatterDisplay.from_estimator(model, data.X_test, data.y_test)
    report.keep(scatter, "codes_by_class.png")
