"""Encode padded sequences of 0 to 10 steps as vectors of length 20, decode them, generate new ones.

In each sequence a single 1 moves from feature to feature. Three decoders are compared: "repeat"
reads the code at every step; "reshape" reads one piece of the code at every step; "flat" does, too,
but computes all steps at once from its final state. Padding is masked, so its amount does not
change the codes. Sequences are then generated step by step: from codes, and from the first three
steps.

Source: "LSTM Autoencoder", Stack Overflow, 2017 (https://stackoverflow.com/questions/44647258), the
question and its accepted answer.

    python padded_sequences.py        or        unspool demo padded_sequences

prints the share of sequences that each decoder reproduces exactly, and the same for generated
sequences. It writes the model and pictures to unspool-demo/padded_sequences. It runs for about 40
seconds. unspool warns that the mean sequence is as good as a reconstruction: it is, since the
sequences differ only in their lengths, which every decoder is given.
"""

from pathlib import Path
from time import perf_counter

import numpy as np

from unspool import LSTMAutoencoder, LSTMForecaster, Sequences
from unspool.datasets import make_moving_ones
from unspool.plots import ImagesDisplay


def training_parameters(epochs, random_state):
    """Return the parameters of the question, which all models share."""
    return {
        "output_activation": "sigmoid",
        "loss": "binary_crossentropy",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "learning_rate_schedule": "constant",
        "batch_size": 100,
        "epochs": epochs,
        # The question does without the following, which unspool uses by default.
        "validation_split": 0,
        "patience": None,
        "global_clipnorm": None,
        "scaling": "none",
        "random_state": random_state,
        "verbose": 0,
    }


def make_autoencoder(decoder, epochs=60, random_state=0):
    """Return the model of the answer, with one of its decoders."""
    return LSTMAutoencoder(
        latent_dim=20,
        bidirectional=False,
        decoder=decoder,
        metrics=("accuracy",),
        pooling="last",
        n_kernels=0,
        input_dropout=0.0,
        **training_parameters(epochs, random_state),
    )


def make_forecaster(epochs=60, random_state=0):
    """Return a model that predicts the next step after every step."""
    return LSTMForecaster(
        latent_dim=20,
        horizon=1,
        every_step=True,
        normalization="none",
        linear_steps=0,
        code_dropout=0.0,
        **training_parameters(epochs, random_state),
    )


def share_exact(reconstruction, sequences):
    """Return the share of sequences in which every real value is right at the threshold 0.5."""
    values, lengths = sequences.values, sequences.lengths
    n_steps = values.shape[1]
    wrong = (reconstruction[:, :n_steps] > 0.5) != (values > 0.5)
    is_real = np.arange(n_steps) < lengths[:, None]
    return 1 - (wrong & is_real[:, :, None]).any(axis=(1, 2)).mean()


def main(output="unspool-demo/padded_sequences", epochs=60, random_state=0):
    """Run the experiments, and return their results by name."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    results = {}
    data = make_moving_ones()
    print(data)

    # Three decoders.
    models = {}
    for decoder in ("repeat", "flat", "reshape"):
        start = perf_counter()
        model = models[decoder] = make_autoencoder(decoder, epochs, random_state).fit(data)
        results[f"{decoder}, fit, seconds"] = perf_counter() - start
        exact = share_exact(model.reconstruct(data), data)
        results[f"{decoder}, sequences exactly right"] = exact
        results[f"{decoder}, cross-entropy"] = model.history_["loss"][-1]
        results[f"{decoder}, accuracy"] = model.history_["accuracy"][-1]
    model = models["repeat"]
    model.save(output / "padded_sequences.unspool")

    # More padding does not change a code.
    codes = model.transform(data)
    padded = Sequences(np.pad(data.values, ((0, 0), (0, 20), (0, 0))), data.lengths)
    difference = np.abs(model.transform(padded) - codes).max()
    results["20 more steps of padding, difference of codes"] = difference

    # Sequences that are generated from their codes, step by step.
    generated = model.generate(codes, data.lengths, temperature=0)
    results["generated from codes, exactly right"] = share_exact(np.nan_to_num(generated), data)

    # Sequences that are continued from their first three steps. A sequence of one step is left out
    # of the training, since there is nothing to predict.
    start = perf_counter()
    forecaster = make_forecaster(epochs, random_state).fit(data[data.lengths > 1])
    results["forecaster, fit, seconds"] = perf_counter() - start
    whole = make_moving_ones(1000, random_state=random_state + 1)
    whole = whole[whole.lengths == 10]
    beginnings = Sequences(whole.values[:, :3])
    continued = forecaster.generate(beginnings, 7, temperature=0)
    exact = (continued == whole.values[:, 3:]).all(axis=(1, 2)).mean()
    results["generated from a start of 3 steps, exactly right"] = exact

    for name, value in results.items():
        print(f"{name:<49} {value:.4g}")
    draw_reconstructions(model, data, output / "reconstruction.png")
    generated = np.concatenate([beginnings.values[0], continued[0]])
    images = np.stack([whole.values[0].T, generated.T])[None]
    titles = ["a sequence", "generated from its first 3 steps"]
    display = ImagesDisplay(images, None, titles).plot(cmap="Blues")
    display.figure_.savefig(output / "generated.png", dpi=150)
    print(f"The model and the pictures are in {str(output)!r}.")
    return results


def draw_reconstructions(model, data, path):
    """Draw sequences of several lengths over their reconstructions, time from left to right."""
    lengths = (10, 8, 6, 4, 2)
    shown = data[[int(np.flatnonzero(data.lengths == length)[0]) for length in lengths]]
    images = np.stack([shown.values, np.nan_to_num(model.reconstruct(shown))]).swapaxes(2, 3)
    titles = [f"{length} steps" for length in lengths]
    display = ImagesDisplay(images, ["input", "reconstruction"], titles).plot(cmap="Blues")
    display.figure_.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
