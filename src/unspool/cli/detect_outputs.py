"""The output files of `unspool detect`, and its summary in one line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unspool import _checks
from unspool._files import check_not_overwriting, check_output_path, refuse_stream
from unspool.anomaly import events
from unspool.cli import options
from unspool.cli.pictures import PICTURE_ENDINGS, save_picture
from unspool.errors import InputError
from unspool.io.time_output import in_order
from unspool.io.write import check_writable, write_table

if TYPE_CHECKING:
    from unspool.anomaly.detection import Detection
    from unspool.cli.detection_data import DetectionData
    from unspool.estimators.anomaly_detector import AnomalyDetector

MANY_ALARMS = 0.5  # share of steps with an alarm that the summary warns of


@dataclass(frozen=True)
class Outputs:
    """The paths of the files to write; None for a file that was not requested."""

    events: Path | None
    scores: Path | None
    plot: Path | None
    save: Path | None

    def given(self) -> list[str]:
        """Return the flags that were given, without --save."""
        flags = {"-o": self.events, "--scores": self.scores, "--plot": self.plot}
        return [name for name, path in flags.items() if path is not None]

    def check(self, inputs: Mapping[str, Path | None]) -> None:
        """Raise an `InputError` if a file could not be written; called before any training.

        Parameters
        ----------
        inputs : dict of flags to paths
            The files that are read; they must not be overwritten.
        """
        if self.events is not None:
            refuse_stream(self.events)
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
                "Two of -o, --scores, --plot and --save name the same file; name different files."
            )
        flags = {"-o": self.events, "--scores": self.scores, "--plot": self.plot}
        check_not_overwriting(flags | {"--save": self.save}, inputs)

    def write(
        self,
        found: "Detection",
        data: "DetectionData",
        labels: Any,
        targets: Sequence[int] | None = None,
    ) -> None:
        """Write all files but the detector; the picture shows `labels` and the features `targets`.

        By default the picture shows all features.
        """
        if self.plot is not None:
            _draw(self.plot, found, data, labels, targets)
        if self.scores is not None:
            index = data.index()
            if data.sequences is None:
                score, threshold = np.concatenate(found.scores), np.concatenate(found.thresholds)
            else:
                score, threshold = found.scores, found.thresholds
            alarm = (score > threshold).astype(np.int8)
            table = {**index, "score": score, "threshold": threshold, "alarm": alarm}
            order, array = data.order(), np.column_stack([score, threshold, alarm])
            array = array if order is None else array[order]
            write_table(in_order(table, order), self.scores, array=array)
        times = None if data.sequences is not None else data.written_at(found.events)
        times = data.times if times is None and data.sequences is None else times
        has_names = data.ids is not None or data.sequences is not None
        names = list(data.row_names()) if has_names else None
        events.write_events(found.events, self.events, times=times, series=names)


def summary(detector: "AnomalyDetector", found: "Detection", kind: str | None) -> Iterator[str]:
    """Yield the result in one line, after lines about what makes it unreliable."""
    alarms = found.alarms
    flags = np.concatenate(alarms) if isinstance(alarms, list) else alarms
    kind = detector._parameters["kind"] if kind is None else kind
    scores = np.concatenate(found.scores) if isinstance(found.scores, list) else found.scores
    empty = int(np.isnan(scores).sum())
    threshold: Any = detector.thresholds_[kind]
    count, unit = len(found.events), "sequences" if detector._of_sequences else "steps"
    rate = f"rate {threshold.rate:g}"
    if threshold.kind == "alarms":
        rate = f"{threshold.rate:g} alarms in {threshold.steps_per_period:g} steps"
    if threshold.kind == "moving" and threshold.n_effective * threshold.rate < 1:
        yield (
            f"the threshold starts from {threshold.n_scores:,} normal scores, which are worth "
            f"{threshold.n_effective:,.2g} independent ones; a rate of {threshold.rate:g} needs "
            f"{1 / threshold.rate:,.0f}, so at first the share of alarms may be several times the "
            "rate; more normal data helps"
        )
    if flags.mean() > MANY_ALARMS:
        yield (
            f"more than half of all {unit} are above the threshold, so they differ from the normal "
            "data; give normal data that is similar to them (--normal, --normal-until)"
        )
    if empty:
        yield f"{empty:,} {unit} have no value, so they have no score and raise no alarm"
    yield (
        f"{count:,} event{'' if count == 1 else 's'}, {flags.mean():.2%} of {len(flags):,} {unit} "
        f"above the threshold (score {kind}, threshold {threshold.kind}, {rate})"
    )


def _draw(
    path: Path,
    found: "Detection",
    data: "DetectionData",
    labels: Any,
    targets: Sequence[int] | None,
) -> None:
    """Draw the series in which a score exceeds its threshold the most."""
    import matplotlib

    matplotlib.use("Agg")
    from unspool import plots

    pairs = zip(found.scores, found.thresholds, strict=True)
    excess = [np.fmax.reduce(scores - thresholds) for scores, thresholds in pairs]
    worst = int(np.argmax(np.nan_to_num(excess, nan=-np.inf)))
    name = str(data.row_names()[worst]) if len(excess) > 1 else None
    times = np.maximum.accumulate(data.times[worst])  # a clock may have been set back
    series, names = data.series[worst], data.names
    if targets is not None:
        given = names or [f"feature {i}" for i in range(series.shape[1])]
        series, names = series[:, list(targets)], tuple(given[place] for place in targets)
    display: Any = plots.AnomalyDisplay.from_detection(
        found,
        series,
        worst,
        labels=None if labels is None else labels[worst],
        times=times,
        feature_names=names,
        name=name,
    )
    if "time" not in data.columns:
        display.ax_[-1].set_xlabel("step", fontsize=9)
    save_picture(display, path)
    which = "" if name is None else f", which shows the series with the highest score, {name}"
    options.say(f"wrote {path}{which}")
