"""The recurrent cells: their gates, their biases, and the states that they hand on.

Everything outside of the recurrence (sizes of weights, names of gates, states of decoders) follows
from this description. The equations are in `unspool.lstm.reference` and
`unspool.lstm.reference_gru`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from unspool._types import CellName


@dataclass(frozen=True)
class CellKind:
    """What a kind of cell consists of.

    Parameters
    ----------
    gates : tuple of str
        Names of the blocks of H rows in `weight_ih`, `weight_hh` and `weight_context`, in order.
    biases : tuple of str
        Names of the blocks of H values in the bias, in order.
    states : tuple of str
        Names of the states, each of H values, that a step hands on to the next one; h is the first.
    title : str
        Name of a layer of these cells in summaries and messages.
    """

    gates: tuple[str, ...]
    biases: tuple[str, ...]
    states: tuple[str, ...]
    title: str

    @property
    def has_c(self) -> bool:
        """Whether there is a cell state c in addition to h."""
        return "c" in self.states


CELLS: Mapping[CellName, CellKind] = {
    "lstm": CellKind(("i", "f", "c", "o"), ("i", "f", "c", "o"), ("h", "c"), "LSTM"),
    # "rn" is the bias of the recurrent part of n, which the gate r multiplies.
    "gru": CellKind(("z", "r", "n"), ("z", "r", "n", "rn"), ("h",), "GRU"),
}
