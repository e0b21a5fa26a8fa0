from ._json_lines import JSONLogger as JSONLogger
from ._mlflow import MLflowLogger as MLflowLogger
from ._tensorboard import TensorBoardLogger as TensorBoardLogger

__all__: list[str]
