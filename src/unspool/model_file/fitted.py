"""What `fit` learned that is not an array: each field looked at, and whether they fit together."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from unspool import _checks
from unspool._registry import CLASSIFIER, MODELS
from unspool.blueprint import Facts, complaints
from unspool.errors import InputError
from unspool.model_file.labels import restore_labels

PARTS = ("model", "encoder")
MOST_POOLED = 1024  # pixels or steps by one pool, unless an image is larger

# What `fit` learned that is not an array; those of a classifier have more.
FITTED = (
    "part",
    "n_features",
    "table",
    "n_features_in",
    "feature_names_in",
    "max_length",
    "horizon",
    "y_ndim",
    "axes",
    "window",
    "history",
)
OF_CLASSIFIERS = ("classes", "head_history", "autoencoder")


def check_mapping(name: str, value: Any) -> None:
    """`value` has names with values."""
    if not isinstance(value, Mapping):
        raise InputError(f"Expected `{name}` to be values by name, got {value!r}.")


def check_fields(name: str, value: Any, fields: Iterable[str]) -> None:
    """`value` has these fields, none too few or too many."""
    check_mapping(name, value)
    fields = set(fields)
    for field_name in sorted(fields ^ set(value)):
        some = "a" if field_name in fields else "no"
        raise InputError(f"Expected {some} field {field_name!r} in `{name}`.")


def check_fitted(fitted: Mapping[str, Any], *, classifier: bool) -> None:
    """Look at what `fit` learned."""
    check_fields("fitted", fitted, (*FITTED, *(OF_CLASSIFIERS if classifier else ())))
    names, window, axes = fitted["feature_names_in"], fitted["window"], fitted["axes"]
    _checks.raise_all(
        _checks.whole("n_features", fitted["n_features"], 1),
        _checks.whole("n_features_in", fitted["n_features_in"], 1),
        _checks.whole("max_length", fitted["max_length"], 0),
        _checks.whole("horizon", fitted["horizon"], 0),
        _checks.whole("y_ndim", fitted["y_ndim"], 1, none=True),
        _checks.truth("table", fitted["table"]),
        _checks.choice("part", fitted["part"], PARTS),
        *([] if axes is None else _checks.wholes("axes", axes, 1)),
        *([] if window is None else _checks.wholes("window", window, 1)),
    )
    if window is not None and (len(window) != 2 or window[0] != fitted["max_length"]):
        raise InputError(
            f"Expected `window` as {fitted['max_length']}, its size, and a stride, got {window!r}."
        )
    if fitted["y_ndim"] not in (None, 1, 2, 3):
        raise InputError(f"Expected a future `y` of 1 to 3 axes, got {fitted['y_ndim']}.")
    if names is not None and not (
        isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    ):
        raise InputError(f"Expected the names of features to be strings, got {names!r}.")
    if names is not None and len(names) != fitted["n_features_in"]:
        raise InputError(f"Expected {fitted['n_features_in']} names of features, got {len(names)}.")
    check_history(fitted["history"])


def check_features(fitted: Mapping[str, Any]) -> None:
    """The features of `X` are those of a step, or where it was a table all values of a row."""
    features, given = fitted["n_features"], fitted["n_features_in"]
    steps = fitted["max_length"] + (fitted["horizon"] if fitted["y_ndim"] is None else 0)
    if given < steps * features if fitted["table"] else given != features:
        raise InputError(
            f"Expected as many features in `X` as sequences of {steps} steps and {features} "
            f"features have, got {given}."
        )


def check_classifier(parameters: Mapping[str, Any], fitted: Mapping[str, Any]) -> None:
    """Look at what a classifier has besides, and at the model whose encoder it has."""
    _checks.raise_all(*complaints(CLASSIFIER.name, parameters))
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
    """The steps of the forecast are those that the parameters ask for."""
    asked, horizon = parameters.get("horizon"), fitted["horizon"]
    learned = MODELS[model].learns_horizon and asked is None  # from `y`
    if (horizon < 1) if learned else horizon != (asked or 0):
        expected = "of one step or more" if learned else f"of {asked or 0} steps"
        raise InputError(f"Expected a forecast {expected}, got one of {horizon}.")
    if horizon == 0 and fitted["y_ndim"] is not None:
        raise InputError("Expected no future `y` where there is no forecast, got one.")


def check_images(
    model: str, parameters: Mapping[str, Any], fitted: Mapping[str, Any], facts: Facts
) -> None:
    """Images have as many pixels as there are, and pools no more than training could bear."""
    axes = fitted["axes"]
    if not MODELS[model].reads_images or facts.image_shape is None:
        if axes is not None:
            raise InputError(f"Expected no `axes` of images in this model, got {axes!r}.")
        side = facts.max_length
    else:
        height, width, channels = facts.image_shape
        shape, values = facts.image_shape, height * width * channels
        if (height * width, channels) != (facts.max_length, facts.n_features):
            raise InputError(f"Expected images of shape {shape}, got others.")
        if axes is None or prod(axes) != values:
            raise InputError(f"Expected `axes` with the {values} values of an image, got {axes!r}.")
        side = max(height, width)
    if MODELS[model].reads_images and parameters["pool_size"] > max(side, MOST_POOLED):
        # No tensor tells its size, but the decoder enlarges by it.
        raise InputError(
            f"Expected `pool_size` of at most {max(side, MOST_POOLED)} here, "
            f"got {parameters['pool_size']}."
        )


def check_history(history: Any) -> None:
    """Losses by epoch, None where one was no number, and an epoch among them that was best."""
    check_mapping("history", history)
    series = {k: values for k, values in history.items() if k not in ("best_epoch", "layers")}
    loss = series.get("loss")
    epochs = len(loss) if isinstance(loss, (list, tuple)) else 0
    for name, values in series.items():
        plain = isinstance(values, (list, tuple)) and len(values) == epochs > 0
        if not plain or not all(value is None or isinstance(value, float) for value in values):
            raise InputError(
                f"Expected {name!r} in the history to be a number for every epoch, got {values!r}."
            )
    if epochs == 0:
        raise InputError("Expected the history to have a 'loss' for every epoch, got none.")
    _checks.raise_all(_checks.whole("best_epoch", history["best_epoch"], 0))
    if history["best_epoch"] >= epochs:
        raise InputError(
            f"Expected the best of {epochs} epochs in the history, got {history['best_epoch']}."
        )
    layers = history.get("layers", [])
    if not isinstance(layers, (list, tuple)):
        raise InputError(f"Expected the history of `layers` to be a list, got {layers!r}.")
    for layer in layers:
        check_history(layer)
