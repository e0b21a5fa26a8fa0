"""The recurrence of LSTM and GRU layers: one function, `lstm`, and backends that compute it.

`lstm` runs a batch of whole sequences through one layer, on the backend that `choose` selects:

========== ================================================= ==================================
backend    implementation                                    serves
========== ================================================= ==================================
compiled   kernels compiled by Numba, on the CPU             all cells, float32 and float64
torch      torch's LSTM and GRU: oneDNN on a CPU (LSTM), tanh cells with sigmoid gates
           cuDNN on a GPU
stepwise   the equations step by step, under autograd; slow  all cells, all dtypes and devices
========== ================================================= ==================================

`unspool.lstm.reference` and `unspool.lstm.reference_gru` contain the equations in NumPy, forward
and backward. All backends are tested against them.

To add a backend, write a module in ``lstm/backends/`` with the two functions of
`unspool.lstm.backends.Backend`, ``refusal`` and ``run``; enter it in `BACKENDS` at its place in the
order of preference, and its name in ``BackendName`` (``unspool/_types.py``). The tests in
``tests/lstm/test_backends.py`` then compare its results and gradients with the reference, and fail
first.

Both references need NumPy alone. The names of this package load PyTorch when they are first used.
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
