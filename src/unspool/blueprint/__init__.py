"""What a model is made of, as plain data: kinds and sizes of parts, no weights and no framework.

`parts` has a class for each kind of part. `definitions` lists the parameters of each estimator with
the values that they accept, and `models` builds a `Blueprint` from parameters. PyTorch modules
(`unspool.nn.from_blueprint`) and their NumPy counterparts (`unspool.runtime`) are built from the
same blueprint, and the tensors of a model file are checked against it.
"""

from unspool.blueprint.activations import MixedActivation as MixedActivation
from unspool.blueprint.definitions import blueprint as blueprint
from unspool.blueprint.definitions import complaints as complaints
from unspool.blueprint.definitions import definition as definition
from unspool.blueprint.layers import DECODERS as DECODERS
from unspool.blueprint.layers import Head as Head
from unspool.blueprint.layers import Kernels as Kernels
from unspool.blueprint.layers import Layers as Layers
from unspool.blueprint.layers import patches_of as patches_of
from unspool.blueprint.memory import check_memory as check_memory
from unspool.blueprint.parts import Blueprint as Blueprint
from unspool.blueprint.parts import ConvDecoder as ConvDecoder
from unspool.blueprint.parts import ConvEncoder as ConvEncoder
from unspool.blueprint.parts import Decoder as Decoder
from unspool.blueprint.parts import DenseDecoder as DenseDecoder
from unspool.blueprint.parts import DenseEncoder as DenseEncoder
from unspool.blueprint.parts import Encoder as Encoder
from unspool.blueprint.parts import LSTMDecoder as LSTMDecoder
from unspool.blueprint.parts import LSTMEncoder as LSTMEncoder
from unspool.blueprint.parts import Skip as Skip
from unspool.blueprint.rules import Facts as Facts
from unspool.blueprint.step_convolutions import StepConvolutions as StepConvolutions
