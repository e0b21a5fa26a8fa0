"""The recurrence: one contract, a table of backends that keep it.

`lstm` (in `dispatch`) runs whole sequences through the backend that `choose` names:

========== ============================================= =====================================
backend    what                                          serves
========== ============================================= =====================================
compiled   compiled kernels of our own, on a CPU         every cell
torch      torch's own LSTM: oneDNN on a CPU, cuDNN      tanh cells with sigmoid gates
stepwise   the equations, a step at a time, in autograd  every cell; slow
========== ============================================= =====================================

`reference` holds the equations in NumPy: what every backend is held against, and the forward pass
of a trained model outside PyTorch. It loads without PyTorch, the others with their first use.
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "BACKENDS": "dispatch",
        "Call": "call",
        "Choice": "dispatch",
        "choose": "dispatch",
        "lstm": "dispatch",
    },
)
