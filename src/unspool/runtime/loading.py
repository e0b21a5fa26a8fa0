"""Reading of models and detectors from files."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from unspool import model_file
from unspool._types import RuntimeBackendName
from unspool.errors import InputError, ModelFileError
from unspool.model_file.losses import with_functions
from unspool.runtime.backends import check_backend
from unspool.runtime.detector import Detector
from unspool.runtime.model import Model


def load(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Callable[..., Any]] | None = None,
    backend: RuntimeBackendName = "auto",
) -> Model:
    """Read a trained model from a file.

    Parameters
    ----------
    path : str or path
        Path of a file that `save` or ``unspool fit`` wrote. The file of an `AnomalyDetector` is
        read as the model in it; `load_detector` reads the detector.
    custom_objects : dict from str to callable, optional
        Loss functions of arrays by their names, as for `Model`.
    backend : {"auto", "compiled", "numpy"}, default "auto"
        What computes recurrent layers: compiled kernels, which need Numba, or NumPy, as for
        `Model`.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ModelFileError
        If the file does not exist, is damaged, is not an unspool model, or has a newer format.
    InputError
        If `custom_objects` is no dict from names to functions, or `backend` is unknown, or is
        "compiled" where Numba cannot be used.

    See Also
    --------
    unspool.load : Read a file as an estimator, with PyTorch.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from unspool import DenseAutoencoder, runtime
    >>> X = np.random.default_rng(0).normal(size=(100, 3)) @ np.ones((3, 12))
    >>> trained = DenseAutoencoder(4, epochs=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trained.save(Path(folder, "rows.unspool"))
    ...     model = runtime.load(Path(folder, "rows.unspool"))
    >>> model
    Model(DenseAutoencoder, 12 features, codes of 4)
    """
    contents = model_file.read(path)
    with_functions({}, custom_objects)  # checks them
    check_backend(backend)
    try:
        return Model(contents, custom_objects=custom_objects, backend=backend)
    except InputError as error:
        raise ModelFileError(f"{path} does not hold a usable model: {error}") from None


def load_detector(
    path: str | os.PathLike[str], *, backend: RuntimeBackendName = "auto"
) -> Detector:
    """Read an anomaly detector from a file.

    Parameters
    ----------
    path : str or path
        Path of a file that `AnomalyDetector.save` or ``unspool detect`` wrote.
    backend : {"auto", "compiled", "numpy"}, default "auto"
        What computes recurrent layers: compiled kernels, which need Numba, or NumPy, as for
        `Model`.

    Returns
    -------
    Detector
        The detector.

    Raises
    ------
    ModelFileError
        If the file does not exist, is damaged, is not an unspool model, or contains no detector.
    InputError
        If `backend` is unknown, or is "compiled" where Numba cannot be used.

    See Also
    --------
    unspool.load : Read a file as an estimator, with PyTorch.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from unspool import AnomalyDetector, LSTMAutoencoder, runtime
    >>> X = np.sin(np.arange(600) / 5)[:, None]
    >>> model = LSTMAutoencoder(4, epochs=1, random_state=0, verbose=0)
    >>> fitted = AnomalyDetector(model, window=20).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fitted.save(Path(folder, "sine.unspool"))
    ...     detector = runtime.load_detector(Path(folder, "sine.unspool"))
    >>> detector
    Detector(LSTMAutoencoder, 1 features, windows of 20)
    """
    contents = model_file.read(path)
    check_backend(backend)
    try:
        return Detector(contents, backend=backend)
    except InputError as error:
        raise ModelFileError(f"{path} does not hold a usable detector: {error}") from None
