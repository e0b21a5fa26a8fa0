"""What a model is made of, as plain data: kinds and sizes of parts, no weights and no framework.

`parts` has a class for each kind of part, `models` says which parts the parameters of an estimator
ask for. PyTorch modules (`unspool.nn.from_blueprint`) and NumPy ones (`unspool.runtime`) are both
built from a `Blueprint`, and a model file's tensors are held against it.
"""

from unspool.blueprint.memory import check_memory as check_memory
from unspool.blueprint.models import STRUCTURAL as STRUCTURAL
from unspool.blueprint.models import Facts as Facts
from unspool.blueprint.models import blueprint as blueprint
from unspool.blueprint.models import complaints as complaints
from unspool.blueprint.parts import DECODERS as DECODERS
from unspool.blueprint.parts import Blueprint as Blueprint
from unspool.blueprint.parts import ConvDecoder as ConvDecoder
from unspool.blueprint.parts import ConvEncoder as ConvEncoder
from unspool.blueprint.parts import Decoder as Decoder
from unspool.blueprint.parts import DenseDecoder as DenseDecoder
from unspool.blueprint.parts import DenseEncoder as DenseEncoder
from unspool.blueprint.parts import Encoder as Encoder
from unspool.blueprint.parts import Head as Head
from unspool.blueprint.parts import Kernels as Kernels
from unspool.blueprint.parts import Layers as Layers
from unspool.blueprint.parts import LSTMDecoder as LSTMDecoder
from unspool.blueprint.parts import LSTMEncoder as LSTMEncoder
from unspool.blueprint.parts import Skip as Skip
from unspool.blueprint.parts import patches_of as patches_of
