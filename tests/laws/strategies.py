"""Models, data and forms of data, drawn by Hypothesis.

A configuration is an estimator with some parameters that fit together. `fitted` trains its model
for one step and redraws the weights, since those after one step say little; models are cached.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import unspool
from tests.trained import redraw
from unspool import Sequences
from unspool.blueprint import Facts, blueprint, definition
from unspool.data.convert import plain
from unspool.errors import (
    InputError,
    NoBetterThanMeanWarning,
    OverlapWarning,
    UnstableTrainingWarning,
)

# For laws whose examples take a millisecond.
cheap = settings(max_examples=max(100, settings.default.max_examples))
STEPS = 6  # of the longest sequence in `fit`
ROW = 5  # columns of a table of rows
IMAGE = (4, 3)
COMMON = {"batch_size": 4, "random_state": 0, "verbose": 0}
ONCE = {**COMMON, "epochs": 1, "validation_split": 0.0}
ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax")
DECODERS = (
    *("repeat", "reversed_input", "previous", "state", "state_reversed_input", "state_previous"),
    *("state_repeat", "reshape", "flat", "dense"),
)
LOSSES = ("mse", "mae", "huber", "binary_crossentropy", {0: "mae"})
TRAINING = {
    "input_noise": (0.1,),
    "input_dropout": (0.0, 0.3),
    "code_dropout": (0.0, 0.2),
    "optimizer": ("adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "sgd"),
    "learning_rate_schedule": ("constant", "reduce_on_plateau"),
    "metrics": (("mae",), ("huber", "mse")),
    "feature_weight": ((2.0,), (0.5, 1.0), (1.0, 0.0, 3.0)),
}
DATA = {
    "loss": LOSSES,
    "missing": ("mask",),
    "scaling": ("minmax", "robust", "none"),
    "clip": (0.5, 2.0),
    "targets": ((0,), (1,), (2, 0)),
}
LSTM = {
    **TRAINING,
    **DATA,
    "units": (1, 4, (3,), (4, 2)),
    "decoder_units": (3, (2, 4)),
    "num_layers": (2,),
    "pooling": ("last", "mean", "max", "mean_max", "all"),
    "patch_size": (1, 2, 3, 7, "auto"),
    "conv_filters": ((3,), (2, 4)),
    "conv_kernel_size": (1, 2, 4),
    "conv_pool_size": (1, 3),
    "conv_padding": ("causal", "valid"),
    "bidirectional": (False, True, "encoder", "decoder"),
    "decoder": DECODERS,
    "head_units": ((3,), (2, 3), None),
    "head_activation": ACTIVATIONS,
    "output_activation": ACTIVATIONS,
    "code_activation": ACTIVATIONS,
    "cell": ("gru",),
    "activation": ("relu",),
    "recurrent_activation": ("hard_sigmoid",),
    "recurrent_dropout": (0.2,),
    "backend": ("compiled", "torch", "stepwise"),
    "known": ((0,), (1,), (2, 1)),
    "horizon": (1, 2),
}
FEEDFORWARD = {
    **TRAINING,
    **DATA,
    "normalization": ("standard", "last"),
    "activation": ACTIVATIONS,
    "output_activation": ACTIVATIONS,
    "code_l1": (0.1,),
    "kl_weight": (0.1,),
}
PARAMETERS: dict[str, Mapping[str, tuple[Any, ...]]] = {
    "LSTMAutoencoder": {
        **LSTM,
        "normalization": ("standard", "last"),
        "n_kernels": (0, 3),
        "reverse_target": (True,),
        "forecast_decoder": DECODERS,
        "contrastive_weight": (0.1,),
        "code_l1": (0.1,),
        "kl_weight": (0.1,),
        "teacher_forcing": (0.0, 0.5),
    },
    "LSTMForecaster": {
        **LSTM,
        "normalization": ("none", "standard", "last"),
        "linear_steps": (0, 2, 9),
        "quantiles": ((0.5,), (0.1, 0.9)),
        "every_step": (True,),
        "teacher_forcing": (0.0, 0.5),
    },
    "DenseAutoencoder": {
        **FEEDFORWARD,
        "hidden_units": ((3,), (4, 3)),
        "decoder_units": ((2,), ()),
        "code_activation": ACTIVATIONS,
    },
    "StackedAutoencoder": {
        **{k: v for k, v in FEEDFORWARD.items() if k not in ("code_dropout", "targets")},
        "hidden_units": ((3,), (4, 3)),
        "fine_tune": (True,),
    },
    "ConvAutoencoder": {
        **FEEDFORWARD,
        "filters": ((2,), (3, 2)),
        "kernel_size": (2, 3),
        "strides": (2, 3),
        "pool_size": (1, 2, 3),
        "upsampling": ("transposed",),
        "code_activation": ACTIVATIONS,
    },
}
FORMS = {
    "LSTMAutoencoder": ("sequences", "table"),
    "LSTMForecaster": ("sequences", "table"),
    "DenseAutoencoder": ("sequences", "rows"),
    "StackedAutoencoder": ("sequences", "rows"),
    "ConvAutoencoder": ("sequences", "images"),
}
NEEDED = {
    "LSTMForecaster": {"horizon": 2, "code_dropout": 0.0},
    "LSTMAutoencoder": {"n_kernels": 0},
    "StackedAutoencoder": {"hidden_units": (3,)},
    "ConvAutoencoder": {"filters": (2,)},
}


@dataclass(frozen=True)
class Configuration:
    """An estimator, its parameters, and the data that it is fitted on.

    Parameters
    ----------
    estimator : str
        Name of the class.
    given : tuple of (str, value)
        Parameters; a dict is a tuple of its items.
    form : {"sequences", "table", "rows", "images"}
    n_features : int
        Features of a step; of a row for "rows".
    classifier : bool
        Whether an `EncoderClassifier` is fitted over the model.
    """

    estimator: str
    given: tuple[tuple[str, Any], ...]
    form: str
    n_features: int
    classifier: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        loss = dict(self.given).get("loss")
        more = {"loss": dict(loss)} if isinstance(loss, tuple) else {}
        return {**ONCE, **NEEDED.get(self.estimator, {}), **dict(self.given), **more}

    def make(self, **parameters: Any) -> Any:
        return getattr(unspool, self.estimator)(**{**self.parameters, **parameters})

    @property
    def masks(self) -> bool:
        return self.parameters.get("missing") == "mask"

    @property
    def horizon(self) -> int:
        return self.parameters.get("horizon") or 0

    @property
    def n_known(self) -> int:
        return len(self.parameters.get("known", ()))

    @property
    def in_unit_interval(self) -> bool:
        return self.parameters.get("loss") == "binary_crossentropy"

    @property
    def exact(self) -> bool:
        """Whether a sequence has the same bits alone and in a batch."""
        return self.parameters.get("backend", "auto") in ("auto", "compiled")


def _facts(configuration: Configuration) -> Facts:
    width = configuration.n_features
    image = (*IMAGE, width) if configuration.form == "images" else None
    steps = {"rows": 1, "images": IMAGE[0] * IMAGE[1]}.get(configuration.form, STEPS)
    p = configuration.parameters
    return Facts(
        width, steps, configuration.horizon, image, None, p.get("targets"), p.get("known", ())
    )


def _fits(configuration: Configuration) -> bool:
    """Return whether the parameters fit together and with the data."""
    p, width = configuration.parameters, configuration.n_features
    outputs = len(p["targets"]) if p.get("targets") else width
    places = (*(p.get("targets") or ()), *p.get("known", ()))
    loss = p.get("loss")
    if len(set(places)) < len(places) or max(places, default=0) >= width:
        return False
    if len(p.get("feature_weight", [1] * outputs)) != outputs:
        return False
    if isinstance(loss, dict) and (set(loss) - set(range(width)) or p.get("targets")):
        return False
    if configuration.in_unit_interval and p.get("scaling") != "none":
        return False
    given = {**configuration.make().get_params(deep=False)}
    if any(definition(configuration.estimator).complaints(given)):
        return False
    raw = p.get("scaling") == "none" and not configuration.in_unit_interval
    if "kl_weight" in p and raw:  # exp of the log variance overflows
        return False
    other_cells = p.get("activation") == "relu" or "recurrent_activation" in p
    if p.get("backend") == "torch" and other_cells:
        return False
    if configuration.form == "rows" and p.get("normalization", "none") != "none":
        return False
    try:
        blueprint(configuration.estimator, given, _facts(configuration))
    except InputError:
        return False
    return True


def _plain(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else value


@st.composite
def configurations(
    draw: st.DrawFn,
    estimators: tuple[str, ...] = tuple(PARAMETERS),
    forms: tuple[str, ...] = ("sequences", "table", "rows", "images"),
    classifiers: bool = False,
    required: tuple[tuple[str, Any], ...] = (),
    excluded: tuple[str, ...] = (),
) -> Configuration:
    """Draw an estimator and parameters that fit together.

    A parameter that does not fit to those before it is left out.
    """
    weighted = [one for one in estimators for _ in range(1 + 2 * ("LSTM" in one))]
    estimator = draw(st.sampled_from(weighted))
    form = draw(st.sampled_from([one for one in FORMS[estimator] if one in forms]))
    width = 1 if form == "table" else ROW if form == "rows" else draw(st.sampled_from((3, 1, 2, 5)))
    classifier = classifiers and estimator != "LSTMForecaster" and draw(st.integers(0, 3)) == 3
    choices = {
        name: st.sampled_from(values)
        for name, values in PARAMETERS[estimator].items()
        if name not in excluded and name not in dict(required)
    }
    chosen = draw(
        st.lists(
            st.sampled_from(sorted(choices)),
            min_size=draw(st.sampled_from((0, 3, 6))),
            max_size=8,
            unique=True,
        ).flatmap(lambda names: st.fixed_dictionaries({name: choices[name] for name in names}))
    )
    chosen["latent_dim"] = draw(st.integers(1, 5))
    found = Configuration(estimator, required, form, width, classifier)
    for name, value in chosen.items():
        more = {name: value}
        if value == "binary_crossentropy":
            more |= {"scaling": "none"}
        given = {**dict(found.given), **{k: _plain(v) for k, v in more.items()}}
        changed = Configuration(estimator, tuple(given.items()), form, width, classifier)
        if _fits(changed):
            found = changed
    return found


def values_of(rng: np.random.Generator, shape: tuple[int, ...], *, unit: bool) -> Any:
    """Values in other units by feature, which are the last axis; in [0, 1] if `unit`."""
    if unit:
        return rng.uniform(size=shape)
    scale = np.array([1.0, 20.0, 0.3, 1.0, 5.0])[: shape[-1]]
    return rng.normal(size=shape) * scale + 3 * scale


def with_holes(rng: np.random.Generator, values: Any, share: float = 0.2) -> Any:
    holed = np.array(values)
    holed[rng.random(holed.shape) < share] = np.nan
    return holed


def data_of(
    configuration: Configuration,
    rng: np.random.Generator,
    n: int,
    lengths: Any = None,
) -> Any:
    """Return `n` sequences, rows or images for a model of this configuration."""
    width, unit = configuration.n_features, configuration.in_unit_interval
    shape = {
        "sequences": (n, STEPS, width),
        "table": (n, STEPS, 1),
        "rows": (n, width),
        "images": (n, *IMAGE, width),
    }[configuration.form]
    values = values_of(rng, shape, unit=unit)
    if configuration.masks:
        values = with_holes(rng, values)
    if configuration.form == "table":
        values = values[:, :, 0]
        if configuration.masks:
            values[:, -1] = 0.5  # NaN at the end would be padding
    if configuration.form != "sequences":
        return values
    if lengths is None:
        lengths = np.full(n, STEPS)
    missing = "mask" if configuration.masks else "raise"
    return Sequences(values, lengths, missing=missing)


seeds = st.integers(0, 2**32 - 1)


@st.composite
def examples(draw: st.DrawFn, configuration: Configuration, n: int | None = None) -> Any:
    """Draw data that the model of a configuration reads: up to 9 sequences of 0 to STEPS steps."""
    n = draw(st.sampled_from((1, 9, 6, 4, 7, 2))) if n is None else n
    rng = np.random.default_rng(draw(seeds))
    return data_of(configuration, rng, n, rng.integers(0, STEPS + 1, n))


def futures_of(configuration: Configuration, n: int) -> Any:
    """Return the known features of the steps after `n` sequences; None for a model without any."""
    if not configuration.n_known:
        return None
    shape = (n, configuration.horizon, configuration.n_known)
    return np.random.default_rng(n).normal(size=shape)


def train(configuration: Configuration, **parameters: Any) -> Any:
    """Fit a model of this configuration for an epoch of two steps."""
    return fit(configuration.make(**parameters), configuration, training_data(configuration))


def training_data(configuration: Configuration) -> Any:
    """Return eight sequences, rows or images to fit a model of this configuration on."""
    rng = np.random.default_rng(0)
    n, longer = 8, configuration.horizon  # fit cuts the steps of the forecast off
    X = data_of(configuration, rng, n, np.array([STEPS, STEPS, 4, 6, 5, 3, 6, 4]))
    if longer:
        more = values_of(
            rng, (n, STEPS + longer, configuration.n_features), unit=configuration.in_unit_interval
        )
        lengths = np.array([6, 6, 4, 5, 2, 6, 1, 6]) + longer
        X = more[:, :, 0] if configuration.form == "table" else Sequences(more, lengths)
    return X


def fit(model: Any, configuration: Configuration, X: Any, **arguments: Any) -> Any:
    """Fit without the warnings that so short a training gives rise to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoBetterThanMeanWarning)
        warnings.simplefilter("ignore", OverlapWarning)
        warnings.simplefilter("ignore", UnstableTrainingWarning)
        if not configuration.classifier:
            return model.fit(X, **arguments)
        labels = np.array(["a", "b", "c"])[np.arange(len(plain(X))) % 3]
        whole = unspool.EncoderClassifier(model, head_units=(3,), **{**COMMON, "epochs": 1})
        return whole.fit(X, labels, **arguments)


@lru_cache(maxsize=256)
def fitted(configuration: Configuration) -> Any:
    """Return a fitted model with redrawn weights; the result is shared, so do not change it."""
    return redraw(train(configuration))


def outputs(model: Any, X: Any, future: Any = None) -> dict[str, Any]:
    """Return everything that a model computes of `X`, one row for each sequence."""
    if hasattr(model, "predict_proba"):
        return {"probabilities": model.predict_proba(X)}
    found = {}
    if hasattr(model, "transform"):
        found["codes"] = model.transform(X)
        found["reconstructions"] = model.reconstruct(X)
        for per in ("sequence", "step", ("step", "feature")):
            found[f"errors by {per}"] = model.reconstruction_error(X, per=per)
    if getattr(model, "horizon_", 0):
        found["forecasts"] = model.forecast(X, future)
        if getattr(model, "quantiles", ()):
            found["quantiles"] = model.predict_quantiles(X, future)
    if hasattr(model, "features"):
        found["features"] = model.features(X, scales=(1, 2))
    return found


def assert_same(expected: Mapping[str, Any], got: Mapping[str, Any], *, exact: bool = True) -> None:
    """Compare outputs: to the bit, or up to rounding of float32.

    Values past the end of a sequence are NaN, and arrays may have other numbers of such steps.
    """
    assert expected.keys() == got.keys()
    for name, one in expected.items():
        first, second = np.asarray(one), np.asarray(got[name])
        if first.ndim > 1 and first.shape[1] != second.shape[1]:
            steps = min(first.shape[1], second.shape[1])
            assert np.isnan(first[:, steps:]).all(), name
            assert np.isnan(second[:, steps:]).all(), name
            first, second = first[:, :steps], second[:, :steps]
        if exact:
            np.testing.assert_array_equal(second, first, name)
        else:
            assert_close(first, second, name)


def assert_close(first: Any, second: Any, name: str, rtol: float = 2e-5) -> None:
    scale = float(np.nanmax(np.abs(first), initial=1e-3))
    np.testing.assert_allclose(second, first, rtol=rtol, atol=rtol * scale, err_msg=name)
