"""`unspool inspect`: print what a model file holds."""

from math import isfinite
from pathlib import Path
from typing import Any

from unspool.cli.options import ModelOrDetector

EXAMPLE = "unspool inspect etth1.unspool"


def inspect(model: ModelOrDetector) -> None:
    """Print a model's parameters, features, training, layers with their shapes, and backends.

    For a detector (`unspool detect --save`), its kind of score and its threshold are printed too.
    For a checkpoint (`unspool fit --checkpoint`), the model and how far its training has come are
    printed.
    """
    from rich.table import Table

    from unspool._terminal import console, printable_line
    from unspool.cli.reading import as_flags, reading_of
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.loading import load
    from unspool.model_file import read
    from unspool.model_file.checkpoint_file import is_checkpoint
    from unspool.nn import summary

    if is_checkpoint(model):
        _inspect_checkpoint(model)
        return
    contents = read(model)
    whole: Any = load(model, device="cpu")
    detector = whole if isinstance(whole, AnomalyDetector) else None
    whole = whole if detector is None else detector.model_
    defaults = type(whole)().get_params(deep=False)
    trained: Any = getattr(whole, "autoencoder_", whole)  # the encoder of a classifier
    changed = {
        name: value
        for name, value in whole.get_params(deep=False).items()
        if value != defaults[name] and name not in ("device", "verbose")  # of a run
    }
    facts = {"model": type(whole).__name__}
    if whole is not trained:
        facts["encoder of"] = type(trained).__name__
        facts["classes"] = ", ".join(map(str, whole.classes_))
    parameters = ", ".join(f"{k}={v!r}" for k, v in changed.items())
    facts["parameters"] = parameters or "all at their defaults"
    names = getattr(trained, "feature_names_in_", None)
    features = f"{trained.scaler_.shift.size}"
    if names is not None and len(names) == trained.scaler_.shift.size:
        features += f": {', '.join(map(str, names))}"
    facts["features"] = features
    known_names = trained._form.feature_names or range(trained._form.n_features)
    if trained._form.n_responses:
        facts["targets"] = f"{trained._form.n_responses} in y, which is no feature"
    elif trained._form.targets is not None:
        facts["targets"] = ", ".join(str(known_names[place]) for place in trained.targets_)
    if trained._form.known:
        facts["known ahead"] = ", ".join(str(known_names[place]) for place in trained._form.known)
    if trained.window_ is not None:
        facts["windows"] = f"{trained.window_[0]} steps, stride {trained.window_[1]}"
        if trained.dilation_ > 1:
            facts["windows"] += f", dilation {trained.dilation_}"
        if trained.max_gap_ is not None:
            facts["windows"] += f", no gap above {trained.max_gap_:g}"
    if reading := reading_of(trained):
        facts["read with"] = as_flags(reading)
    facts["longest sequence"] = f"{trained.max_length_} steps"
    if getattr(trained, "patch_size_", 1) > 1:
        facts["patches"] = f"{trained.patch_size_} steps"
    history, best = whole.history_, whole.history_["best_epoch"]
    losses = f"loss {history['loss'][best]:.4g}"
    if "val_loss" in history:
        losses += f", validation {history['val_loss'][best]:.4g}"
    training = f"{len(history['loss'])} epochs, weights of epoch {best + 1} kept: {losses}"
    if not isfinite(history["loss"][best]):  # `from_keras` sets NaN
        training = "unknown, the model was imported"
    facts["training"] = training
    if detector is not None:
        facts |= _of_detector(detector)
    facts["written by"] = ", ".join(f"{name} {v}" for name, v in contents.versions.items())

    backends = Table("layer", "runs on", box=None, pad_edge=False)
    for name, backend in trained.module_.backends().items():
        backends.add_row(name, backend)

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, fact in facts.items():
        table.add_row(name, printable_line(fact))
    out = console()
    out.print(table)
    out.print(f"\n{summary(trained)}\n")
    if backends.row_count:
        out.print(backends)


def _inspect_checkpoint(path: Path) -> None:
    """Print what fit a checkpoint belongs to, and how far it has come."""
    from rich.table import Table

    from unspool._terminal import console, printable_line
    from unspool.model_file.checkpoint_file import read_checkpoint

    facts, tree, versions = read_checkpoint(path)
    rows = {"checkpoint of a fit of": str(facts["model"])}
    if facts["stage"]:
        rows["stage"] = facts["stage"].removesuffix(": ")
    rows["training"] = f"{facts['epoch']} of {facts['epochs']} epochs done"
    stages = list(tree["stages"].values())
    if stages and facts["epoch"]:
        series = stages[-1]["series"]
        losses = {name: series[name][-1] for name in ("loss", "val_loss") if name in series}
        rows["training"] += "".join(f", {name} {loss:.4g}" for name, loss in losses.items())
    rows["state"] = (
        "the fit has ended; more epochs continue it"
        if facts["finished"]
        else "the command or call that wrote it continues from it"
    )
    rows["written by"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, row in rows.items():
        table.add_row(name, printable_line(row))
    console().print(table)


def _of_detector(detector: Any) -> dict[str, str]:
    """Return how a detector scores, and its threshold."""
    parameters = detector._parameters
    threshold = detector.thresholds_[parameters["kind"]]
    of = "whole sequences" if detector._of_sequences else f"windows of {detector.window_} steps"
    rate = f"rate {threshold.rate:g}"
    if threshold.kind == "alarms":
        rate = f"{threshold.rate:g} alarms in {threshold.steps_per_period:g} steps"
    if threshold.kind == "moving":
        rate += f", memory {threshold.memory:,}"
    return {
        "detector": (
            f"score {parameters['kind']} of {of}; events are at least {parameters['gap']} steps "
            "apart"
        ),
        "threshold": (
            f"{threshold.kind}, {rate}; it starts at {threshold.start:.4g}, from "
            f"{threshold.n_scores:,} normal scores, which are worth {threshold.n_effective:,.3g} "
            "independent ones"
        ),
    }
