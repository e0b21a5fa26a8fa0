"""The recurrence: one contract, a table of backends that keep it.

`lstm` (in `dispatch`) runs whole sequences through the backend that `choose` names:

========== ============================================= =====================================
backend    what                                          serves
========== ============================================= =====================================
cpu        compiled kernels of our own, on a CPU         every cell
library    torch's own LSTM: oneDNN on a CPU, cuDNN      tanh cells with sigmoid gates
stepwise   the equations, a step at a time, in autograd  every cell; slow
========== ============================================= =====================================

`reference` holds the equations in NumPy: what every backend is held against, and the forward pass
of a trained model outside PyTorch.
"""

from unspool.lstm.call import Call as Call
from unspool.lstm.dispatch import BACKENDS as BACKENDS
from unspool.lstm.dispatch import Choice as Choice
from unspool.lstm.dispatch import choose as choose
from unspool.lstm.dispatch import lstm as lstm
