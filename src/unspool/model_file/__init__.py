"""The model file: one safetensors file, tensors and a JSON header, never a pickle.

`format` writes and reads it, `contents` says what is in it and, with `fitted` and `labels`, looks
at every part. Nothing here needs more than NumPy and safetensors. docs/model-file.md has the format
itself, and the rule by which files of any age keep loading.
"""

from unspool.model_file.contents import Contents as Contents
from unspool.model_file.contents import Fitted as Fitted
from unspool.model_file.contents import contents_of as contents_of
from unspool.model_file.fitted import PARTS as PARTS
from unspool.model_file.format import FORMAT_VERSION as FORMAT_VERSION
from unspool.model_file.format import read as read
from unspool.model_file.format import write as write
