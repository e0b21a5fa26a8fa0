"""What `unspool detect` found, as files and in a line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unspool import _checks
from unspool._files import check_not_overwriting, check_output_path
from unspool.anomaly import events
from unspool.cli import options
from unspool.cli.pictures import PICTURE_ENDINGS, save_picture
from unspool.data.write import check_writable, write_table
from unspool.errors import InputError

if TYPE_CHECKING:
    from unspool.anomaly.detection import Detection
    from unspool.cli.steps import Steps
    from unspool.estimators.anomaly_detector import AnomalyDetector

HALF = 0.5


@dataclass(frozen=True)
class Outputs:
    """The files to write."""

    events: Path | None
    scores: Path | None
    plot: Path | None
    save: Path | None

    def given(self) -> list[str]:
        """The flags that were given, but for --save."""
        flags = {"-o": self.events, "--scores": self.scores, "--plot": self.plot}
        return [name for name, path in flags.items() if path is not None]

    def check(self, inputs: Mapping[str, Path | None]) -> None:
        """Raise an `InputError` where one could not be written; before long work.

        Parameters
        ----------
        inputs : dict of flags to paths
            Files that are read, and must not be overwritten.
        """
        for path, what, endings in (
            (self.events, "ending", events.ENDINGS),
            (self.plot, "ending of a picture", PICTURE_ENDINGS),
        ):
            if path is not None and path.suffix.lower() not in endings:
                raise InputError(f"{path}: {_checks.unknown_name(what, path.suffix, endings)}")
        check_writable(self.scores)
        given = [path for path in (self.events, self.scores, self.plot, self.save) if path]
        for path in given:
            check_output_path(path)
        if len({path.absolute() for path in given}) < len(given):
            raise InputError(
                "Two of -o, --scores, --plot and --save name the same file; give each its own."
            )
        flags = {"-o": self.events, "--scores": self.scores, "--plot": self.plot}
        check_not_overwriting(flags | {"--save": self.save}, inputs)

    def write(self, found: "Detection", steps: "Steps", labels: Any) -> None:
        """Write all of them, but for the detector; `labels` are for the picture."""
        if self.plot is not None:
            _draw(self.plot, found, steps, labels)
        if self.scores is not None:
            index = steps.index()
            if steps.sequences is None:
                score, threshold = np.concatenate(found.scores), np.concatenate(found.thresholds)
            else:
                score, threshold = found.scores, found.thresholds
            alarm = (score > threshold).astype(np.int8)
            table = {**index, "score": score, "threshold": threshold, "alarm": alarm}
            write_table(table, self.scores, array=np.column_stack([score, threshold, alarm]))
        times = None if steps.sequences is not None else steps.times
        many = steps.ids is not None or steps.sequences is not None
        named = list(steps.called()) if many else None
        events.write_events(found.events, self.events, times=times, series=named)


def summary(detector: "AnomalyDetector", found: "Detection", kind: str | None) -> Iterator[str]:
    """What was found, in a line; and lines on what makes it doubtful."""
    alarms = found.alarms
    flags = np.concatenate(alarms) if isinstance(alarms, list) else alarms
    kind = detector._parameters["kind"] if kind is None else kind
    threshold: Any = detector.thresholds_[kind]
    count, unit = len(found.events), "sequences" if detector._of_sequences else "steps"
    rate = f"rate {threshold.rate:g}"
    if threshold.kind == "alarms":
        rate = f"{threshold.rate:g} alarms in {threshold.steps_per_period:g} steps"
    if threshold.kind == "moving" and threshold.n_effective * threshold.rate < 1:
        yield (
            f"the threshold begins with {threshold.n_scores:,} normal scores, worth "
            f"{threshold.n_effective:,.2g} independent ones; a rate of {threshold.rate:g} needs "
            f"{1 / threshold.rate:,.0f}: at first the share of alarms may be several times that. "
            "More normal data help."
        )
    if flags.mean() > HALF:
        yield (
            f"more than half of all {unit} are above the threshold: they differ from the normal "
            "data; give normal data that resemble them (--normal, --normal-until)"
        )
    yield (
        f"{count:,} event{'' if count == 1 else 's'}, {flags.mean():.2%} of {len(flags):,} {unit} "
        f"above the threshold (score {kind}, threshold {threshold.kind}, {rate})"
    )


def _draw(path: Path, found: "Detection", steps: "Steps", labels: Any) -> None:
    """A picture of the series with the highest score above its threshold."""
    import matplotlib

    matplotlib.use("Agg")
    from unspool import plots

    over = [(one - level).max() for one, level in zip(found.scores, found.thresholds, strict=True)]
    worst = int(np.argmax(over))
    called = str(steps.called()[worst]) if len(over) > 1 else None
    times = np.maximum.accumulate(steps.times[worst])  # a clock may have been set back
    display: Any = plots.AnomalyDisplay.from_detection(
        found,
        steps.series[worst],
        worst,
        labels=None if labels is None else labels[worst],
        times=times,
        feature_names=steps.names,
        name=called,
    )
    if "time" not in steps.columns:
        display.ax_[-1].set_xlabel("step", fontsize=9)
    save_picture(display, path)
    told = f", of the series {called}, whose score is highest" if called is not None else ""
    options.say(f"wrote {path}{told}")
