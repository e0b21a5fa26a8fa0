from .call import Call as Call
from .dispatch import BACKENDS as BACKENDS
from .dispatch import Choice as Choice
from .dispatch import choose as choose
from .dispatch import lstm as lstm
