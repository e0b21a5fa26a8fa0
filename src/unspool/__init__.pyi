from .data.convert import as_source as as_source
from .data.sequences import Sequences as Sequences
from .data.windows import Windows as Windows
from .data.windows import chronological_split as chronological_split

__version__: str
