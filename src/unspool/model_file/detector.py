"""What a fitted anomaly detector adds to a model file, each part looked at."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.anomaly.scores import SCORE_KINDS
from unspool.anomaly.thresholds import Threshold, from_plain
from unspool.blueprint import STRUCTURAL, Blueprint, Facts
from unspool.errors import InputError
from unspool.model_file.fitted import check_fields, check_mapping

# What a detector learned that is not an array, and its parameters.
FIELDS = ("parameters", "window", "of_sequences", "offset", "feature_names_in", "thresholds")
PREFIX = "detector."

Tensors = Mapping[str, npt.NDArray[Any]]


def plain_thresholds(
    thresholds: Mapping[str, Threshold],
) -> tuple[dict[str, dict[str, Any]], dict[str, npt.NDArray[Any]]]:
    """Thresholds by kind of score as numbers, and their arrays as tensors by name."""
    numbers: dict[str, dict[str, Any]] = {}
    tensors: dict[str, npt.NDArray[Any]] = {}
    for kind, threshold in thresholds.items():
        numbers[kind] = {}
        for name, value in threshold.to_plain().items():
            if isinstance(value, np.ndarray):
                tensors[f"{PREFIX}thresholds.{kind}.{name}"] = value
            else:
                numbers[kind][name] = value
    return numbers, tensors


def restored_thresholds(
    numbers: Mapping[str, Mapping[str, Any]], tensors: Tensors
) -> dict[str, Threshold]:
    """The thresholds that `plain_thresholds` made plain."""
    found = {}
    for kind in numbers:
        prefix = f"{PREFIX}thresholds.{kind}."
        arrays = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        found[kind] = from_plain({**numbers[kind], **arrays})
    return found


def scales_of(tensors: Tensors, kinds: Iterable[str]) -> dict[str, npt.NDArray[np.float64]]:
    """The error of each feature (F,) on normal data, by kind of score; (w, F) for "trailing"."""
    return {kind: tensors[f"{PREFIX}scales.{kind}"] for kind in kinds}


def check_detector(detector: Any, tensors: Tensors, facts: Facts, blueprint: Blueprint) -> None:
    """Look at all of it.

    Raises
    ------
    InputError
        Where a part is missing, or is not what it should be.
    """
    check_fields("detector", detector, FIELDS)
    check_mapping("parameters", detector["parameters"])
    check_mapping("thresholds", detector["thresholds"])
    names = detector["feature_names_in"]
    _checks.raise_all(
        _checks.whole("window", detector["window"], 1),
        _checks.truth("of_sequences", detector["of_sequences"]),
        _checks.number("offset", detector["offset"], -_checks.LARGEST),
        _checks.whole("gap", detector["parameters"].get("gap"), 1),
    )
    if not detector["of_sequences"] and detector["window"] != facts.max_length:
        raise InputError(
            f"Expected a detector with windows of {facts.max_length} steps, as its model has "
            f"them, got {detector['window']}."
        )
    without = {"trailing"} if detector["of_sequences"] else set()
    if "reconstruction" not in blueprint.decoders:
        without |= {"code"}
        if "forecast" not in blueprint.decoders:
            raise InputError("Expected a model that reconstructs or forecasts below a detector.")
    kinds = set(SCORE_KINDS) - without
    if detector["thresholds"].keys() != kinds:
        raise InputError(
            f"Expected thresholds of the scores {', '.join(sorted(kinds))}, got "
            f"{_checks.shown(list(detector['thresholds']))}."
        )
    for kind, numbers in detector["thresholds"].items():
        check_mapping(f"thresholds.{kind}", numbers)
    _check_model(detector["parameters"]["model"])
    n_features = facts.n_features
    if names is not None and not (
        isinstance(names, (list, tuple))
        and len(names) == n_features
        and all(isinstance(name, str) for name in names)
    ):
        raise InputError(f"Expected {n_features} names of features, got {_checks.shown(names)}.")
    known: dict[str, tuple[tuple[int, ...], str]] = {
        f"{PREFIX}scales.{kind}": ((n_features,), "<f8") for kind in kinds
    }
    if "trailing" in kinds:
        known[f"{PREFIX}scales.trailing"] = ((detector["window"], n_features), "<f8")
    if "code" in kinds:
        count = max(1, *tensors.get(f"{PREFIX}codes", np.empty(0)).shape[:1])
        known[f"{PREFIX}codes"] = ((count, blueprint.encoder.latent_dim), "<f4")
    for name, (shape, dtype) in known.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.dtype(dtype):
            got = "none" if tensor is None else f"{tensor.dtype} of shape {tensor.shape}"
            raise InputError(
                f"Expected {np.dtype(dtype)} of shape {shape} in the tensor {name!r}, got {got}."
            )
        if not np.isfinite(tensor).all():
            raise InputError(f"Expected finite numbers, but the tensor {name!r} holds others.")
    if not all((one > 0).all() for one in scales_of(tensors, kinds).values()):
        raise InputError("Expected a positive normal error for each feature, got others.")
    thresholds = restored_thresholds(detector["thresholds"], tensors)
    kind = detector["parameters"].get("kind")
    _checks.raise_all(_checks.choice("kind", kind, thresholds))
    arrays = {
        f"{PREFIX}thresholds.{k}.{n}" for k, one in thresholds.items() for n in one.to_plain()
    }
    odd = sorted(n for n in tensors if n.startswith(PREFIX) and n not in known and n not in arrays)
    if odd:
        raise InputError(f"Expected no tensor {odd[0]!r} in this detector.")


def _check_model(model: Any) -> None:
    """The parameter `model` is None, or the class and the parameters of a model of unspool."""
    if model is None:
        return
    check_fields("model", model, ("model", "parameters", "frozen"))
    check_mapping("parameters", model["parameters"])
    _checks.raise_all(
        _checks.choice("model", model["model"], STRUCTURAL),
        _checks.truth("frozen", model["frozen"]),
    )
