"""The model of "Implement LSTM AutoEncoder in Keras"; KERAS_BACKEND selects the backend."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from benchmarks.contestants import Job, Ready

ENGINES = {"tensorflow": ("tensorflow-cpu",), "jax": ("jax", "jaxlib")}
PACKAGES = ("keras", *ENGINES[keras.backend.backend()], "numpy")

T, UNITS, BATCH = 100, 10, 500


def model() -> keras.Model:
    """The two-sines model, compiled."""
    layers = keras.layers
    inputs = keras.Input((T, 1))
    reversed_inputs = keras.Input((T, 1))
    encoded = layers.LSTM(UNITS)(inputs)
    both = layers.concatenate([layers.RepeatVector(T)(encoded), reversed_inputs])
    decoded = layers.LSTM(UNITS, return_sequences=True)(both)
    hidden = layers.Dense(UNITS, activation="relu")(decoded)
    outputs = layers.Dense(1, activation="tanh")(hidden)
    made = keras.Model([inputs, reversed_inputs], outputs)
    made.compile(optimizer="rmsprop", loss="mse")
    return made


def use_threads(count: int) -> None:
    """Limit TensorFlow to `count` threads; JAX always uses one per core."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    elif count != os.cpu_count():
        raise ValueError(f"Keras on JAX runs {os.cpu_count()} threads, not {count}.")


def prepare(job: Job) -> Ready:
    """Make the training epoch of `job` callable."""
    use_threads(job.threads)
    keras.utils.set_random_seed(0)
    trained = model()
    trained.set_weights(_in_keras_order(job.inputs))
    x, probe = job.inputs["windows"], job.inputs["probe"]
    pair = [x, np.ascontiguousarray(x[:, ::-1])]

    def call() -> float:
        fit = trained.fit(pair, x, batch_size=BATCH, epochs=1, shuffle=True, verbose=0)
        return float(fit.history["loss"][0])

    before = trained.predict([probe, probe[:, ::-1]], batch_size=len(probe), verbose=0)
    losses = {"loss_before": float(((before - probe) ** 2).mean()), "loss_of_first_epoch": call()}
    return Ready(call, losses, keras.backend.backend())


def _in_keras_order(weights: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    w = weights
    decoder = np.concatenate([w["decoder_w_context"], w["decoder_w_ih"]], 1)
    return [
        *(w["encoder_w_ih"].T, w["encoder_w_hh"].T, w["encoder_bias"]),
        *(decoder.T, w["decoder_w_hh"].T, w["decoder_bias"]),
        *(w["hidden_weight"].T, w["hidden_bias"], w["out_weight"].T, w["out_bias"]),
    ]
