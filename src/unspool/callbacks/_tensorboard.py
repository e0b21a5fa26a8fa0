"""`TensorBoardLogger`: curves of a training for TensorBoard."""

from pathlib import Path
from typing import Any

from unspool._optional import import_optional
from unspool.callbacks._names import measured, tagged, text_parameters


class TensorBoardLogger:
    """Write the losses, metrics and speed of each epoch to a folder that TensorBoard reads.

    ``tensorboard --logdir FOLDER`` shows the curves; with one folder below FOLDER for each fit it
    compares the fits, and its page "HParams" shows their parameters. It needs the extra
    ``unspool[tensorboard]``.

    Parameters
    ----------
    log_dir : str or Path
        Folder of this fit; it is created if it does not exist.

    Raises
    ------
    InputError
        If TensorBoard is not installed.

    See Also
    --------
    JSONLogger : Write a JSON file, without other packages.
    MLflowLogger : Write a run of MLflow.

    Notes
    -----
    A curve has the name of the value in the entries that `JSONLogger` describes, such as "loss",
    "val_loss", "learning_rate", "sequences_per_second" or "gradient_norm", over the epochs from 1;
    the best epoch is "best_epoch", with "best_loss" and "best_val_loss". If a fit trains in stages,
    the name of the stage is before them ("head/loss").

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> from unspool.callbacks import TensorBoardLogger
    >>> X = np.sin(np.arange(60)[:, None] * 0.7 + np.arange(12))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = DenseAutoencoder(2, epochs=20, random_state=0, verbose=0)
    ...     model = model.fit(X, callbacks=[TensorBoardLogger(folder)])
    ...     [path.name[:20] for path in Path(folder).iterdir()]
    ['events.out.tfevents.']
    """

    def __init__(self, log_dir: str | Path) -> None:
        import_optional("tensorboard", "tensorboard")
        self.log_dir = log_dir
        self.writer: Any = None

    def on_log(self, model: Any, entry: dict[str, Any]) -> None:
        """Write an entry.

        Parameters
        ----------
        model : estimator
            The estimator that is fitted.
        entry : dict
            The entry, as `JSONLogger` describes it.
        """
        from torch.utils import tensorboard

        hparams: Any = tensorboard.summary.hparams
        if entry["event"] == "start":
            self.writer = tensorboard.SummaryWriter(str(self.log_dir))
            texts = text_parameters(entry)
            rows = [f"| {name} | {value} |" for name, value in texts.items()]
            table = "\n".join(["| parameter | value |", "| --- | --- |", *rows])
            self.writer.add_text(tagged(entry, "parameters"), table)
            names = ["best_loss", *["best_val_loss"] * bool(entry["validation_sequences"])]
            for summary in hparams(texts, {tagged(entry, name): 0.0 for name in names})[:2]:
                self.writer.file_writer.add_summary(summary)
        for name, value in measured(entry).items():
            self.writer.add_scalar(tagged(entry, name), value, entry.get("epoch", 0))
        if entry["event"] == "end":
            self.writer.file_writer.add_summary(hparams({}, {})[2])
            self.writer.close()
        else:
            self.writer.flush()
