"""Models of every kind with random weights, for what has to agree with them: runtime, exports."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
)
from unspool.blueprint import DECODERS
from unspool.blueprint.layers import POOLINGS
from unspool.blueprint.models import ACTIVATIONS
from unspool.errors import NoBetterThanMeanWarning

STEPS, FEATURES = 9, 3


def ragged(n: int = 23, steps: int = STEPS, features: int = FEATURES, seed: int = 0) -> Sequences:
    """Sequences far from zero, in other units by feature, of 0 to `steps` steps."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, steps + 1, n)
    lengths[:2] = 0, steps
    scale = 10.0 ** np.arange(features)
    values = rng.normal(size=(n, steps, features)) * scale + 7 * scale
    return Sequences(values, lengths)


def mixed(n: int = 23, steps: int = STEPS) -> Sequences:
    """A number, one of three classes, a probability and another number, by place."""
    rng = np.random.default_rng(6)
    chosen = np.eye(3)[rng.integers(0, 3, (n, steps))]
    numbers, share = rng.normal(50, 9, (n, steps, 2)), rng.uniform(size=(n, steps, 1))
    values = np.concatenate([numbers[..., :1], chosen, share, numbers[..., 1:]], -1)
    return Sequences(values[..., [0, 1, 4, 2, 5, 3]], ragged(n, steps).lengths)


def images(n: int = 11, shape: tuple[int, ...] = (7, 5, 2)) -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(n, *shape))


def rows(n: int = 20, features: int = 6) -> np.ndarray:
    return np.random.default_rng(2).normal(3, 2, size=(n, features))


def with_missing(values: Any, share: float = 0.2) -> Any:
    """The values, or a `Sequences` of them, with some missing, also whole steps and features."""
    rng = np.random.default_rng(6)
    array = np.array(values.values if isinstance(values, Sequences) else values)
    array[rng.random(array.shape) < share] = np.nan
    if array.ndim == 3:
        array[rng.random(array.shape[:2]) < 0.1] = np.nan
        array[4, :, 0] = array[7] = np.nan
    if isinstance(values, Sequences):
        return Sequences(array, values.lengths, missing="mask")
    return array


@dataclass
class Case:
    """A way to make a model, and what it reads."""

    make: Any
    X: Any
    y: Any = None
    future: Any = None  # what `forecast` of a model with known features needs

    def parameters(self) -> Any:
        return self.make().get_params()

    def train(self, **parameters: Any) -> Any:
        """The model after its epoch; `parameters` replace some of its own."""
        model = self.make().set_params(**parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoBetterThanMeanWarning)
            return model.fit(self.X, self.y)

    def fit(self) -> Any:
        """The model, its weights drawn anew after an epoch: those of the start say little."""
        return redraw(self.train())


def redraw(model: Any) -> Any:
    """Give a trained model other weights."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.module_.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return model


def lstm(**parameters: Any) -> Any:
    given = {"latent_dim": 5, "bidirectional": False, **LAST, **QUICK, **parameters}
    return lambda: LSTMAutoencoder(**given)


def forecaster(**parameters: Any) -> Any:
    """Of the code alone, unless `parameters` say otherwise."""
    plain = {"normalization": "none", "linear_steps": 0, "code_dropout": 0.0}
    return lambda: LSTMForecaster(**{"latent_dim": 5, "horizon": 2, **plain, **QUICK, **parameters})


def classifier(inner: Any, **parameters: Any) -> Any:
    return lambda: EncoderClassifier(inner(), head_units=(4,), **QUICK, **parameters)


# An encoder whose final state alone makes the code.
LAST = {"pooling": "last", "n_kernels": 0, "input_dropout": 0.0}
QUICK = {"epochs": 1, "random_state": 0, "verbose": 0}
RAGGED = ragged()
LONG = Sequences(RAGGED.values[RAGGED.lengths > 3], RAGGED.lengths[RAGGED.lengths > 3])
FUTURE = np.random.default_rng(4).normal(size=(len(RAGGED), 3, FEATURES))
HOLES, LONG_HOLES = with_missing(RAGGED), with_missing(LONG)
MASK = {"missing": "mask"}
KNOWN = np.random.default_rng(6).normal(size=(len(RAGGED), 3, 2)) * [3, 30] + [7, 70]
LABELS = np.array(["b", "c", "a"])[np.arange(len(RAGGED)) % 3]

# Of `mixed`: the classes are not next to each other, and the last number has the loss of the rest.
BY_FEATURE = {
    2: "binary_crossentropy",
    (1, 3, 5): "categorical_crossentropy",
    0: "huber",
    "*": "mae",
}
MIXED = mixed()
LONG_MIXED = Sequences(MIXED.values[MIXED.lengths > 3], MIXED.lengths[MIXED.lengths > 3])

AUTOENCODERS = {
    **{
        f"{name} code": Case(lstm(code_activation=name, units=3), RAGGED)
        for name in ("relu", "softmax")
    },
    "tanh code, as long as the state": Case(lstm(code_activation="tanh"), RAGGED),
    **{
        f"{name} reads both ways": Case(lstm(bidirectional=name, units=4), RAGGED)
        for name in ("encoder", "decoder")
    },
    "dense, another decoder": Case(
        lambda: DenseAutoencoder(3, hidden_units=(7,), decoder_units=(4, 6), **QUICK), RAGGED
    ),
    **{name: Case(lstm(decoder=name), RAGGED) for name in (*DECODERS, "dense")},
    **{
        f"{name}, both ways, two layers": Case(
            lstm(decoder=name, bidirectional=True, num_layers=2, units=3), RAGGED
        )
        for name in (*DECODERS, "dense")
    },
    **{
        f"{name}, narrowing": Case(
            lstm(decoder=name, units=(6, 4), bidirectional=True, pooling="last"), RAGGED
        )
        for name in (*DECODERS, "dense")
    },
    **{
        f"{name}, narrowing, other depth": Case(
            lstm(decoder=name, units=(4, 2, 3), decoder_units=(3, 5), patch_size=2), RAGGED
        )
        for name in DECODERS
    },
    "narrowing, pooling": Case(
        lstm(units=(6, 3), pooling="all", bidirectional=True, n_kernels=20), RAGGED
    ),
    "narrowing, composite": Case(
        lstm(units=(4, 3), horizon=2, decoder="state", forecast_decoder="previous"), LONG
    ),
    "narrowing, state that is the code": Case(
        lstm(decoder="state", latent_dim=14, units=(4, 3), decoder_units=(4, 3)), RAGGED
    ),
    "state that is the code": Case(lstm(decoder="state", latent_dim=8, units=4), RAGGED),
    **{f"GRU, {name}": Case(lstm(decoder=name, cell="gru"), RAGGED) for name in DECODERS},
    **{
        f"GRU, {name}, narrowing, both ways": Case(
            lstm(decoder=name, cell="gru", units=(6, 4), bidirectional=True), RAGGED
        )
        for name in DECODERS
    },
    "GRU, state that is not the code": Case(lstm(cell="gru", decoder="state", units=3), RAGGED),
    "GRU, pooling, patches, kernels": Case(
        lstm(cell="gru", pooling="all", patch_size=4, n_kernels=20), RAGGED
    ),
    "GRU, relu": Case(lstm(cell="gru", activation="relu"), RAGGED),
    "GRU, hard gates": Case(
        lstm(cell="gru", recurrent_activation="hard_sigmoid", bidirectional=True), RAGGED
    ),
    "GRU, composite": Case(
        lstm(cell="gru", horizon=2, decoder="state", forecast_decoder="previous"), LONG
    ),
    "relu": Case(lstm(activation="relu"), RAGGED),
    "hard gates": Case(lstm(recurrent_activation="hard_sigmoid", bidirectional=True), RAGGED),
    "relu, hard gates": Case(lstm(activation="relu", recurrent_activation="hard_sigmoid"), RAGGED),
    "written backwards": Case(lstm(decoder="previous", reverse_target=True), RAGGED),
    "no dense layer": Case(lstm(decoder_units=FEATURES, head_units=None), RAGGED),
    "flat, no dense layer": Case(
        lstm(decoder="flat", decoder_units=FEATURES * STEPS, head_units=None), RAGGED
    ),
    "variational": Case(lstm(kl_weight=0.1), RAGGED),
    "composite": Case(lstm(horizon=2, decoder="state", forecast_decoder="previous"), LONG),
    "composite that reads": Case(lstm(horizon=3, decoder="reversed_input"), RAGGED, FUTURE),
    **{
        f"{name} head": Case(lstm(head_units=(4, 3), head_activation=name), RAGGED)
        for name in ACTIVATIONS
    },
    **{
        f"pooling {name}": Case(
            lstm(pooling=name, bidirectional=name == "all", num_layers=2), RAGGED
        )
        for name in POOLINGS
        if name != "last"
    },
    "defaults": Case(lambda: LSTMAutoencoder(5, **QUICK), RAGGED),
    "kernels": Case(lstm(n_kernels=20), RAGGED),
    "kernels, as wide as the code": Case(lstm(units=4, latent_dim=5, n_kernels=1), RAGGED),
    "kernels, pooling": Case(
        lstm(n_kernels=20, pooling="mean_max", bidirectional=True, kl_weight=0.1), RAGGED
    ),
    **{
        f"{name}, patches": Case(lstm(decoder=name, patch_size=4), RAGGED)
        for name in (*DECODERS, "dense")
    },
    **{
        f"{name}, patches, both ways, two layers": Case(
            lstm(decoder=name, patch_size=2, bidirectional=True, num_layers=2, units=3), RAGGED
        )
        for name in DECODERS
    },
    "patches, pooling": Case(lstm(patch_size=4, pooling="all", bidirectional=True), RAGGED),
    "patches, streamed": Case(lstm(patch_size=5, pooling="all", num_layers=2), RAGGED),
    "patches longer than all": Case(lstm(patch_size=STEPS + 2, head_units=(4,)), RAGGED),
    "previous, patches, written backwards": Case(
        lstm(patch_size=2, decoder="previous", reverse_target=True), RAGGED
    ),
    "previous, patches, softmax": Case(
        lstm(patch_size=2, decoder="previous", output_activation="softmax", loss="huber"), RAGGED
    ),
    "patches, no dense layer": Case(
        lstm(patch_size=2, decoder_units=2 * FEATURES, head_units=None), RAGGED
    ),
    "patches, composite": Case(
        lstm(patch_size=4, horizon=3, decoder="state", forecast_decoder="previous"), LONG
    ),
    "patches, composite that reads": Case(
        lstm(patch_size=2, horizon=3, decoder="reversed_input"), RAGGED, FUTURE
    ),
    "patches, kernels": Case(
        lstm(patch_size=4, n_kernels=20, pooling="all", bidirectional=True), RAGGED
    ),
    "softmax": Case(lstm(output_activation="softmax", loss="huber"), RAGGED),
    **{
        f"{decoder}, normalised": Case(lstm(normalization="standard", decoder=decoder), RAGGED)
        for decoder in ("repeat", "reversed_input", "state_previous", "dense")
    },
    "patches, normalised, clipped": Case(
        lstm(normalization="last", patch_size=2, pooling="all", n_kernels=5, clip=1.5), RAGGED
    ),
    **{
        f"convolutions, {padding}": Case(
            lstm(conv_filters=(4, 3), conv_kernel_size=(3, 2), conv_padding=padding, **more), RAGGED
        )
        for padding, more in {
            "same": {"pooling": "all", "bidirectional": True, "n_kernels": 5},
            "causal": {"conv_pool_size": (3, 1), "conv_activation": "tanh", "cell": "gru"},
            "valid": {"decoder": "state", "units": 3, "patch_size": 4},
        }.items()
    },
    "convolutions, composite": Case(
        lstm(conv_filters=(4,), conv_pool_size=1, horizon=2, decoder="reversed_input"), LONG
    ),
    "clipped": Case(lstm(clip=0.7), RAGGED),
    "clipped, composite that reads": Case(
        lstm(clip=0.5, scaling="robust", horizon=3, decoder="reversed_input"), RAGGED, FUTURE
    ),
    "table": Case(lstm(), rows()),
    **{
        f"{name}, targets": Case(lstm(decoder=name, targets=(2, 0), patch_size=2), RAGGED)
        for name in (*DECODERS, "dense")
    },
    "targets, streamed": Case(lstm(targets=(2, 0), pooling="all", num_layers=2), RAGGED),
    "targets, composite": Case(
        lstm(targets=(1,), horizon=2, decoder="reversed_input", forecast_decoder="previous"), LONG
    ),
    "targets, composite, known": Case(
        lstm(
            targets=(1,), known=(2,), horizon=2, decoder="state", forecast_decoder="reversed_input"
        ),
        LONG,
        future=KNOWN[: len(LONG), :2, :1],
    ),
    "dense rows, targets": Case(lambda: DenseAutoencoder(4, targets=(5, 1), **QUICK), rows()),
    "images, targets": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), targets=(1,), **QUICK), images()
    ),
    **{
        f"{name}, loss by feature": Case(
            lstm(decoder=name, loss=BY_FEATURE, output_activation="tanh", **more), MIXED
        )
        for name, more in {
            "repeat": {},
            "previous": {"patch_size": 2},
            "flat": {},
            "dense": {"head_units": (4,)},
            "reversed_input": {"bidirectional": True},
        }.items()
    },
    "loss by feature, composite": Case(lstm(loss=BY_FEATURE, horizon=2), LONG_MIXED),
    "loss by feature, dense rows": Case(
        lambda: DenseAutoencoder(4, loss=BY_FEATURE, **QUICK), MIXED.values[2:, 0]
    ),
    "loss by feature, stacked": Case(
        lambda: StackedAutoencoder(3, hidden_units=(5,), loss=BY_FEATURE, **QUICK), MIXED
    ),
    "loss by feature, convolved": Case(
        lambda: ConvAutoencoder(4, filters=(3,), loss=BY_FEATURE, **QUICK), MIXED
    ),
    "loss by feature, images": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), loss={0: "binary_crossentropy"}, **QUICK),
        images(),
    ),
    "dense sequences": Case(
        lambda: DenseAutoencoder(4, hidden_units=(6,), code_activation="tanh", **QUICK), RAGGED
    ),
    "dense sequences, normalised": Case(
        lambda: DenseAutoencoder(4, normalization="standard", clip=2.0, **QUICK), RAGGED
    ),
    "convolved sequences, normalised": Case(
        lambda: ConvAutoencoder(4, filters=(3,), normalization="standard", **QUICK), RAGGED
    ),
    "dense rows, clipped": Case(lambda: DenseAutoencoder(4, clip=1, **QUICK), rows()),
    "dense rows": Case(lambda: DenseAutoencoder(4, kl_weight=0.1, **QUICK), rows()),
    "stacked": Case(lambda: StackedAutoencoder(3, hidden_units=(5, 4), **QUICK), rows()),
    "images": Case(lambda: ConvAutoencoder(4, filters=(3, 2), **QUICK), images()),
    "images, clipped": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), clip=1.0, **QUICK), images()
    ),
    "flat images": Case(
        lambda: ConvAutoencoder(None, image_shape=(6, 4), kernel_size=2, pool_size=3, **QUICK),
        images(shape=(24,)),
    ),
    "convolved sequences": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), kernel_size=4, activation="gelu", **QUICK),
        RAGGED,
    ),
    **{
        f"strided {name}, {upsampling}": Case(
            lambda upsampling=upsampling: ConvAutoencoder(
                None,
                filters=(3, 2),
                kernel_size=(4, 3),
                strides=2,
                pool_size=(1, 2),
                upsampling=upsampling,
                **QUICK,
            ),
            X,
        )
        for name, X in (("images", images()), ("sequences", RAGGED))
        for upsampling in ("nearest", "transposed")
    },
    "convolved, tanh code": Case(
        lambda: ConvAutoencoder(4, filters=(3,), code_activation="tanh", **QUICK), RAGGED
    ),
    "convolved, softmax": Case(
        lambda: ConvAutoencoder(4, filters=(3,), pool_size=1, activation="softmax", **QUICK),
        RAGGED,
    ),
}
MASKED = {
    "missing": Case(lstm(**MASK), HOLES),
    "missing, minmax, patches": Case(
        lstm(scaling="minmax", patch_size=2, decoder="reversed_input", **MASK), HOLES
    ),
    "missing, unscaled": Case(lstm(scaling="none", decoder="state_reversed_input", **MASK), HOLES),
    "missing, defaults": Case(lambda: LSTMAutoencoder(5, **MASK, **QUICK), HOLES),
    "missing, both ways, composite": Case(
        lstm(horizon=2, bidirectional=True, forecast_decoder="previous", num_layers=2, **MASK),
        LONG_HOLES,
    ),
    "missing, kernels": Case(
        lstm(n_kernels=20, pooling="all", contrastive_weight=0.1, **MASK), HOLES
    ),
    "missing, convolutions": Case(lstm(conv_filters=(4,), normalization="last", **MASK), HOLES),
    "missing, dense sequences": Case(
        lambda: DenseAutoencoder(4, hidden_units=(6,), **MASK, **QUICK), HOLES
    ),
    "missing, dense rows": Case(lambda: DenseAutoencoder(4, **MASK, **QUICK), with_missing(rows())),
    "missing, stacked": Case(
        lambda: StackedAutoencoder(3, hidden_units=(5, 4), **MASK, **QUICK), with_missing(rows())
    ),
    "missing, images": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), **MASK, **QUICK), with_missing(images())
    ),
    "missing, convolved sequences": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), kernel_size=4, **MASK, **QUICK), HOLES
    ),
    "missing, targets, clip": Case(
        lstm(targets=(2, 0), clip=0.5, cell="gru", decoder="reversed_input", **MASK), HOLES
    ),
    **{
        f"missing, normalization {name}": Case(
            lstm(normalization=name, decoder=decoder, scaling="minmax", n_kernels=4, **MASK), HOLES
        )
        for name, decoder in (("standard", "reversed_input"), ("last", "repeat"))
    },
    "missing, normalization, dense": Case(
        lambda: DenseAutoencoder(4, normalization="standard", **MASK, **QUICK), HOLES
    ),
    "missing, images, targets": Case(
        lambda: ConvAutoencoder(4, filters=(3, 2), targets=(1,), **MASK, **QUICK),
        with_missing(images()),
    ),
}
AUTOENCODERS |= MASKED
FORECASTERS = {
    **{
        f"forecaster, {name}": Case(forecaster(decoder=name), LONG) for name in (*DECODERS, "dense")
    },
    **{
        f"forecaster, {name}, patches": Case(
            forecaster(decoder=name, patch_size=2, horizon=3), LONG
        )
        for name in (*DECODERS, "dense")
    },
    **{
        f"forecaster, {name}, narrowing": Case(forecaster(decoder=name, units=(6, 4)), LONG)
        for name in ("repeat", "state_previous", "dense")
    },
    "forecaster, convolutions": Case(
        forecaster(conv_filters=(4,), normalization="standard", linear_steps=4), LONG
    ),
    "forecaster, two layers": Case(forecaster(num_layers=2, decoder="repeat", units=4), LONG),
    **{
        f"forecaster, normalization {name}, linear {steps}": Case(
            forecaster(normalization=name, linear_steps=steps, quantiles=(0.1, 0.5, 0.9)), LONG
        )
        for name, steps in (
            ("none", 3),
            ("last", 0),
            ("last", 20),
            ("standard", 0),
            ("standard", 4),
        )
    },
    "forecaster, clipped": Case(
        forecaster(clip=0.6, normalization="standard", linear_steps=4, quantiles=(0.1, 0.9)), LONG
    ),
    "forecaster, loss by feature": Case(
        forecaster(loss=BY_FEATURE, horizon=2, decoder="previous"), LONG_MIXED
    ),
    "forecaster, quantiles alone": Case(forecaster(horizon=None, quantiles=(0.3,)), RAGGED, FUTURE),
    "forecaster, normalised, fed back": Case(
        forecaster(
            horizon=None,
            normalization="standard",
            linear_steps=2,
            decoder="previous",
            pooling="all",
            code_dropout=0.5,
        ),
        RAGGED,
        FUTURE,
    ),
    "forecaster, normalised, patches": Case(
        forecaster(normalization="standard", decoder="repeat", patch_size=4, horizon=3), LONG
    ),
    "forecaster, normalised, state": Case(
        forecaster(
            horizon=None,
            normalization="last",
            decoder="state_reversed_input",
            num_layers=2,
            units=3,
        ),
        RAGGED,
        FUTURE,
    ),
    **{
        f"forecaster, missing, normalization {name}, linear {steps}": Case(
            forecaster(
                normalization=name,
                linear_steps=steps,
                quantiles=(0.2, 0.8),
                scaling=scaling,
                learning_rate=1e-4,
                **MASK,
            ),
            LONG_HOLES,
        )
        for name, steps, scaling in (
            ("none", 5, "minmax"),
            ("last", 20, "minmax"),
            ("standard", 4, "standard"),
            ("standard", 0, "none"),
        )
    },
    "forecaster, missing, targets": Case(
        forecaster(
            targets=(2, 0), normalization="last", linear_steps=4, quantiles=(0.2, 0.8), **MASK
        ),
        LONG_HOLES,
    ),
    "forecaster, missing, fed back": Case(
        forecaster(horizon=None, normalization="last", decoder="previous", **MASK),
        HOLES,
        with_missing(FUTURE),
    ),
    **{
        f"forecaster, GRU, {name}": Case(forecaster(decoder=name, cell="gru"), LONG)
        for name in ("repeat", "state_previous")
    },
    "forecaster, pooling": Case(forecaster(pooling="all"), LONG),
    "forecaster, both ways": Case(forecaster(bidirectional=True), LONG),
    **{
        f"forecaster, {name}, known": Case(
            forecaster(decoder=name, targets=(2,), known=(1, 0), normalization="last"),
            LONG,
            future=KNOWN[: len(LONG), :2],
        )
        for name in (*DECODERS, "dense")
    },
    **{
        f"forecaster, {name}, known, patches": Case(
            forecaster(
                decoder=name, targets=(2, 1), known=(0,), horizon=3, patch_size=2, linear_steps=2
            ),
            LONG,
            future=KNOWN[: len(LONG), :3, :1],
        )
        for name in (*DECODERS, "dense")
    },
    "forecaster, targets": Case(
        forecaster(targets=(2, 0), normalization="standard", linear_steps=3, quantiles=(0.2, 0.8)),
        LONG,
    ),
    "forecaster, targets, given": Case(
        forecaster(targets=(1,), horizon=None, linear_steps=3), RAGGED, FUTURE[:, :, 0]
    ),
    "forecaster, known, quantiles": Case(
        forecaster(targets=(1,), known=(0, 2), linear_steps=4, quantiles=(0.1, 0.5)),
        LONG,
        future=KNOWN[: len(LONG), :2],
    ),
    "forecaster of a quantity": Case(
        forecaster(horizon=None, quantiles=(0.1, 0.9)), RAGGED, 10 + 3 * FUTURE[:, 0, 0]
    ),
    "forecaster of quantities": Case(
        forecaster(horizon=None, normalization="standard", decoder="previous"),
        RAGGED,
        FUTURE[:, :, :2] * [5, 100] + 7,
    ),
    "forecaster of a number": Case(
        forecaster(horizon=None), rows(), np.random.default_rng(5).normal(size=20)
    ),
    "forecaster of tables": Case(forecaster(horizon=None), rows(), rows(features=4)),
    "forecaster of steps": Case(forecaster(horizon=None), RAGGED, FUTURE[:, 0]),
}
CLASSIFIERS = {
    "classifier, lstm": Case(classifier(lstm(bidirectional=True)), RAGGED, LABELS),
    "classifier, GRU": Case(classifier(lstm(cell="gru", bidirectional=True)), RAGGED, LABELS),
    "classifier, narrowing": Case(classifier(lstm(units=(4, 3))), RAGGED, LABELS),
    "classifier, normalised": Case(
        classifier(lstm(normalization="standard", pooling="mean")), RAGGED, LABELS
    ),
    "classifier, clipped": Case(classifier(lstm(clip=0.5), fine_tune=True), RAGGED, LABELS),
    "classifier, dense": Case(
        classifier(lambda: DenseAutoencoder(3, **QUICK)), rows(), np.arange(20) % 3
    ),
    "classifier, images": Case(
        classifier(lambda: ConvAutoencoder(3, filters=(2,), **QUICK), fine_tune=True),
        images(),
        np.arange(11) % 2 == 0,
    ),
    "classifier, defaults": Case(
        classifier(lambda: LSTMAutoencoder(5, **QUICK), fine_tune=True), RAGGED, LABELS
    ),
    "classifier, missing": Case(classifier(lstm(**MASK)), HOLES, LABELS),
    "classifier, patches": Case(classifier(lstm(patch_size=2)), RAGGED, LABELS),
    "classifier, forecaster": Case(classifier(forecaster()), LONG, LABELS[: len(LONG)]),
}
ALL = {**AUTOENCODERS, **FORECASTERS, **CLASSIFIERS}
