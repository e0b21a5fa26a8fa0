"""Checks of what `fit` learned, except for arrays: every field, and how the fields fit together."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from unspool import _checks
from unspool._registry import CLASSIFIER, MODELS
from unspool._types import Part, names
from unspool.blueprint import Facts, complaints
from unspool.data.forms import forms_of_image
from unspool.errors import InputError
from unspool.model_file.labels import restore_labels
from unspool.model_file.reading import check_reading

MAX_SHRINKAGE = 1024  # by a convolution, unless an image or a sequence is larger

# Fields that every file has.
FITTED = (
    "part",
    "n_features",
    "table",
    "n_features_in",
    "feature_names_in",
    "max_length",
    "typical_length",
    "horizon",
    "y_ndim",
    "axes",
    "targets",
    "known",
    "n_responses",
    "window",
    "dilation",
    "max_gap",
    "reading",
    "history",
    "interrupted",
)
# Further fields of a classifier.
FITTED_CLASSIFIER = ("classes", "head_history", "autoencoder")


def check_mapping(name: str, value: Any) -> None:
    """Check that `value` is a mapping."""
    if not isinstance(value, Mapping):
        raise InputError(f"Expected `{name}` to be an object with named values, got {value!r}.")


def check_fields(name: str, value: Any, fields: Iterable[str]) -> None:
    """Check that `value` is a mapping with exactly these fields."""
    check_mapping(name, value)
    fields = set(fields)
    for field_name in sorted(fields ^ set(value)):
        problem = "has no field" if field_name in fields else "has an unknown field"
        raise InputError(f"`{name}` {problem} {field_name!r}.")


def check_fitted(fitted: Mapping[str, Any], *, classifier: bool) -> None:
    """Check the type and range of every field of `fitted`."""
    check_fields("fitted", fitted, (*FITTED, *(FITTED_CLASSIFIER if classifier else ())))
    feature_names, window, axes = fitted["feature_names_in"], fitted["window"], fitted["axes"]
    _checks.raise_all(
        _checks.whole("n_features", fitted["n_features"], 1),
        _checks.whole("n_features_in", fitted["n_features_in"], 1),
        _checks.whole("max_length", fitted["max_length"], 0),
        _checks.whole("typical_length", fitted["typical_length"], 0),
        _checks.truth("interrupted", fitted["interrupted"]),
        _checks.whole("horizon", fitted["horizon"], 0),
        _checks.whole("y_ndim", fitted["y_ndim"], 1, none=True),
        _checks.whole("n_responses", fitted["n_responses"], 0),
        *([] if fitted["targets"] is None else _checks.wholes("targets", fitted["targets"], 0)),
        *_checks.wholes("known", fitted["known"], 0),
        _checks.truth("table", fitted["table"]),
        _checks.choice("part", fitted["part"], names(Part)),
        *([] if axes is None else _checks.wholes("axes", axes, 1)),
        *([] if window is None else _checks.wholes("window", window, 1)),
        _checks.whole("dilation", fitted["dilation"], 1),
        _checks.number("max_gap", fitted["max_gap"], 0, none=True, open_left=True),
    )
    if fitted["typical_length"] > fitted["max_length"]:
        raise InputError(
            f"Expected `typical_length` of at most `max_length` ({fitted['max_length']}), got "
            f"{fitted['typical_length']}."
        )
    if window is not None and (len(window) != 2 or window[0] != fitted["max_length"]):
        raise InputError(
            f"Expected `window` to be [{fitted['max_length']}, stride], got {window!r}."
        )
    if fitted["y_ndim"] not in (None, 1, 2, 3):
        raise InputError(f"Expected `y_ndim` from 1 to 3, got {fitted['y_ndim']}.")
    if feature_names is not None and not (
        isinstance(feature_names, (list, tuple))
        and all(isinstance(name, str) for name in feature_names)
    ):
        raise InputError(
            f"Expected `feature_names_in` to be a list of strings, got {feature_names!r}."
        )
    if feature_names is not None and len(feature_names) != fitted["n_features_in"]:
        raise InputError(
            f"Expected {fitted['n_features_in']} names in `feature_names_in`, got "
            f"{len(feature_names)}."
        )
    check_reading(fitted["reading"])
    check_history(fitted["history"])


def check_features(fitted: Mapping[str, Any]) -> None:
    """`n_features_in` is the number of features, or for a table at least the values of a row."""
    features, columns = fitted["n_features"], fitted["n_features_in"]
    steps = fitted["max_length"] + (fitted["horizon"] if fitted["y_ndim"] is None else 0)
    if columns < steps * features if fitted["table"] else columns != features:
        raise InputError(
            f"`n_features_in` is {columns}, which does not fit sequences of {steps} steps and "
            f"{features} features."
        )


def check_roles(model: str, parameters: Mapping[str, Any], fitted: Mapping[str, Any]) -> None:
    """Check the places of targets and known features, and that the parameters ask for them."""
    targets, known, features = fitted["targets"], fitted["known"], fitted["n_features"]
    chosen = [*(targets or ()), *known]
    if targets == [] or len(set(chosen)) < len(chosen) or any(one >= features for one in chosen):
        raise InputError(
            f"Expected `targets` and `known` to be different places below {features}, got "
            f"{targets!r} and {known!r}."
        )
    parameter = parameters.get("targets")
    own = parameter == "y" or fitted["n_responses"] > 0
    if own and not MODELS[model].learns_horizon:
        raise InputError(
            f"Expected `n_responses` 0, because {model} predicts no quantities that are not in X, "
            f"got {fitted['n_responses']} with targets={parameter!r}."
        )
    if own and (not fitted["n_responses"] or fitted["y_ndim"] is None or chosen):
        raise InputError(
            "Expected a model of quantities that are not in X to have `n_responses` of at least 1, "
            f"`y_ndim`, and neither `targets` nor `known`, got {fitted['n_responses']}, "
            f"{fitted['y_ndim']}, {targets!r} and {known!r}."
        )
    if targets is not None and (parameter is None or len(parameter) != len(targets)):
        raise InputError(
            f"The fitted `targets`, {targets!r}, do not match the parameter, {parameter!r}."
        )
    if len(known) != len(parameters.get("known", ())):
        raise InputError(
            f"The fitted `known`, {known!r}, do not match the parameter, {parameters['known']!r}."
        )


def check_classifier(parameters: Mapping[str, Any], fitted: Mapping[str, Any]) -> None:
    """Check the further fields of a classifier, and the model that its encoder comes from."""
    _checks.raise_all(*complaints(CLASSIFIER.name, parameters))
    if isinstance(parameters["class_weight"], Mapping):
        raise InputError(
            "Expected `class_weight` to be a list of pairs of a label and its weight, got an "
            "object with named values."
        )
    if parameters["autoencoder"] is not None:
        check_fields("autoencoder", parameters["autoencoder"], ("model", "parameters"))
        check_mapping("parameters", parameters["autoencoder"]["parameters"])
    check_fields("classes", fitted["classes"], ("dtype", "values"))
    restore_labels(fitted["classes"])
    check_history(fitted["head_history"])
    inner = fitted["autoencoder"]
    check_fields("autoencoder", inner, ("model", "parameters", "history"))
    check_history(inner["history"])
    check_mapping("parameters", inner["parameters"])
    _checks.raise_all(_checks.choice("model", inner["model"], MODELS))


def check_horizon(model: str, parameters: Mapping[str, Any], fitted: Mapping[str, Any]) -> None:
    """Check that the fitted `horizon` agrees with the parameters."""
    parameter, horizon = parameters.get("horizon"), fitted["horizon"]
    from_y = MODELS[model].learns_horizon and parameter is None
    if (horizon < 1) if from_y else horizon != (parameter or 0):
        expected = "of at least 1" if from_y else f"of {parameter or 0}"
        raise InputError(f"Expected a fitted `horizon` {expected} steps, got {horizon}.")
    if horizon == 0 and fitted["y_ndim"] is not None:
        raise InputError(f"Expected `y_ndim` null without a forecast, got {fitted['y_ndim']}.")


def check_images(
    model: str, parameters: Mapping[str, Any], fitted: Mapping[str, Any], facts: Facts
) -> None:
    """`axes` fit the image, and no convolution shrinks it more than training could."""
    axes = fitted["axes"]
    if MODELS[model].reads != "images" or facts.image_shape is None:
        if axes is not None:
            raise InputError(f"Expected `axes` null in a model without images, got {axes!r}.")
        side = facts.max_length
    else:
        height, width, channels = facts.image_shape
        shape, values = facts.image_shape, height * width * channels
        if (height * width, channels) != (facts.max_length, facts.n_features):
            raise InputError(
                f"Images of shape {shape} do not fit `max_length` {facts.max_length} and "
                f"`n_features` {facts.n_features}."
            )
        if axes is None or prod(axes) != values:
            raise InputError(f"Expected `axes` whose product is {values}, got {axes!r}.")
        if tuple(axes) not in forms_of_image(shape):
            raise InputError(
                f"Expected `axes` in which images of shape {shape} can be given, got {axes!r}."
            )
        side = max(height, width)
    if MODELS[model].reads == "images":
        check_shrinkage(parameters, max(side, MAX_SHRINKAGE))


def check_shrinkage(parameters: Mapping[str, Any], limit: int) -> None:
    """Check that the stride times the pool of each convolution is at most `limit`.

    The shape of no tensor depends on them, but the decoder upsamples by their product.
    """
    count = len(parameters["filters"])
    strides, pools = (
        given if isinstance(given, (list, tuple)) else [given] * count
        for given in (parameters["strides"], parameters["pool_size"])
    )
    for stride, pool in zip(strides, pools, strict=True):
        if stride * pool > limit:
            raise InputError(
                f"Expected `strides` times `pool_size` of at most {limit}, got {stride} · {pool}."
            )


def check_history(history: Any) -> None:
    """Check that a history has a number or None (for NaN) per epoch, and the best epoch."""
    check_mapping("history", history)
    series = {k: values for k, values in history.items() if k not in ("best_epoch", "layers")}
    loss = series.get("loss")
    epochs = len(loss) if isinstance(loss, (list, tuple)) else 0
    for name, values in series.items():
        plain = isinstance(values, (list, tuple)) and len(values) == epochs > 0
        if not plain or not all(value is None or isinstance(value, float) for value in values):
            raise InputError(
                f"Expected one number per epoch for {name!r} in the history, got {values!r}."
            )
    if epochs == 0:
        raise InputError("The history has no 'loss'.")
    _checks.raise_all(_checks.whole("best_epoch", history["best_epoch"], 0))
    if history["best_epoch"] >= epochs:
        raise InputError(
            f"Expected a `best_epoch` below {epochs}, the number of epochs, got "
            f"{history['best_epoch']}."
        )
    layers = history.get("layers", [])
    if not isinstance(layers, (list, tuple)):
        raise InputError(f"Expected `layers` in the history to be a list, got {layers!r}.")
    for layer in layers:
        check_history(layer)
