"""`MLflowLogger`: a run of MLflow for each fit."""

from typing import Any

from unspool._optional import import_optional
from unspool.callbacks._names import measured, tagged, text_parameters

MAX_CHARACTERS = 500  # of the value of a parameter, in all versions of MLflow


class MLflowLogger:
    """Log the parameters of a fit, and the losses, metrics and speed of each epoch, to MLflow.

    Within ``with mlflow.start_run():`` the active run is used, and stays open. Otherwise each fit
    makes a new run, which ends with the training as finished or failed. It needs the extra
    ``unspool[mlflow]``. ``mlflow.set_tracking_uri`` or the environment variable
    ``MLFLOW_TRACKING_URI`` says where MLflow keeps its runs.

    Parameters
    ----------
    experiment : str, optional
        Name of the experiment of new runs; it is created if it does not exist. Default: the active
        experiment of MLflow.
    run_name : str, optional
        Name of new runs. Default: MLflow invents a name.

    Raises
    ------
    InputError
        If MLflow is not installed.

    See Also
    --------
    JSONLogger : Write a JSON file, without other packages.
    TensorBoardLogger : Write curves for TensorBoard.

    Notes
    -----
    Metrics have the names that `TensorBoardLogger` uses, with the epoch (from 1) as step.

    Examples
    --------
    >>> import os, tempfile
    >>> import mlflow
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> from unspool.callbacks import MLflowLogger
    >>> X = np.sin(np.arange(60)[:, None] * 0.7 + np.arange(12))
    >>> os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # a folder instead of a server
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mlflow.set_tracking_uri(f"file:{folder}/runs")
    ...     logger = MLflowLogger()
    ...     model = DenseAutoencoder(2, epochs=20, random_state=0, verbose=0)
    ...     model = model.fit(X, callbacks=[logger])
    ...     mlflow.get_run(logger.run_id).data.params["latent_dim"]
    '2'
    """

    def __init__(self, experiment: str | None = None, *, run_name: str | None = None) -> None:
        import_optional("mlflow", "mlflow")
        self.experiment, self.run_name = experiment, run_name
        self.run_id: str | None = None
        self.stages: set[str] = set()  # of the current fit
        self.model: Any = None

    def on_log(self, model: Any, entry: dict[str, Any]) -> None:
        """Write an entry.

        Parameters
        ----------
        model : estimator
            The estimator that is fitted.
        entry : dict
            The entry, as `JSONLogger` describes it.
        """
        mlflow: Any = import_optional("mlflow", "mlflow")
        if entry["event"] == "start":
            self._open(mlflow, model, entry)
        metrics = {tagged(entry, name): value for name, value in measured(entry).items()}
        if metrics:
            mlflow.log_metrics(metrics, step=entry.get("epoch", 0), run_id=self.run_id)
        if entry["event"] == "end" and self.opened:
            mlflow.end_run("FAILED" if "error" in entry else "FINISHED")

    def _open(self, mlflow: Any, model: Any, entry: dict[str, Any]) -> None:
        """Open a run, or the same one again for another stage of the same fit."""
        active = mlflow.active_run()
        self.opened = active is None
        if self.model is model and entry["stage"] not in self.stages:
            self.stages.add(entry["stage"])
            if self.opened:
                mlflow.start_run(run_id=self.run_id)
            return
        self.model, self.stages = model, {entry["stage"]}
        if active is None:
            experiment = None if self.experiment is None else self._experiment_id(mlflow)
            active = mlflow.start_run(experiment_id=experiment, run_name=self.run_name)
        self.run_id = active.info.run_id
        texts = text_parameters(entry)
        mlflow.log_params({name: text[:MAX_CHARACTERS] for name, text in texts.items()})

    def _experiment_id(self, mlflow: Any) -> str:
        found = mlflow.get_experiment_by_name(self.experiment)
        created = mlflow.create_experiment(self.experiment) if found is None else None
        return str(created if found is None else found.experiment_id)
