"""What the parameter `loss` may be: a name, a loss for each feature, or a function.

`read_loss` turns the parameter into a `Loss`, which `unspool._losses` evaluates in NumPy and
`unspool.nn.losses` in PyTorch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from unspool import _checks
from unspool._checks import Complaint, shown
from unspool._types import LossAlias, LossName, names
from unspool.errors import InputError

# Keras's long names of losses; `loss_name` replaces them.
ALIASES: Mapping[str, str] = {"mean_squared_error": "mse", "mean_absolute_error": "mae"}

CROSSENTROPIES = ("binary_crossentropy", "categorical_crossentropy")

# These losses have one value per step, summed over features, and not a mean over features.
BY_STEP = ("categorical_crossentropy",)

REST = "*"  # key of the columns that no other key names
REST_LOSS = "mse"  # their loss, if this key is missing
NAMES = (*names(LossName), *names(LossAlias))


class Part(NamedTuple):
    """Columns with a loss; those of "categorical_crossentropy" are the classes of one category."""

    loss: str
    columns: tuple[int, ...]


@dataclass(frozen=True)
class LossByFeature:
    """A loss for each feature.

    A category has one value per step, every other column has one as well, and the loss is the mean
    of all these values.

    Parameters
    ----------
    n_features : int
        Number of features, F.
    parts : tuple of Part
        One part for each category and for each other loss; every column is in one of them.
    """

    n_features: int
    parts: tuple[Part, ...]

    @property
    def values_per_step(self) -> int:
        """Number of values of a step: one for each category and for each other column."""
        return sum(1 if part.loss in BY_STEP else len(part.columns) for part in self.parts)

    @property
    def columns_by_loss(self) -> dict[str, tuple[int, ...]]:
        """Columns of each loss, those of all categories together."""
        found: dict[str, tuple[int, ...]] = {}
        for loss, columns in self.parts:
            found[loss] = (*found.get(loss, ()), *columns)
        return found

    def values_of(self, loss: str) -> int:
        """Return the number of values of a step that have this loss."""
        parts = [part for part in self.parts if part.loss == loss]
        return len(parts) if loss in BY_STEP else len(parts[0].columns)

    @property
    def probabilities(self) -> tuple[int, ...]:
        """The columns of cross-entropies, whose values and outputs are between 0 and 1."""
        by_loss = self.columns_by_loss
        return tuple(sorted(c for loss in CROSSENTROPIES for c in by_loss.get(loss, ())))

    def with_squared_differences(self) -> "LossByFeature":
        """Return the same losses with "mse" instead of cross-entropies."""
        return LossByFeature(
            self.n_features,
            tuple(
                Part("mse" if loss in CROSSENTROPIES else loss, columns)
                for loss, columns in self.parts
            ),
        )


@dataclass(frozen=True)
class LossFunction:
    """A loss function that a user wrote.

    Parameters
    ----------
    name : str
        Name of the function, which a model file contains.
    function : callable, optional
        The function; None if it is not known, for a model that was loaded without it.
    """

    name: str
    function: Callable[[Any, Any], Any] | None = None

    def __repr__(self) -> str:
        return f"<loss function {self.name!r}>"

    def known(self) -> Callable[[Any, Any], Any]:
        """Return the function.

        Raises
        ------
        InputError
            If it is not known.
        """
        if self.function is None:
            raise InputError(
                f"The loss of this model is the function {self.name!r}, which its file does not "
                "contain; give the function when you load the file in Python, "
                f"load(path, custom_objects={{{self.name!r}: function}})."
            )
        return self.function


Loss = str | LossByFeature | LossFunction


def loss_name(name: str) -> str:
    """Return the name in `LOSSES` of a loss or metric, which may be given by its long name.

    Examples
    --------
    >>> loss_name("mean_squared_error"), loss_name("huber")
    ('mse', 'huber')
    """
    return ALIASES.get(name, name)


def function_name(function: Any) -> str:
    """Return the name by which a model file refers to a loss function."""
    if isinstance(function, LossFunction):
        return function.name
    return str(getattr(function, "__name__", type(function).__name__))


def is_by_step(loss: Loss) -> bool:
    """Return whether a loss has one value for all features of a step."""
    return isinstance(loss, str) and loss in BY_STEP


def check_loss(name: str, value: Any) -> list[Complaint]:
    """Check the parameter as far as that is possible without data."""
    if isinstance(value, str):
        return [_checks.choice(name, value, NAMES)]
    if callable(value) or isinstance(value, LossFunction):
        return []
    if not isinstance(value, Mapping):
        return [
            f"`{name}` must be the name of a loss, a dict from features to names of losses, or a "
            f"function, got {shown(value)}."
        ]
    if not value:
        return [f"`{name}` must have at least one feature, got an empty dict."]
    return [complaint for key, loss in value.items() for complaint in _check_entry(name, key, loss)]


def _check_entry(name: str, key: Any, loss: Any) -> Iterator[Complaint]:
    """Check one feature, or one tuple of features, and its loss."""
    members = key if isinstance(key, tuple) else (key,)
    if not members or not all(map(_is_feature, members)):
        yield (
            f"Keys of `{name}` must be names of features, places from 0, or tuples of these, got "
            f"{shown(key)}."
        )
    if not isinstance(loss, str):
        yield f"`{name}` must have the name of a loss for {shown(key)}, got {shown(loss)}."
        return
    yield _checks.choice(name, loss, NAMES)
    joined = isinstance(key, str) and "," in key
    if loss in BY_STEP and not joined and (len(members) < 2 or REST in members):
        yield (
            f"`{name}` {loss!r} needs a tuple of the columns of one category, of which one is 1 "
            f"at each step, got {shown(key)}; name its columns, or use 'binary_crossentropy' for "
            "a single column."
        )


def _is_feature(key: Any) -> bool:
    return isinstance(key, str) or _checks.whole("key", key, 0) is None


def losses_in(value: Any) -> set[str]:
    """Return the names of the losses in a valid parameter; a function has none."""
    if isinstance(value, str):
        return {loss_name(value)}
    return set(map(loss_name, value.values())) if isinstance(value, Mapping) else set()


def read_loss(
    value: Any,
    n_features: int,
    feature_names: Sequence[str] | None = None,
    targets: Sequence[int] | None = None,
) -> Loss:
    """Return the loss that a valid parameter describes for data of F features.

    Columns of a `LossByFeature` are places among the targets.

    Parameters
    ----------
    value : str, mapping, callable or LossFunction
        The parameter `loss`, after `check_loss`.
    n_features : int
        Number of features, F.
    feature_names : sequence of str, optional
        Their names, if they have names.
    targets : sequence of int, optional
        Places of the features that the model writes; None means all.

    Raises
    ------
    InputError
        If a feature does not exist, is no target or is named twice, or a category has a single
        column.
    """
    if isinstance(value, str):
        return loss_name(value)
    if isinstance(value, LossFunction):
        return value
    if not isinstance(value, Mapping):
        return LossFunction(function_name(value), value)
    loss_of: dict[int, str] = {}
    categories = []
    for key, loss in value.items():
        if key == REST and REST not in (feature_names or ()):
            continue
        columns = tuple(_columns(key, n_features, feature_names))
        for column in columns:
            if targets is not None and column not in targets:
                raise InputError(
                    f"`loss` has a loss for {label(column, feature_names)}, which is not one of "
                    "the `targets`; leave it out, or add it to `targets`."
                )
            if column in loss_of:
                raise InputError(
                    f"`loss` has two losses for {label(column, feature_names)}; give each feature "
                    "one."
                )
            loss_of[column] = loss_name(loss)
        if loss in BY_STEP:
            if len(columns) < 2:
                raise InputError(
                    f"`loss` {loss!r} needs the columns of a category, at least two, got "
                    f"{shown(key)}; use 'binary_crossentropy' for a single column."
                )
            categories.append(Part(loss, columns))
    rest = REST_LOSS if REST in (feature_names or ()) else value.get(REST, REST_LOSS)
    written = list(range(n_features)) if targets is None else list(targets)
    for column in written:
        loss_of.setdefault(column, loss_name(rest))
    others = sorted(set(loss_of.values()) - set(BY_STEP), key=NAMES.index)
    parts = [
        *(
            Part(one, tuple(i for i, c in enumerate(written) if loss_of[c] == one))
            for one in others
        ),
        *(Part(loss, tuple(map(written.index, columns))) for loss, columns in categories),
    ]
    if len(parts) == 1 and parts[0].loss not in CROSSENTROPIES:
        return parts[0].loss
    return LossByFeature(len(written), tuple(parts))


def _columns(key: Any, n_features: int, feature_names: Sequence[str] | None) -> Iterator[int]:
    """Yield the columns that a key of the parameter names.

    On the command line, and in JSON, keys are strings: places are written in digits, and the
    columns of a category are separated by commas. The name of a feature comes first.
    """
    if isinstance(key, tuple):
        for one in key:
            yield from _columns(one, n_features, feature_names)
    elif isinstance(key, str) and key in (feature_names or ()):
        yield list(feature_names or ()).index(key)
    elif isinstance(key, str) and "," in key:
        for one in key.split(","):
            yield from _columns(one.strip(), n_features, feature_names)
    elif isinstance(key, str) and not (key.isascii() and key.isdigit()):
        if feature_names is None:
            raise InputError(
                f"`loss` names the feature {shown(key)}, but the features of the data have no "
                f"names; give their places, 0 to {n_features - 1}."
            )
        raise InputError(f"`loss`: {_checks.unknown_name('feature', key, feature_names)}")
    else:
        place = int(key)
        if place >= n_features:
            raise InputError(
                f"`loss` has the place {place}, but the data have {n_features} features, so places "
                f"are 0 to {n_features - 1}."
            )
        yield place


def label(column: int, feature_names: Sequence[str] | None) -> str:
    """Write which feature this is, by its name if it has one."""
    if feature_names is None:
        return f"feature {column}"
    return f"the feature {feature_names[column]!r}"
