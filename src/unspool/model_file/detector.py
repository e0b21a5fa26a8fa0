"""What a fitted anomaly detector adds to a model file: conversion and checks."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._registry import MODELS
from unspool.anomaly.scores import SCORE_KINDS
from unspool.anomaly.thresholds import Threshold, from_plain
from unspool.blueprint import Blueprint, Facts
from unspool.errors import InputError
from unspool.model_file.fitted import check_fields, check_mapping

# Fields of `detector` in the header.
FIELDS = (
    "parameters",
    "window",
    "dilation",
    "max_gap",
    "of_sequences",
    "offset",
    "feature_names_in",
    "thresholds",
)
PREFIX = "detector."

Tensors = Mapping[str, npt.NDArray[Any]]


def plain_thresholds(
    thresholds: Mapping[str, Threshold],
) -> tuple[dict[str, dict[str, Any]], dict[str, npt.NDArray[Any]]]:
    """Convert thresholds, by kind of score, to plain numbers and to tensors by name."""
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
    """Convert the result of `plain_thresholds` back to thresholds."""
    thresholds = {}
    for kind in numbers:
        prefix = f"{PREFIX}thresholds.{kind}."
        arrays = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        thresholds[kind] = from_plain({**numbers[kind], **arrays})
    return thresholds


def scales_of(tensors: Tensors, kinds: Iterable[str]) -> dict[str, npt.NDArray[np.float64]]:
    """Return the mean errors (F,) on normal data by kind of score; (w, F) for "trailing"."""
    return {kind: tensors[f"{PREFIX}scales.{kind}"] for kind in kinds}


def check_detector(detector: Any, tensors: Tensors, facts: Facts, blueprint: Blueprint) -> None:
    """Check the field `detector` and the tensors of a detector.

    Raises
    ------
    InputError
        If a part is missing, has another type, shape or range, or does not fit the model.
    """
    check_fields("detector", detector, FIELDS)
    check_mapping("parameters", detector["parameters"])
    check_mapping("thresholds", detector["thresholds"])
    names = detector["feature_names_in"]
    _checks.raise_all(
        _checks.whole("window", detector["window"], 1),
        _checks.whole("dilation", detector["dilation"], 1),
        _checks.number("max_gap", detector["max_gap"], 0, none=True, open_left=True),
        _checks.truth("of_sequences", detector["of_sequences"]),
        _checks.number("offset", detector["offset"], -_checks.LARGEST),
        _checks.whole("gap", detector["parameters"].get("gap"), 1),
    )
    if not detector["of_sequences"] and detector["window"] != facts.max_length:
        raise InputError(
            f"Expected `window` {facts.max_length} in the detector, as in its model, got "
            f"{detector['window']}."
        )
    if facts.n_responses or facts.known:
        raise InputError(
            "Expected a detector whose model has `n_responses` 0 and no `known`, got "
            f"{facts.n_responses} and {list(facts.known)}."
        )
    unavailable = {"trailing"} if detector["of_sequences"] else set()
    if "reconstruction" not in blueprint.decoders:
        unavailable |= {"code"}
        if "forecast" not in blueprint.decoders:
            raise InputError("A detector needs a model that reconstructs or forecasts.")
    kinds = set(SCORE_KINDS) - unavailable
    if detector["thresholds"].keys() != kinds:
        raise InputError(
            f"Expected thresholds for the scores {', '.join(sorted(kinds))}, got "
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
        raise InputError(
            f"Expected {n_features} strings in `feature_names_in` of the detector, got "
            f"{_checks.shown(names)}."
        )
    known: dict[str, tuple[tuple[int, ...], str]] = {
        f"{PREFIX}scales.{kind}": ((facts.n_outputs,), "<f8") for kind in kinds
    }
    if "trailing" in kinds:
        known[f"{PREFIX}scales.trailing"] = ((detector["window"], facts.n_outputs), "<f8")
    if "code" in kinds:
        count = max([1, *tensors.get(f"{PREFIX}codes", np.empty(0)).shape[:1]])
        known[f"{PREFIX}codes"] = ((count, blueprint.encoder.latent_dim), "<f4")
    for name, (shape, dtype) in known.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.dtype(dtype):
            got = "no tensor" if tensor is None else f"{tensor.dtype} of shape {tensor.shape}"
            raise InputError(
                f"Expected {np.dtype(dtype)} of shape {shape} in the tensor {name!r}, got {got}."
            )
        if not np.isfinite(tensor).all():
            raise InputError(f"The tensor {name!r} contains NaN or infinity.")
    for name, scale in scales_of(tensors, kinds).items():
        if not (scale > 0).all():
            raise InputError(f"Expected positive numbers in the tensor '{PREFIX}scales.{name}'.")
    thresholds = restored_thresholds(detector["thresholds"], tensors)
    kind = detector["parameters"].get("kind")
    _checks.raise_all(_checks.choice("kind", kind, thresholds))
    arrays = {
        f"{PREFIX}thresholds.{kind}.{name}"
        for kind, threshold in thresholds.items()
        for name in threshold.to_plain()
    }
    unknown = {n for n in tensors if n.startswith(PREFIX)} - known.keys() - arrays
    if unknown:
        raise InputError(f"Unknown tensor {min(unknown)!r}: this detector has no such part.")


def _check_model(model: Any) -> None:
    """Check that `model` is None, or class name and parameters of an unspool model."""
    if model is None:
        return
    check_fields("model", model, ("model", "parameters", "frozen"))
    check_mapping("parameters", model["parameters"])
    _checks.raise_all(
        _checks.choice("model", model["model"], MODELS),
        _checks.truth("frozen", model["frozen"]),
    )
