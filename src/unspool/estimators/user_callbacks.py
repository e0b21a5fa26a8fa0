"""The `callbacks` of `fit`: functions and objects that are called while a model trains."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from unspool import _checks
from unspool.errors import InputError
from unspool.training.callbacks import Callback
from unspool.training.history import History
from unspool.training.reports import Listener

METHODS = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end", "on_log")


def read_callbacks(callbacks: Any) -> tuple[Any, ...]:
    """Check the `callbacks` of `fit`, and return them as a tuple."""
    if callbacks is None:
        return ()
    if not isinstance(callbacks, (list, tuple)):
        raise InputError(
            f"`callbacks` must be a list of functions and objects, got {_checks.shown(callbacks)}; "
            "put a single one in a list."
        )
    for one in callbacks:
        if isinstance(one, type):
            raise InputError(
                f"Expected an object in `callbacks`, got the class {one.__name__}; give "
                f"{one.__name__}()."
            )
        if not callable(one) and not _has_methods(one):
            raise InputError(
                "Expected a function (model, history) in `callbacks`, or an object with a method "
                f"{', '.join(METHODS[:-1])} or {METHODS[-1]}, got {_checks.shown(one)}."
            )
    return tuple(callbacks)


class UserCallbacks(Callback):
    """Calls the `callbacks` of `fit` with the estimator, which encodes with its current weights.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted.
    callbacks : tuple
        Functions, and objects with some of `METHODS`.
    show : callable
        Called with the history before the callbacks at the end of an epoch and of training; makes
        the estimator usable.
    """

    def __init__(
        self,
        estimator: Any,
        callbacks: tuple[Any, ...],
        show: Callable[[dict[str, Any]], None],
    ) -> None:
        self.estimator, self.callbacks, self.show = estimator, callbacks, show

    def listeners(self) -> list[Listener]:
        """Return functions that call `on_log` of each callback that has it."""
        methods = [getattr(one, "on_log", None) for one in self.callbacks]
        return [partial(method, self.estimator) for method in methods if method is not None]

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Call `on_train_begin` with the estimator."""
        self._call("on_train_begin", self.estimator)

    def on_epoch_begin(self, model: nn.Module) -> None:
        """Call `on_epoch_begin` with the estimator."""
        self._call("on_epoch_begin", self.estimator)

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Call functions and `on_epoch_end` with the estimator and the history."""
        self._prepare(model, history)
        answers = self._call("on_epoch_end", self.estimator, self.estimator.history_)
        return any(isinstance(answer, (bool, np.bool_)) and bool(answer) for answer in answers)

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Call `on_train_end` with the estimator and the history."""
        if history.epochs:
            self._prepare(model, history)
        self._call("on_train_end", self.estimator, history.as_dict())

    def state(self) -> dict[str, Any]:
        """Return the states of objects that have one, by their place among the callbacks."""
        return {
            f"{place} {type(one).__name__}": one.state_dict()
            for place, one in enumerate(self.callbacks)
            if _keeps_state(one)
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Give their states back to the objects; those of other callbacks are refused."""
        present = {
            f"{place} {type(one).__name__}": one
            for place, one in enumerate(self.callbacks)
            if _keeps_state(one)
        }
        if set(present) != set(state):
            raise InputError(
                f"The checkpoint has the states of callbacks ({', '.join(state) or 'none'}) that "
                f"differ from those of `callbacks` ({', '.join(present) or 'none'}); give the same "
                "ones, in the same order."
            )
        for name, one in present.items():
            one.load_state_dict(state[name])

    def _prepare(self, model: nn.Module, history: History) -> None:
        """Make the estimator usable."""
        for module in (model, getattr(self.estimator, "module_", model)):
            module.eval()
        self.show(history.as_dict())

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of all callbacks that have it, and return what they return."""
        answers = []
        for one in self.callbacks:
            call = getattr(one, method, None)
            if call is None and method == "on_epoch_end" and not _has_methods(one):
                call = one  # a function
            if call is not None:
                answers.append(call(*arguments))
        return answers


def _keeps_state(one: Any) -> bool:
    return all(callable(getattr(one, name, None)) for name in ("state_dict", "load_state_dict"))


def _has_methods(one: Any) -> bool:
    return any(callable(getattr(one, name, None)) for name in METHODS)
