"""The options of `unspool detect` that set up its detector, and the detector they give."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.data_options import STEPS
from unspool.cli.option_values import gap_limit, number_of_steps
from unspool.cli.options import SEED_HELP, with_article

if TYPE_CHECKING:
    from unspool._types import Missing as MissingName
    from unspool.cli.detection_data import DetectionData
    from unspool.estimators.anomaly_detector import AnomalyDetector

# Parameters of `AnomalyDetector` that are given with --set.
SETTINGS = ("calibration_split", "contamination", "period")


class Kind(StrEnum):
    """The kind of score."""

    window = "window"
    step = "step"
    trailing = "trailing"
    code = "code"


class Threshold(StrEnum):
    """The kind of threshold."""

    moving = "moving"
    quantile = "quantile"
    pareto = "pareto"
    alarms = "alarms"


@dataclass(frozen=True)
class DetectorOptions:
    """The options that become parameters of an `AnomalyDetector`."""

    kind: Annotated[
        Kind | None,
        typer.Option(
            metavar="KIND",
            help="Kind of score. window (the default) ranks anomalies best. step locates them best "
            "and keeps to the rate. trailing does not depend on later steps. code finds patterns "
            "that the normal data does not contain.",
        ),
    ] = None
    threshold: Annotated[
        Threshold | None,
        typer.Option(
            metavar="KIND",
            help="Kind of threshold. moving (the default) is a quantile of the latest scores. "
            "quantile and pareto are computed from normal scores only. alarms is the threshold of "
            "--alarms-per-day.",
        ),
    ] = None
    rate: Annotated[
        float | None,
        typer.Option(
            help="Share of normal steps that may be above the threshold; 0.005 by default."
        ),
    ] = None
    alarms_per_day: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Allow N false alarms per day, instead of --rate; the normal data must have "
            "dates.",
        ),
    ] = None
    memory: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of scores that a moving threshold remembers; by default enough for the "
            "rate.",
        ),
    ] = None
    gap: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Alarms less than N steps apart are one event; 16 by default."
        ),
    ] = None
    window: Annotated[
        str | None,
        typer.Option(
            metavar=STEPS,
            help="Length of the windows that the model reads, in steps or as a duration such as "
            "6h; 64 steps by default, less for short data.",
        ),
    ] = None
    dilation: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Steps of the series from one step of a window to the next; 1 by default.",
        ),
    ] = None
    max_gap: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Score the steps before and after a larger gap in time, such as 2h, like two "
            "series; none for no limit. By default 2.5 times the median distance if the times "
            "are dates at regular distances.",
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other parameter of the model (an LSTMAutoencoder) or of AnomalyDetector; may "
            "be given several times.",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(help=SEED_HELP)] = None

    @property
    def gap_of_file(self) -> str | None:
        """The `max_gap` of the file: None if --max-gap tells the detector."""
        return "auto" if self.max_gap is None else None

    def kept(self) -> dict[str, Any]:
        """Return the arguments of `read_file` that a detector keeps."""
        return {"max_gap": None} if self.max_gap is not None and self.gap_limit is None else {}

    @property
    def gap_limit(self) -> str | None:
        """The value of --max-gap as given; None without it, and for none."""
        return None if self.max_gap is None or gap_limit(self.max_gap) is None else self.max_gap

    def given(self) -> list[str]:
        """Return the flags that were given."""
        from unspool.cli.flags import flag

        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return [flag(name) for name, value in values.items() if value not in (None, [], ())]

    def parameters(self, steps_per_day: float | None, name: str) -> dict[str, Any]:
        """Return the parameters of the `AnomalyDetector`.

        Parameters
        ----------
        steps_per_day : float or None
            Number of steps in a day of the normal data, if it has dates.
        name : str
            Name of the file of normal data.
        """
        from unspool import _checks
        from unspool.errors import InputError

        found: dict[str, Any] = {
            "kind": self.kind and self.kind.value,
            "threshold": self.threshold and self.threshold.value,
            "rate": self.rate,
            "memory": self.memory,
            "gap": self.gap,
            "window": number_of_steps(self.window),
            "dilation": self.dilation,
            "random_state": self.seed,
        }
        if self.alarms_per_day is not None:
            if self.rate is not None or self.threshold not in (None, Threshold.alarms):
                raise InputError(
                    "--alarms-per-day replaces --rate and --threshold; leave out --rate and "
                    "--threshold."
                )
            _checks.raise_all(
                _checks.number("--alarms-per-day", self.alarms_per_day, 0, open_left=True)
            )
            if steps_per_day is None:
                raise InputError(
                    f"--alarms-per-day needs dates, but {name} has none: name their column with "
                    "--time, or give the number of steps in a day: --threshold alarms --rate N "
                    "--set period=STEPS."
                )
            found |= {"threshold": "alarms", "rate": self.alarms_per_day, "period": steps_per_day}
        found = {name: value for name, value in found.items() if value is not None}
        if self.max_gap is not None:
            found["max_gap"] = gap_limit(self.max_gap)
        return found


def flag_messages(*, per_day: bool) -> AbstractContextManager[None]:
    """Print warnings and raise errors of a detector with flags in place of parameters."""
    from unspool.cli.flags import messages_with_flags
    from unspool.estimators.lstm_autoencoder import LSTMAutoencoder

    flags = {one.name for one in fields(DetectorOptions)} | {"random_state", "device", "model"}
    flags |= {"checkpoint", "checkpoint_every"}
    settings = {*SETTINGS, *LSTMAutoencoder().get_params(deep=False)} - flags
    return messages_with_flags(flags, settings, per_day=per_day)


def load_detector_or_model(path: Path, device: str) -> "tuple[AnomalyDetector | None, Any]":
    """Load a file; return (detector, None) if it holds a detector, else (None, model)."""
    from unspool.errors import InputError
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.base import Model
    from unspool.estimators.loading import load

    loaded: Any = load(path, device=device)
    if isinstance(loaded, AnomalyDetector):
        return loaded, None
    if not isinstance(loaded, Model):
        raise InputError(
            f"{path} holds {with_article(type(loaded).__name__)}, which does not reconstruct; give "
            "the file of an autoencoder, a forecaster or a detector with --model, or leave --model "
            "out."
        )
    return None, loaded


def make_detector(
    given: DetectorOptions,
    model: Any,
    normal: "DetectionData",
    *,
    missing: "MissingName",
    device: str,
    verbose: int,
) -> "AnomalyDetector":
    """Return an unfitted detector with the given options.

    It uses the fitted `model`, or without one trains a model on `normal`, in which values may be
    `missing`.
    """
    from sklearn.frozen import FrozenEstimator

    from unspool.cli.fit import parse_settings
    from unspool.errors import InputError
    from unspool.estimators.anomaly_detector import AnomalyDetector
    from unspool.estimators.lstm_autoencoder import LSTMAutoencoder

    parameters = given.parameters(normal.steps_per_day(), normal.name)
    detector = AnomalyDetector(**parameters, missing=missing, device=device, verbose=verbose)
    of_detector = dict.fromkeys(SETTINGS)
    of_model = {} if model is not None else LSTMAutoencoder().get_params(deep=False)
    of_model.pop("missing", None)  # --on-missing, which also says how the data are read
    settings = parse_settings(given.settings or [], {**of_detector, **of_model})
    for_detector = {key: value for key, value in settings.items() if key in of_detector}
    for_model = {key: value for key, value in settings.items() if key not in of_detector}
    detector.set_params(**for_detector)
    if detector.threshold == "alarms" and detector.period is None:
        raise InputError(
            "--threshold alarms needs a number of alarms: give --alarms-per-day N, or --rate N and "
            "--set period=STEPS."
        )
    if for_model:
        detector.set_params(model=_default_model(detector, normal.X).set_params(**for_model))
    if model is not None:
        for name in ("window", "dilation"):
            if getattr(given, name) is not None:
                raise InputError(
                    f"--{name} applies to a model that is trained now, but the model of --model "
                    f"has a fixed {name}: leave --{name} out."
                )
        detector.set_params(model=FrozenEstimator(model))
    return detector


def _default_model(detector: "AnomalyDetector", X: Any) -> Any:
    """Return the model that the detector would train on `X`, unfitted."""
    from unspool import _checks
    from unspool.anomaly.inputs import read_input
    from unspool.estimators.detector_training import default_model, detector_windows, split

    _checks.raise_all(*detector._complaints())
    training, _ = split(read_input(X, detector.missing), detector.calibration_split)
    windows = detector_windows(training, detector.window, detector.dilation, detector.max_gap)
    return default_model(detector, training, windows.size)
