"""Scores of long series, computed for one run of neighbouring steps after another."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

import numpy as np

from unspool import _checks
from unspool._types import DetectorPieceMethod, names
from unspool.anomaly.inputs import DetectorInput, check_finite
from unspool.anomaly.outages import outage_length
from unspool.anomaly.pipeline import DetectionPipeline, check_same_form
from unspool.data.ahead import read_ahead
from unspool.data.pieces import Piece
from unspool.data.stored import Stored
from unspool.errors import InputError

PIECE_VALUES = 1 << 20  # values of a piece, without the steps before and after it
CONTEXTS = 4  # a piece has at least this number of times the steps before and after it


def context(pipeline: DetectionPipeline, horizon: int) -> int:
    """Return the number of steps before and after a step on which its score depends, at most.

    The score of a step is a mean over the windows that contain it, and a forecast of one of their
    steps reads another window before it. A part of a series that is shorter than a window, and an
    outage, must be seen as a whole.
    """
    steps = 2 * pipeline.window + horizon + 1
    return steps * pipeline.dilation + outage_length(pipeline.window, pipeline.dilation)


def score_pieces(
    pipeline: DetectionPipeline, given: DetectorInput, kind: str, start: int, horizon: int
) -> Iterator[Piece]:
    """Return the scores of series from step `start` on, or of sequences.

    Parameters
    ----------
    pipeline : DetectionPipeline
        Computes the scores.
    given : DetectorInput
        The series, which may be not in memory, or the sequences.
    kind : str
        Kind of score.
    start : int
        0, or the `stop` of a piece.
    horizon : int
        Number of steps of a forecast of the model; 0 if it does not forecast.

    Raises
    ------
    InputError
        At once, if the detector has no such score, or was fitted on data of another form.
    """
    kind = pipeline.checked(kind)
    check_same_form(given, of_sequences=pipeline.of_sequences)
    if given.sequences is not None:
        return _pieces_of_sequences(pipeline, given, kind, start)
    return _pieces_of_series(pipeline, given, kind, start, context(pipeline, horizon))


def _pieces_of_series(
    pipeline: DetectionPipeline, given: DetectorInput, kind: str, start: int, around: int
) -> Iterator[Piece]:
    size = max(CONTEXTS * around, PIECE_VALUES // given.n_features)
    lengths = list(map(len, given.series))
    before = [0, *accumulate(lengths)]
    places = (
        (number, first, min(first + size, length))
        for number, length in enumerate(lengths)
        for first in range(0, length, size)
        if before[number] + min(first + size, length) > start
    )

    def read(place: tuple[int, int, int]) -> tuple[tuple[int, int, int], int, DetectorInput]:
        number, first, stop = place
        low, high = max(0, first - around), min(stop + around, lengths[number])
        part = given.one(number).of_steps([slice(low, high)])
        if isinstance(given.series[number], Stored):
            check_finite(part.series[0], number if given.several else None, given, low)
        return place, low, part

    stored = [one for one in given.series if isinstance(one, Stored)]
    ahead = bool(stored) and all(one.any_thread for one in stored)
    for (number, first, stop), low, part in read_ahead(read, places, ahead=ahead):
        scores = pipeline.scores(part, kind)[0][first - low : stop - low]
        yield Piece(before[number] + first, before[number] + stop, scores)


def _pieces_of_sequences(
    pipeline: DetectionPipeline, given: DetectorInput, kind: str, start: int
) -> Iterator[Piece]:
    sequences = given.sequences
    assert sequences is not None
    size = max(1, PIECE_VALUES // max(1, sequences.max_length * given.n_features))
    for first in range(0, len(sequences), size):
        stop = min(first + size, len(sequences))
        if stop > start:
            part = replace(given, sequences=sequences.load(first, stop))
            yield Piece(first, stop, np.asarray(pipeline.scores(part, kind)))


def check_piece_arguments(method: str, kind: str | None, start: int) -> None:
    """Check the arguments of `in_pieces` of a detector that do not concern the data."""
    _checks.raise_all(
        _checks.choice("method", method, names(DetectorPieceMethod)),
        _checks.whole("start", start, 0),
    )
    if method != "anomaly_scores" and kind is not None:
        raise InputError(
            f"`kind` is an argument of `anomaly_scores`, not of `{method}`; leave it out."
        )


def changed_scores(pieces: Iterator[Piece], method: str, offset: float) -> Iterator[Piece]:
    """Yield pieces of what a method of a detector returns, from pieces of `anomaly_scores`."""
    for piece in pieces:
        values = piece.values
        if method == "anomaly_scores":
            yield piece
        elif method == "score_samples":
            yield piece._replace(values=-values)
        elif method == "decision_function":
            yield piece._replace(values=-values - offset)
        else:
            yield piece._replace(values=np.where(-values - offset < 0, -1, 1))
