"""The parameter `loss` in a model file: JSON has no tuples as keys, and a file holds no functions.

A loss by feature becomes ``{"by_feature": [[feature or list of features, name], …]}``, and a
function ``{"function": name}``. Every model in a file has its `loss` at some depth of the header.
"""

from collections.abc import Callable, Mapping
from typing import Any

from unspool import _checks
from unspool._loss_parameter import LossFunction, function_name
from unspool.errors import InputError


def encoded(header: Any) -> Any:
    """Return a header in which each loss can be written as JSON."""
    return _with_each_loss(header, _encoded)


def decoded(header: Any) -> Any:
    """Return a header, as JSON has it, with each loss as `get_params` returns it.

    The header need not be checked before. A function becomes a `LossFunction` with its name.
    """
    return _with_each_loss(header, _decoded)


def with_functions(header: Any, custom_objects: Mapping[str, Callable[..., Any]] | None) -> Any:
    """Return a header in which each function that is known by its name replaces its name.

    Raises
    ------
    InputError
        If `custom_objects` is no mapping from names to functions.
    """
    if custom_objects is None:
        return header
    if not isinstance(custom_objects, Mapping) or not all(
        isinstance(name, str) and callable(one) for name, one in custom_objects.items()
    ):
        raise InputError(
            "`custom_objects` must be a dict from names of functions to functions, got "
            f"{_checks.shown(custom_objects)}."
        )
    return _with_each_loss(
        header,
        lambda loss: (
            custom_objects.get(loss.name, loss) if isinstance(loss, LossFunction) else loss
        ),
    )


def _with_each_loss(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return `value` with `change` applied to each loss; the losses of a history are a list."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: change(one)
        if name == "loss" and not isinstance(one, list)
        else _with_each_loss(one, change)
        for name, one in value.items()
    }


def _encoded(loss: Any) -> Any:
    if isinstance(loss, Mapping):
        pairs = [[list(key) if isinstance(key, tuple) else key, one] for key, one in loss.items()]
        return {"by_feature": pairs}
    if callable(loss) or isinstance(loss, LossFunction):
        return {"function": function_name(loss)}
    return loss


def _decoded(loss: Any) -> Any:
    if not isinstance(loss, Mapping):
        return loss
    match dict(loss):
        case {"function": str(name), **others} if not others:
            return LossFunction(name)
        case {"by_feature": [*pairs], **others} if not others:
            return {tuple(key) if isinstance(key, list) else key: one for key, one in pairs}
    raise InputError(
        f"Expected `loss` to be a name, a function or a loss by feature, got {_checks.shown(loss)}."
    )
