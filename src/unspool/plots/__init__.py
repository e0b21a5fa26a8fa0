"""Displays of training, codes, reconstructions, forecasts and anomalies, in scikit-learn's style.

    from unspool.plots import ReconstructionDisplay

    ReconstructionDisplay.from_estimator(autoencoder, X).figure_.savefig("reconstruction.png")

A display stores the numbers that it shows as attributes. `plot` draws them into a new figure or
into given axes, any number of times, and sets `ax_` and `figure_`, which you can change further.
The displays need matplotlib.
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "AnomalyDisplay": "anomalies",
        "CodeScatterDisplay": "code_scatter",
        "CodeTraceDisplay": "code_trace",
        "ContinuationDisplay": "continuation",
        "ForecastByStepDisplay": "forecast",
        "ForecastDisplay": "forecast",
        "ImagesDisplay": "images",
        "ModelDiagramDisplay": "diagram",
        "ReconstructionDisplay": "reconstruction",
        "TrainingHistoryDisplay": "training_history",
    },
)
