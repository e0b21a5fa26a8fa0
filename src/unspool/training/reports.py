"""Log entries of a training: a start, its epochs, and an end, as dicts that JSON can represent."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

from unspool import _checks
from unspool._logging import logger
from unspool.nn import LSTMLayer
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback, Step
from unspool.training.history import History
from unspool.training.progress import epoch_line

LOGGER = logger("unspool.training")
BACKENDS = logger("unspool.lstm")

Entry = dict[str, Any]
Listener = Callable[[Entry], None]


class Reports(Callback):
    """Gives listeners an entry when training begins, after each epoch, and when it ends.

    Parameters
    ----------
    listeners : sequence of callable
        Functions that are called with each entry.
    estimator : str
        Name of the estimator's class.
    stage : str
        Name of this training among those of a fit; "" if it is the only one.
    parameters : mapping
        Parameters of the estimator.
    batches : Batches
        Training data.
    validation : Batches or None
        Validation data.
    passes : int, default 0
        Number of epochs of the calls of `partial_fit` before.
    wants_gradient_norm : bool, default True
        Whether the entries of epochs have the norm of the gradient.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        estimator: str,
        stage: str,
        parameters: Mapping[str, Any],
        batches: Batches,
        validation: Batches | None,
        passes: int = 0,
        *,
        wants_gradient_norm: bool = True,
    ) -> None:
        self.listeners, self.passes = listeners, passes
        self.names = {"estimator": estimator, "stage": stage}
        self.parameters, self.batches, self.validation = parameters, batches, validation
        self.wants_gradient_norm = wants_gradient_norm
        self.error_before: BaseException | None = None

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Report the data, the size of the model and the number of epochs."""
        self.error_before = sys.exception()  # `fit` may be called while an error is handled
        self.begin, self.epochs = time.perf_counter(), self.passes + epochs
        source, held_out = self.batches.source, self.validation
        if self.batches.note:
            LOGGER.info("%s: %s", self.names["estimator"], self.batches.note)
        self._report(
            "start",
            parameters=_json(self.parameters),
            sequences=len(self.batches.indices),
            validation_sequences=0 if held_out is None else len(held_out.indices),
            max_length=int(source.max_length),
            features=int(source.n_features),
            batches=batches,
            epochs=self.epochs,
            weights=sum(one.numel() for one in model.parameters() if one.requires_grad),
            device=str(self.batches.device),
        )

    def on_epoch_begin(self, model: nn.Module) -> None:
        """Start the clock of the epoch, and its sums."""
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.epoch_begin = self.last_step = time.perf_counter()
        self.sequences, self.steps = 0, 0
        self.time_steps: int | Tensor = 0
        self.norms: list[float | Tensor] = []

    def on_resume(self, history: History, batch: int) -> None:
        """Start the clock and the sums of the rest of the epoch."""
        self._begin_epoch()

    def on_batch_end(self, step: Step) -> None:
        """Add the sizes of a step."""
        self.steps += 1
        self.sequences += step.sequences
        self.time_steps = self.time_steps + step.time_steps
        if step.gradient_norm is not None:
            self.norms.append(step.gradient_norm)
        self.last_step = time.perf_counter()

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Report the losses and metrics of the epoch, its throughput and its gradients."""
        end = time.perf_counter()
        training = max(self.last_step - self.epoch_begin, 1e-9)
        entry: Entry = {"epoch": self.passes + history.epochs, "epochs": self.epochs}
        entry |= {name: series[-1] for name, series in history.series.items()}
        entry["seconds"] = end - self.epoch_begin
        entry["sequences_per_second"] = self.sequences / training
        entry["time_steps_per_second"] = float(self.time_steps) / training
        if self.norms:
            norms = torch.stack([torch.as_tensor(one) for one in self.norms])
            entry["gradient_norm"] = float(norms.mean())
            entry["max_gradient_norm"] = float(norms.max())
        self._report("epoch", **entry)
        if history.epochs == 1 and BACKENDS.isEnabledFor(logging.DEBUG):
            log_backends(model)
        return False

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Report the best epoch, or the error that ended training."""
        entry: Entry = {"epochs": self.passes + history.epochs}
        if history.epochs:
            best = history.best_epoch
            entry["best_epoch"] = self.passes + best + 1
            losses = {name: series[best] for name, series in history.series.items()}
            entry |= {name: one for name, one in losses.items() if name != "learning_rate"}
        entry["seconds"] = time.perf_counter() - self.begin
        error = sys.exception()
        if error is not None and error is not self.error_before:
            entry["error"] = f"{type(error).__name__}: {error}".removesuffix(": ")
        self._report("end", **entry)

    def _report(self, event: str, **entry: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        whole = {"event": event, "time": now, **self.names, **entry}
        for listener in self.listeners:
            listener({name: _json(value) for name, value in whole.items()})


def reports(
    estimator: str,
    stage: str,
    parameters: Mapping[str, Any],
    listeners: Sequence[Listener],
    batches: Batches,
    validation: Batches | None,
    passes: int,
) -> list[Callback]:
    """Return the `Reports` to `listeners` and to the logger; none if nobody reads them."""
    logged = [log_entry] if LOGGER.isEnabledFor(logging.INFO) else []
    if not listeners and not logged:
        return []
    return [
        Reports(
            [*listeners, *logged],
            estimator,
            stage,
            parameters,
            batches,
            validation,
            passes,
            wants_gradient_norm=bool(listeners),
        )
    ]


def log_entry(entry: Entry) -> None:
    """Write an entry to the logger: start and end as INFO, epochs as DEBUG, failures as ERROR."""
    level = logging.DEBUG if entry["event"] == "epoch" else logging.INFO
    level = logging.ERROR if "error" in entry else level
    LOGGER.log(level, "%s", described(entry), extra={"entry": entry})


def log_backends(model: nn.Module) -> None:
    """Write the backend of each recurrent layer, and why it was chosen, to the logger as DEBUG."""
    for name, module in model.named_modules():
        if isinstance(module, LSTMLayer):
            choice = module.backend
            BACKENDS.debug("%s runs on %s: %s", name, choice.name, choice.reason)


def described(entry: Entry) -> str:
    """Write an entry as one line of text.

    Examples
    --------
    >>> described({"event": "end", "estimator": "LSTMAutoencoder", "stage": "", "epochs": 20,
    ...            "best_epoch": 18, "loss": 0.1234, "seconds": 3.21})
    'LSTMAutoencoder: trained for 20 epochs in 3.2 s; best epoch 18: loss 0.1234'
    """
    name = entry["estimator"] + (f", {entry['stage']}" if entry["stage"] else "")
    if entry["event"] == "start":
        held_out = entry["validation_sequences"]
        validated = f" and {held_out:,} to validate on" if held_out else ""
        return (
            f"{name}: training begins on {entry['sequences']:,} sequences{validated} (at most "
            f"{entry['max_length']} steps, {entry['features']} features) with "
            f"{entry['weights']:,} weights on {entry['device']}, for at most {entry['epochs']} "
            f"epochs of {entry['batches']} batches"
        )
    if entry["event"] == "epoch":
        values = {key: one for key, one in entry.items() if key not in NOT_MEASURED}
        values = {key: math.nan if one is None else one for key, one in values.items()}
        number = f"{entry['epoch']}/{entry['epochs']}"
        pace = f"{entry['sequences_per_second']:,.0f} sequences/s"
        return f"{name}: {epoch_line(number, entry['seconds'], values, [pace])}"
    losses = [
        f"{key} {entry[key]:.4g}" for key in ("loss", "val_loss") if entry.get(key) is not None
    ]
    best = f"; best epoch {entry['best_epoch']}: {', '.join(losses)}" if losses else ""
    failed = f"; failed with {entry['error']}" if "error" in entry else ""
    return f"{name}: trained for {entry['epochs']} epochs in {entry['seconds']:.1f} s{best}{failed}"


# What the line of an epoch does not show by name.
NOT_MEASURED = (
    *("event", "time", "estimator", "stage", "epoch", "epochs", "seconds"),
    *("sequences_per_second", "time_steps_per_second"),
)


def _json(value: Any) -> Any:
    """Return a value as JSON can represent it: None for NaN and infinity, text for objects."""
    value = _checks.plain(value)
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(getattr(value, "__name__", None) or _checks.shown(value))
