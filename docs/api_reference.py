"""The one list of what is public in unspool.

The API pages of the documentation are built from it (`docs/conf.py`), and `tests/test_public.py`
checks it: every name can be imported from its module, `dir()` of every module here shows these
names and no others, and every docstring is complete. A name that is not in this list is internal
and may change in any release.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Section(NamedTuple):
    """One page of the API reference.

    `names` are classes and functions, which have docstrings; `constants` are plain values, each
    with the text that describes it.
    """

    title: str
    module: str
    text: str
    names: tuple[str, ...]
    constants: Mapping[str, str] = MappingProxyType({})


SECTIONS = (
    Section(
        "Estimators",
        "unspool",
        "Models with scikit-learn's API: `fit`, `transform`, `predict`, `score`, `save`.",
        (
            "LSTMAutoencoder",
            "DenseAutoencoder",
            "StackedAutoencoder",
            "ConvAutoencoder",
            "LSTMForecaster",
            "EncoderClassifier",
            "AnomalyDetector",
            "load",
        ),
    ),
    Section(
        "Sequences and files",
        "unspool",
        "Sequences of equal or unequal lengths, windows over long series, and readers of files.",
        (
            "Sequences",
            "Windows",
            "as_sequences",
            "interpolate_missing",
            "read_file",
            "FileData",
            "sequences_from_table",
            "chronological_split",
        ),
    ),
    Section(
        "Inspecting a model",
        "unspool",
        "Tables of the layers and of the weights of a trained model.",
        ("summary", "gate_weights"),
    ),
    Section(
        "Callbacks",
        "unspool.callbacks",
        "Callbacks of `fit` that write each epoch to a JSON file, TensorBoard or MLflow.",
        ("JSONLogger", "TensorBoardLogger", "MLflowLogger"),
    ),
    Section(
        "Plots",
        "unspool.plots",
        "Displays in the style of scikit-learn: `from_estimator` computes, `plot` draws.",
        (
            "ReconstructionDisplay",
            "TrainingHistoryDisplay",
            "CodeScatterDisplay",
            "CodeTraceDisplay",
            "ForecastDisplay",
            "ForecastByStepDisplay",
            "ContinuationDisplay",
            "ImagesDisplay",
            "AnomalyDisplay",
            "ModelDiagramDisplay",
        ),
    ),
    Section(
        "Anomaly detections and events",
        "unspool.anomaly",
        "What a detector returns, and the functions that merge alarms into events.",
        ("Detection", "Event", "find_events", "events_table", "write_events"),
    ),
    Section(
        "Thresholds",
        "unspool.anomaly",
        "Thresholds that are fitted to scores of normal data, without labels.",
        (
            "fit_threshold",
            "Threshold",
            "QuantileThreshold",
            "ParetoThreshold",
            "MovingThreshold",
            "AlarmsThreshold",
            "RunningThreshold",
            "RunningQuantile",
        ),
    ),
    Section(
        "Baselines for anomaly detection",
        "unspool.anomaly",
        "Simple methods that `AnomalyDetector` accepts in place of a network.",
        (
            "SubPCA",
            "KMeansAD",
            "NearestWindow",
            "IsolationForestWindows",
            "GlobalZ",
            "MovingZ",
        ),
    ),
    Section(
        "Data sets",
        "unspool.datasets",
        "Data for examples and experiments: `make_` generates, `load_` reads, `fetch_` downloads.",
        (
            "make_sine_classes",
            "make_sine_forecasts",
            "make_noisy_sine",
            "make_ramp",
            "make_moving_ones",
            "make_moving_digits",
            "load_machine_temperature",
            "load_digits",
            "load_mnist",
            "fetch_mnist",
            "TrainTest",
            "MachineTemperature",
        ),
    ),
    Section(
        "Evaluation of anomaly scores",
        "unspool.evaluation",
        "Metrics that compare anomaly scores and alarms with labels; they need NumPy alone.",
        (
            "evaluate",
            "Evaluation",
            "vus_pr",
            "auc_pr",
            "auc_roc",
            "events_of",
            "labels_from_windows",
        ),
    ),
    Section(
        "Runtime",
        "unspool.runtime",
        "Trained models and detectors that run with NumPy alone, on batches or step by step.",
        (
            "load",
            "Model",
            "Stream",
            "load_detector",
            "Detector",
            "DetectorStream",
            "Scored",
        ),
    ),
    Section(
        "Keras",
        "unspool.interop.keras",
        "Conversion from and to Keras 3 models; it needs the extra `unspool[keras]`.",
        ("from_keras", "to_keras", "export_keras"),
    ),
    Section(
        "ONNX",
        "unspool.interop.onnx",
        "Export to ONNX files; it needs the extra `unspool[onnx]`.",
        ("export_onnx",),
    ),
    Section(
        "PyTorch",
        "unspool.interop.torch",
        "Conversion to PyTorch modules that run without unspool, and import of weights.",
        ("from_torch", "to_torch"),
    ),
    Section(
        "Model file",
        "unspool.model_file",
        "Reading and writing of the model file, and the plain data that it holds.",
        ("read", "write", "Contents", "Fitted"),
        {
            "FORMAT_VERSION": (
                "Version of the format that `write` writes. `read` reads it and all older ones."
            )
        },
    ),
    Section(
        "Modules",
        "unspool.nn",
        "The PyTorch modules that the estimators train.",
        (
            "Autoencoder",
            "Encoder",
            "LSTMEncoder",
            "DenseEncoder",
            "ConvEncoder",
            "Decoder",
            "LSTMDecoder",
            "DenseDecoder",
            "ConvDecoder",
            "TeacherForcing",
            "Head",
            "Skip",
            "LSTM",
            "LSTMLayer",
            "Cell",
            "summary",
            "Summary",
            "Row",
            "gate_weights",
        ),
    ),
    Section(
        "The recurrence",
        "unspool.lstm",
        "The LSTM as one function, and the choice among its backends.",
        ("lstm", "choose", "Choice", "Call"),
        {"BACKENDS": 'The backends by name, in the order in which "auto" prefers them.'},
    ),
    Section(
        "Errors and warnings",
        "unspool.errors",
        "What unspool raises and warns of.",
        (
            "UnspoolError",
            "InputError",
            "ModelFileError",
            "DivergedError",
            "CheckpointWarning",
            "NoBetterThanMeanWarning",
            "UnusedCodeWarning",
            "GeneralizationWarning",
            "UnstableTrainingWarning",
            "InterruptedWarning",
            "OverlapWarning",
            "ParametersChangedWarning",
            "ThresholdWarning",
        ),
    ),
)

# Packages that `import unspool` offers as attributes.
SUBPACKAGES = ("datasets", "evaluation", "runtime")
