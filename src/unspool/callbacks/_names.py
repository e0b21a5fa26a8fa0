"""Names and values of a log entry, as experiment trackers store them."""

import json
from typing import Any

NOT_MEASURED = {"epoch", "epochs"}


def measured(entry: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of an "epoch", or of an "end" those of the best epoch, by name."""
    if entry["event"] == "start":
        return {}
    numbers = {
        name: float(value)
        for name, value in entry.items()
        if isinstance(value, (int, float)) and name not in NOT_MEASURED
    }
    if entry["event"] == "epoch":
        return numbers
    seconds, best = numbers.pop("seconds"), numbers.pop("best_epoch", None)
    found = {f"best_{name}": value for name, value in numbers.items()}
    return {**found, "total_seconds": seconds} | ({} if best is None else {"best_epoch": best})


def tagged(entry: dict[str, Any], name: str) -> str:
    """Return a name with the stage of the training before it."""
    stage = entry["stage"].replace(" ", "_")
    return f"{stage}/{name}" if stage else name


def text_parameters(entry: dict[str, Any]) -> dict[str, str]:
    """Return the estimator and its parameters as texts, by name."""
    parameters = {"estimator": entry["estimator"], **entry["parameters"]}
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in parameters.items()
    }
