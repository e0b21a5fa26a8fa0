"""Rules for the values of parameters, and the definition of an estimator that is made of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from unspool import _checks
from unspool._checks import Complaint
from unspool._durations import size_complaint
from unspool.blueprint.parts import Blueprint

Parameters = Mapping[str, Any]


class Facts(NamedTuple):
    """What `fit` learned from the data that the sizes of a model depend on.

    Parameters
    ----------
    n_features : int
        Features of a time step, F.
    max_length : int
        Time steps of the longest sequence.
    horizon : int, default 0
        Time steps of the forecast.
    image_shape : (H, W, C), optional
        Shape of the images that a `ConvAutoencoder` was fitted on.
    feature_names : tuple of str, optional
        Names of the features, if they have names.
    targets : tuple of int, optional
        Places of the features that decoders write; None means all features, in their order.
    known : tuple of int, default ()
        Places of the features that are known for the steps of a forecast.
    n_responses : int, default 0
        Number of quantities of a `y` that are not features of `X`, which the decoders then write;
        0 means that they write features of `X`.
    typical_length : int, optional
        Time steps of a typical sequence; None means `max_length`.
    """

    n_features: int
    max_length: int
    horizon: int = 0
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    targets: tuple[int, ...] | None = None
    known: tuple[int, ...] = ()
    n_responses: int = 0
    typical_length: int | None = None

    @property
    def n_outputs(self) -> int:
        """Numbers per step that decoders write, F_out."""
        if self.n_responses:
            return self.n_responses
        return self.n_features if self.targets is None else len(self.targets)


@dataclass(frozen=True)
class Rule:
    """The values that a parameter accepts.

    Parameters
    ----------
    allowed : str
        The accepted values in words, as docstrings have them.
    check : function
        Takes the name and the value of the parameter, and returns a list of complaints; each is
        None if there is nothing to complain about.
    names : tuple of str, default ()
        The accepted names, for a parameter that accepts only names.
    """

    allowed: str
    check: Callable[[str, Any], list[Complaint]]
    names: tuple[str, ...] = ()


def one_of(names: tuple[str, ...], *, aliases: tuple[str, ...] = (), none: bool = False) -> Rule:
    """Accept one of `names` or their `aliases`."""

    def check(name: str, value: Any) -> list[Complaint]:
        if none and value is None:
            return []
        return [_checks.choice(name, value, (*names, *aliases))]

    return Rule(_listed(names) + _or(none=none), check, names)


def some_of(names: tuple[str, ...], *, aliases: tuple[str, ...] = ()) -> Rule:
    """Accept a list of `names` or their `aliases`, which may be empty."""
    return Rule(
        f"sequence of {_listed(names)}",
        lambda name, value: _checks.choices(name, value, (*names, *aliases)),
        names,
    )


def whole(
    least: int, *, most: float = _checks.MAX_WHOLE, none: bool = False, auto: bool = False
) -> Rule:
    """Accept a whole number from `least` to `most`."""
    return Rule(
        f"int of at least {least}" + _or(none=none, auto=auto),
        lambda name, value: [_checks.whole(name, value, least, most=most, none=none, auto=auto)],
    )


def steps_or_duration() -> Rule:
    """Accept a number of steps, a duration, or "auto"."""
    return Rule(
        'int of at least 1, duration or "auto"',
        lambda name, value: [size_complaint(name, value, auto=True)],
    )


def size(*, none: bool = False, auto: bool = False, least: int = 1) -> Rule:
    """Accept a size of weights without an upper limit: `check_memory` refuses what is too large."""
    return whole(least, most=math.inf, none=none, auto=auto)


def size_of_layers() -> Rule:
    """Accept a size for all layers, a list with the size of each layer, or None."""

    def check(name: str, value: Any) -> list[Complaint]:
        if isinstance(value, (list, tuple)) and value:
            return _checks.wholes(name, value, 1)
        if _checks.whole(name, value, 1, most=math.inf, none=True) is None:
            return []
        return [
            f"`{name}` must be a whole number of at least 1, a list with one for each layer, or "
            f"None, got {_checks.shown(value)}."
        ]

    return Rule("int or sequence of int of at least 1, or None", check)


def sizes(*, most: float = math.inf) -> Rule:
    """Accept a size of at most `most` for all convolutions, or a list with the size of each."""

    def check(name: str, value: Any) -> list[Complaint]:
        whole = isinstance(value, (int, np.integer)) and value > 0
        if whole or (isinstance(value, (list, tuple)) and value):
            given = value if isinstance(value, (list, tuple)) else [value]
            return [_checks.whole(name, one, 1, most=most) for one in given]
        return [
            f"`{name}` must be a whole number of at least 1, or a list with one for each "
            f"convolution, got {_checks.shown(value)}."
        ]

    return Rule("int or sequence of int of at least 1", check)


def wholes(least: int, *, none: bool = False) -> Rule:
    """Accept a list of whole numbers of at least `least`."""

    def check(name: str, value: Any) -> list[Complaint]:
        return [] if none and value is None else _checks.wholes(name, value, least)

    return Rule(f"sequence of int of at least {least}" + _or(none=none), check)


def number(
    least: float,
    below: float = math.inf,
    *,
    none: bool = False,
    auto: bool = False,
    open_left: bool = False,
    closed: bool = False,
) -> Rule:
    """Accept a finite number in [least, below); see `_checks.number` for the options."""
    options = {"none": none, "auto": auto, "open_left": open_left, "closed": closed}
    bounds = f"{'above' if open_left else 'of at least'} {least:g}"
    if below < math.inf:
        bounds += f" and {'at most' if closed else 'below'} {below:g}"
    return Rule(
        f"float {bounds}" + _or(none=none, auto=auto),
        lambda name, value: [_checks.number(name, value, least, below, **options)],
    )


def true_or_false() -> Rule:
    """Accept a truth value."""
    return Rule("bool", lambda name, value: [_checks.truth(name, value)])


def directions() -> Rule:
    """Accept a truth value, "encoder" or "decoder"."""

    def check(name: str, value: Any) -> list[Complaint]:
        if isinstance(value, str) and value in ("encoder", "decoder"):
            return []
        wrong = _checks.truth(name, value) is not None
        text = f"`{name}` must be True, False, 'encoder' or 'decoder', got {_checks.shown(value)}."
        return [text] if wrong else []

    return Rule('bool, "encoder" or "decoder"', check)


def seed() -> Rule:
    """Accept a random state as scikit-learn does."""
    return Rule("int, RandomState or None", lambda name, value: [_checks.seed(name, value)])


def checked_by_estimator(allowed: str) -> Rule:
    """Leave the check to the estimator, where it needs PyTorch or other estimators."""
    return Rule(allowed, lambda name, value: [])


@dataclass(frozen=True)
class Relation:
    """Values of several parameters that have to fit together.

    Parameters
    ----------
    names : tuple of str
        The parameters. `complaint` is called where each of them follows its own rule.
    complaint : function
        Returns what is wrong with the given parameters, or None.
    """

    names: tuple[str, ...]
    complaint: Callable[[Parameters], Complaint]


@dataclass(frozen=True)
class Definition:
    """The parameters of an estimator, and how its blueprint is built from them.

    Parameters
    ----------
    structure : mapping of names to rules
        Parameters that the blueprint depends on; a model file is checked against their rules.
    training : mapping of names to rules
        All other parameters.
    relations : tuple of Relation
    build : function, optional
        Makes the blueprint of parameters and `Facts`; None if another estimator has it.
    """

    structure: Mapping[str, Rule]
    training: Mapping[str, Rule]
    relations: tuple[Relation, ...] = ()
    build: Callable[[Parameters, Facts], Blueprint] | None = None

    @property
    def parameters(self) -> dict[str, Rule]:
        """The rules of all parameters."""
        return {**self.structure, **self.training}

    def complaints(self, given: Parameters, *, structure_only: bool = False) -> list[Complaint]:
        """List everything that is wrong with the values of parameters.

        A relation is checked where each of its parameters is valid alone.
        """
        rules = self.structure if structure_only else self.parameters
        found = {name: rule.check(name, given[name]) for name, rule in rules.items()}
        valid = {name for name, complaints in found.items() if not any(complaints)}
        return [
            *(complaint for complaints in found.values() for complaint in complaints),
            *(one.complaint(given) for one in self.relations if valid.issuperset(one.names)),
        ]


def _listed(names: tuple[str, ...]) -> str:
    return "{" + ", ".join(f'"{name}"' for name in names) + "}"


def _or(*, none: bool = False, auto: bool = False) -> str:
    if none and auto:
        return ', "auto" or None'
    return " or None" if none else ' or "auto"' if auto else ""
