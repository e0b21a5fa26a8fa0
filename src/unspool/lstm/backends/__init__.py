"""The backends of the recurrence, one module each, and the interface that they share."""

from typing import Any, Protocol

from torch import Tensor

from unspool.lstm.call import Call


class Backend(Protocol):
    """The functions of a backend module."""

    def refusal(self, call: Call) -> str | None:
        """Say why the backend cannot serve `call`, or return None if it can.

        The text follows the name of the backend: "runs on the CPU, not on cuda".
        """

    def run(
        self,
        x: Tensor | None,
        w_ih: Tensor | None,
        w_hh: Tensor,
        bias: Tensor,
        context: Tensor | None,
        w_context: Tensor | None,
        h0: Any,
        c0: Any,
        lengths: Tensor | None,
        steps: int,
        call: Call,
        h_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the sequences; arguments and results are those of `unspool.lstm.lstm`.

        The number of steps is always given, and initial states are tensors, except that
        "compiled" receives None for zeros. If ``call.return_sequences`` is
        False, `h` is empty, (B, 0, H). Only "compiled" receives ``call.statistics``; for other
        backends `lstm` computes the statistics from the states.
        """
