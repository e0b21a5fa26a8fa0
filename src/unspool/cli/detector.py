"""The anomaly detector that `unspool detect` works with: its options, and where it comes from."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli import options

if TYPE_CHECKING:
    from unspool.cli.steps import Steps
    from unspool.estimators.anomaly_detector import AnomalyDetector

# Parameters of `AnomalyDetector` that have no flag of their own.
BY_SET = ("calibration_split", "contamination", "period")


class Kind(StrEnum):
    """The kind of score."""

    window = "window"
    step = "step"
    trailing = "trailing"
    code = "code"


class Threshold(StrEnum):
    """How the threshold is found."""

    moving = "moving"
    quantile = "quantile"
    pareto = "pareto"
    alarms = "alarms"


@dataclass(frozen=True)
class Detecting:
    """How to detect: the options that become parameters of an `AnomalyDetector`."""

    kind: Annotated[
        Kind | None,
        typer.Option(
            help="The kind of score. window (the default) ranks best; step locates best, and keeps "
            "rates; trailing does not depend on later steps; code finds patterns that are new."
        ),
    ] = None
    threshold: Annotated[
        Threshold | None,
        typer.Option(
            help="moving (the default) is a quantile of the last scores; quantile and pareto use "
            "normal scores alone; alarms is for --alarms-per-day."
        ),
    ] = None
    rate: Annotated[
        float | None,
        typer.Option(help="Share of normal steps that may be false alarms; 0.005 by default."),
    ] = None
    alarms_per_day: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="Allow N false alarms a day, instead of --rate; DATA need dates."
        ),
    ] = None
    memory: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Scores that a moving threshold remembers; by default as many as its rate needs.",
        ),
    ] = None
    gap: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Alarms less than N steps apart are one event; 16 by default."
        ),
    ] = None
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Steps that the model reads at once; 64 by default, fewer for short data.",
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other parameter of the model that is trained (an LSTMAutoencoder), or of "
            "AnomalyDetector; repeatable.",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(help="Makes the run repeatable.")] = None

    def given(self) -> list[str]:
        """The flags that were given."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return [flag(name) for name, value in values.items() if value not in (None, [], ())]

    def parameters(self, per_day: float | None, name: str) -> dict[str, Any]:
        """Parameters of an `AnomalyDetector`.

        Parameters
        ----------
        per_day : float or None
            Steps of a day in the normal data, where they are known.
        name : str
            Of the file that holds those.
        """
        from unspool import _checks
        from unspool.errors import InputError

        found: dict[str, Any] = {
            "kind": self.kind and self.kind.value,
            "threshold": self.threshold and self.threshold.value,
            "rate": self.rate,
            "memory": self.memory,
            "gap": self.gap,
            "window": self.window,
            "random_state": self.seed,
        }
        if self.alarms_per_day is not None:
            if self.rate is not None or self.threshold not in (None, Threshold.alarms):
                raise InputError(
                    "--alarms-per-day is a rate with a threshold of its own; leave out --rate and "
                    "--threshold."
                )
            _checks.raise_all(
                _checks.number("--alarms-per-day", self.alarms_per_day, 0, open_left=True)
            )
            if per_day is None:
                raise InputError(
                    f"--alarms-per-day needs dates, to know the steps of a day, and {name} has "
                    "none: name their column with --time, or say the number of steps: --threshold "
                    "alarms --rate N --set period=STEPS."
                )
            found |= {"threshold": "alarms", "rate": self.alarms_per_day, "period": per_day}
        return {name: value for name, value in found.items() if value is not None}


def flag(name: str) -> str:
    """What a parameter is on the command line."""
    renamed = {"random_state": "seed", "settings": "set"}
    return "--" + renamed.get(name, name).replace("_", "-")


@contextmanager
def in_flags(*, per_day: bool = False) -> Iterator[None]:
    """Let errors and warnings name flags where they name parameters of `AnomalyDetector`.

    Parameters
    ----------
    per_day : bool
        Periods are days.
    """
    import warnings

    from unspool.errors import (
        InputError,
        NoBetterThanMeanWarning,
        ThresholdWarning,
        UnstableTrainingWarning,
    )

    told: set[str] = set()

    def said(message: Warning | str, *_: Any, **__: Any) -> None:
        text = f"warning: {_flagged(str(message))}"
        if per_day:
            text = text.replace("per period", "per day")
        if text not in told:
            told.add(text)
            options.say(text)

    try:
        with warnings.catch_warnings():
            for kind in (NoBetterThanMeanWarning, ThresholdWarning, UnstableTrainingWarning):
                warnings.simplefilter("always", kind)
            warnings.showwarning = said
            yield
    except InputError as error:
        renamed = type(error)(_flagged(str(error)))
        for note in getattr(error, "__notes__", ()):
            renamed.add_note(note)
        raise renamed from None


def _flagged(text: str) -> str:
    """A message with flags for the parameters in it."""
    from unspool.estimators.lstm_autoencoder import LSTMAutoencoder

    flags = {one.name for one in fields(Detecting)} | {"random_state", "device", "model"}
    others = {*BY_SET, *LSTMAutoencoder().get_params(deep=False)} - flags

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name in flags:
            return flag(name)
        return f"--set {name}" if name in others else match[0]

    return re.sub(r"`(\w+)`", one, text)


def stored(path: Path, device: str) -> "tuple[AnomalyDetector | None, Any]":
    """The detector in a file, and the model in it; a detector's own is not given again."""
    from unspool.errors import InputError
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.base import Model
    from unspool.estimators.loading import load

    loaded: Any = load(path, device=device)
    if isinstance(loaded, AnomalyDetector):
        return loaded, None
    if not isinstance(loaded, Model):
        raise InputError(
            f"{path} holds an {type(loaded).__name__}, which does not reconstruct; give the file "
            "of an autoencoder, a forecaster or a detector with --model, or leave it out."
        )
    return None, loaded


def unfitted(
    wanted: Detecting, model: Any, normal: "Steps", *, device: str, quiet: bool
) -> "AnomalyDetector":
    """A detector of the options: over `model`, which is fitted, or one to train on `normal`."""
    from sklearn.frozen import FrozenEstimator

    from unspool.cli.fit import parse_settings
    from unspool.errors import InputError
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.lstm_autoencoder import LSTMAutoencoder

    parameters = wanted.parameters(normal.per_day(), normal.name)
    detector = AnomalyDetector(**parameters, device=device, verbose=0 if quiet else 1)
    own = dict.fromkeys(BY_SET)
    others = {} if model is not None else LSTMAutoencoder().get_params(deep=False)
    given = parse_settings(wanted.settings or [], {**own, **others})
    detector.set_params(**{key: value for key, value in given.items() if key in own})
    if detector.threshold == "alarms" and detector.period is None:
        raise InputError(
            "--threshold alarms needs to know of how many: give --alarms-per-day N, or --rate N "
            "and --set period=STEPS."
        )
    rest = {key: value for key, value in given.items() if key not in own}
    if rest:
        detector.set_params(model=_default_model(detector, normal.X).set_params(**rest))
    if model is not None:
        if wanted.window is not None:
            raise InputError(
                "--window is for a model to be trained; the one of --model has windows of its own: "
                "leave it out."
            )
        detector.set_params(model=FrozenEstimator(model))
    return detector


def _default_model(detector: "AnomalyDetector", X: Any) -> Any:
    """The model that a detector would train on `X`."""
    from unspool import _checks
    from unspool.anomaly.inputs import read_input
    from unspool.estimators.detector_training import default_model, split, window_of

    _checks.raise_all(*detector._complaints())
    training, _ = split(read_input(X), detector.calibration_split)
    return default_model(detector, training, window_of(training, detector.window))
