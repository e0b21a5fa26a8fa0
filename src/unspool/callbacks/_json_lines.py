"""`JSONLogger`: log entries as lines of a JSON file."""

import json
import sys
from pathlib import Path
from typing import Any

from unspool._files import check_output_path


class JSONLogger:
    """Append a line with a JSON object to a file for each event of a training.

    Each line is complete as soon as it is written, so the file can be read while training goes on.

    Parameters
    ----------
    path : str or Path
        File that the lines are appended to; it is created if it does not exist. "-" writes to
        standard output.

    Raises
    ------
    InputError
        If no file can be written at `path`.

    See Also
    --------
    TensorBoardLogger : Write curves for TensorBoard.
    MLflowLogger : Write a run of MLflow.

    Notes
    -----
    Every object has "event" ("start", "epoch" or "end"), "time" (ISO 8601, UTC), "estimator" (the
    class) and "stage" (the training among those of one fit, such as "head" of a classifier; ""
    otherwise). A number that is NaN or infinite is null.

    * "start": "parameters", "sequences" and "validation_sequences" (their numbers), "max_length"
      (in steps), "features", "batches" (per epoch), "epochs" (maximum), "weights" (number of
      weights that are trained), "device".
    * "epoch": "epoch" (from 1), "epochs", the losses and metrics of ``history_``, "learning_rate",
      "seconds" (with validation), "sequences_per_second" and "time_steps_per_second" (of training,
      without padding), "gradient_norm" and "max_gradient_norm" (mean and maximum over the steps,
      before clipping).
    * "end": "epochs" (that were trained), "best_epoch" (from 1), its losses and metrics, "seconds",
      and "error" if an error ended training.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> from unspool.callbacks import JSONLogger
    >>> X = np.sin(np.arange(60)[:, None] * 0.7 + np.arange(12))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.jsonl"
    ...     model = DenseAutoencoder(2, epochs=20, random_state=0, verbose=0)
    ...     model = model.fit(X, callbacks=[JSONLogger(path)])
    ...     entries = [json.loads(line) for line in path.read_text().splitlines()]
    >>> [entry["event"] for entry in entries[:3]], len(entries)
    (['start', 'epoch', 'epoch'], 22)
    >>> entries[-1]["loss"] == model.history_["loss"][entries[-1]["best_epoch"] - 1]
    True
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        if str(path) != "-":
            check_output_path(path)

    def on_log(self, model: Any, entry: dict[str, Any]) -> None:
        """Write an entry.

        Parameters
        ----------
        model : estimator
            The estimator that is fitted.
        entry : dict
            The entry, as JSON represents it.
        """
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        if str(self.path) == "-":
            sys.stdout.write(line)
            sys.stdout.flush()
        else:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line)
