"""The names that parameters accept, as types: `decoder="repeet"` is an error for a type checker.

Each list is written here once. `names` turns it into the tuple that checks at run time use.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

Auto = Literal["auto"]

LSTMDecoderName = Literal[
    "repeat",
    "reversed_input",
    "previous",
    "state",
    "state_repeat",
    "state_reversed_input",
    "state_previous",
    "reshape",
    "flat",
]
DecoderName = Literal[LSTMDecoderName, "dense"]
PoolingName = Literal["last", "mean", "max", "mean_max", "all"]
StatisticName = Literal["last", "mean", "max", "min", "std"]
NormalizationName = Literal["none", "last", "standard"]
ConvPaddingName = Literal["same", "causal", "valid"]
UpsamplingName = Literal["nearest", "transposed"]
ActivationName = Literal["linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax"]
# Which of encoder and decoders reads in both directions; True means all of them.
Directions = bool | Literal["encoder", "decoder"]
CellName = Literal["lstm", "gru"]
CellActivationName = Literal["tanh", "relu"]
GateActivationName = Literal["sigmoid", "hard_sigmoid"]

LossAlias = Literal["mean_squared_error", "mean_absolute_error"]
ElementwiseLossName = Literal["mse", "mae", "huber", "binary_crossentropy"]
LossName = Literal[ElementwiseLossName, "categorical_crossentropy"]
# A name, a loss for each feature, or a function of predictions and targets.
LossParameter = (
    LossName | LossAlias | Mapping[Any, LossName | LossAlias] | Callable[[Any, Any], Any]
)
MetricName = Literal[LossName, "accuracy"]

OptimizerName = Literal["adam", "adamw", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "sgd"]
ScheduleName = Literal["cosine", "constant", "reduce_on_plateau"]
ScalingName = Literal["standard", "minmax", "robust", "none"]
BackendName = Literal["compiled", "torch", "stepwise"]
RuntimeBackendName = Literal["auto", "compiled", "numpy"]

ScoreKind = Literal["window", "step", "trailing", "code"]
ThresholdKind = Literal["moving", "quantile", "pareto", "alarms"]

Reads = Literal["sequences", "rows", "images"]
Part = Literal["model", "encoder"]
ExportPart = Literal["auto", Part, "detector"]
TorchTask = Literal["reconstruction", "forecast", "classification"]
SecondInput = Literal["reversed_input", "previous"]
PerStepAndFeature = tuple[Literal["step"], Literal["feature"]]
DetectorPieceMethod = Literal["anomaly_scores", "score_samples", "decision_function", "predict"]
PieceMethod = Literal[
    "transform",
    "features",
    "reconstruct",
    "reconstruction_error",
    "impute",
    "forecast",
    "predict_quantiles",
    "predict_proba",
    "predict",
]
Per = Literal["sequence", "step", "feature"] | PerStepAndFeature
PerNewestStep = Literal["step"] | PerStepAndFeature
Short = Literal["error", "keep"]
Missing = Literal["raise", "mask"]
MissingPolicy = Literal[Missing, "drop", "interpolate"]


def names(literal: Any) -> tuple[str, ...]:
    """Return the names in a `Literal` type, in their order."""
    found: tuple[str, ...] = get_args(literal)
    return found
