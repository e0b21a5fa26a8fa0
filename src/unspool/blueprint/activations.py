"""Output layers whose features have different activations, for a loss by feature."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from unspool._loss_parameter import BY_STEP, LossByFeature
from unspool._types import ActivationName


@dataclass(frozen=True)
class MixedActivation:
    """Activations of an output layer by feature.

    `groups` has the name of an activation and its columns; every column is in one group. "softmax"
    is over the columns of its group, and all other activations have one group each.
    """

    groups: tuple[tuple[ActivationName, tuple[int, ...]], ...]

    @property
    def runs(self) -> list[tuple[int, int]]:
        """The group of each run of neighbouring columns of one group, and its number of columns."""
        group_of = {c: i for i, (_, columns) in enumerate(self.groups) for c in columns}
        in_order = [group_of[column] for column in range(len(group_of))]
        return [(group, len(list(run))) for group, run in groupby(in_order)]

    def apply(
        self,
        x: Any,
        activate: Callable[[ActivationName, Any], Any],
        split: Callable[[Any, list[int]], Sequence[Any]],
        join: Callable[[list[Any]], Any],
    ) -> Any:
        """Apply the activations to outputs (..., F) of any framework.

        Parameters
        ----------
        x : tensor of shape (..., F)
        activate : callable
            Applies the activation of a name to a tensor.
        split : callable
            Splits a tensor along its features into parts of given sizes.
        join : callable
            Joins tensors along their features.
        """
        runs = self.runs
        pieces = list(split(x, [size for _, size in runs]))
        for group, (name, _) in enumerate(self.groups):
            places = [i for i, (of_group, _) in enumerate(runs) if of_group == group]
            if name != "softmax" or len(places) == 1:
                for i in places:
                    pieces[i] = activate(name, pieces[i])
                continue
            whole = activate(name, join([pieces[i] for i in places]))
            sizes = [runs[i][1] for i in places]
            for i, piece in zip(places, split(whole, sizes), strict=True):
                pieces[i] = piece
        return join(pieces)


Activation = ActivationName | MixedActivation


def activation_for(loss: LossByFeature, others: ActivationName) -> Activation:
    """Return the activation of outputs that this loss needs.

    Parameters
    ----------
    loss : LossByFeature
        The loss. Binary cross-entropy needs a sigmoid, and each category a softmax.
    others : str
        Activation of the columns of all other losses.
    """
    by_name: dict[ActivationName, tuple[int, ...]] = {}
    categories: list[tuple[ActivationName, tuple[int, ...]]] = []
    for name, columns in loss.parts:
        if name in BY_STEP:
            categories.append(("softmax", columns))
        else:
            activation: ActivationName = "sigmoid" if name == "binary_crossentropy" else others
            by_name[activation] = tuple(sorted((*by_name.get(activation, ()), *columns)))
    groups = (*by_name.items(), *categories)
    return groups[0][0] if len(groups) == 1 else MixedActivation(groups)
