"""Errors and warnings of unspool.

Every message says what was expected, what was given, and what to do. ``except UnspoolError``
catches all errors that unspool raises on purpose.
"""


class UnspoolError(Exception):
    """Base class of the errors that unspool raises on purpose.

    See Also
    --------
    InputError : Invalid data, parameters or paths.
    ModelFileError : Invalid model files.
    DivergedError : Training that diverged.
    """


class InputError(UnspoolError, ValueError):
    """Raised if data, a parameter or a path cannot be used.

    The message names the argument, what was expected, what was given, and what to do. Several
    invalid parameters are reported together, one per line. It is a `ValueError` too, as
    scikit-learn expects.

    See Also
    --------
    ModelFileError : Raised for invalid model files instead.

    Examples
    --------
    >>> from unspool import Windows
    >>> from unspool.errors import InputError
    >>> try:
    ...     Windows([1.0, 2.0, 3.0], 0)
    ... except InputError as error:
    ...     print(error)
    `size` must be a whole number of at least 1, got 0.
    """


class ModelFileError(UnspoolError, ValueError):
    """Raised if a model file is missing, damaged, not a model file, or of an unknown version.

    Files of older versions can be read. For a file of a newer version, update unspool; a damaged
    file must be replaced by a good copy or a new fit.

    See Also
    --------
    unspool.load : Load an estimator.
    unspool.model_file.FORMAT_VERSION : The version that this release writes.
    """


class DivergedError(UnspoolError, ArithmeticError):
    """Raised by `fit` if the loss is NaN, infinite or far too large, from earlier weights too.

    The message names the epoch, the batch, the parameter with the largest gradient and the first
    weight that is not finite, and says what to change: usually to lower `learning_rate`, to set
    `global_clipnorm`, or to scale the data (`scaling`).

    See Also
    --------
    UnstableTrainingWarning : Training that diverged and recovered.
    """


class CheckpointWarning(UserWarning):
    """Issued by `fit` if a checkpoint cannot be written, or was written by other versions.

    If it cannot be written, for example because the disk is full, training goes on, and the last
    good checkpoint stays. If it was written with another version of unspool, PyTorch or NumPy,
    training continues from it, but may end in other weights than an uninterrupted fit.

    See Also
    --------
    ModelFileError : Raised for a damaged checkpoint.
    InputError : Raised for a checkpoint of other parameters or data.
    """


class NoBetterThanMeanWarning(UserWarning):
    """Issued by `fit` if the model reconstructs no better than the mean sequence.

    The model has learned little about the data. Train for more epochs, with a larger `latent_dim`
    or a different `learning_rate`, or with more data.

    See Also
    --------
    UnstableTrainingWarning : Training that diverged and recovered.
    """


class UnusedCodeWarning(UserWarning):
    """Issued by `fit` if many dimensions of the code are the same for all sequences.

    The message names them. Units with a ReLU may end at 0 for all sequences, and a variational
    code may collapse. Use a linear code, a lower `kl_weight`, or a smaller `latent_dim`.

    See Also
    --------
    NoBetterThanMeanWarning : The model as a whole has learned little.
    """


class GeneralizationWarning(UserWarning):
    """Issued by `fit` if a model is not likely to describe other sequences.

    Its validation loss is far above its training loss, because it has learned the training
    sequences by heart, or because the validation sequences have another distribution; the message
    says which. Or nothing is held out, and the model has many more weights than there are values.

    See Also
    --------
    OverlapWarning : Validation data that say little about other sequences.
    """


class UnstableTrainingWarning(UserWarning):
    """Issued by `fit` if training diverged and continues from earlier weights.

    The learning rate is halved. The result is usable; to avoid the warning, lower `learning_rate`
    or set `global_clipnorm`.

    See Also
    --------
    DivergedError : Raised if training diverges again and again.
    """


class InterruptedWarning(UserWarning):
    """Issued by `fit` if Ctrl-C or SIGTERM ended training, and the estimator is fitted anyway.

    It has the weights of the best epoch so far, and ``interrupted_`` is True. The message says how
    many epochs were done, and how to go on. A second signal ends `fit` at once, with
    `KeyboardInterrupt` or, for SIGTERM, `SystemExit`; the estimator is then as it was before.

    See Also
    --------
    UnstableTrainingWarning : Training that diverged and recovered.
    """


class OverlapWarning(UserWarning):
    """Issued by `fit` if training data and validation data overlap, or would at random.

    The rows of ``X`` are windows that were cut from one series, or sequences of ``X`` occur in
    ``validation_data`` too. A loss on sequences that nearly equal training sequences says little
    about others. Cut the series in time before you cut windows, or give `Windows`, which the
    validation split never mixes.

    See Also
    --------
    unspool.Windows : Sliding windows over long series.
    unspool.chronological_split : Cut series into an earlier and a later part.
    """


class ParametersChangedWarning(UserWarning):
    """Issued by `save` if `set_params` changed parameters after `fit`.

    The file contains the parameters of the fit, which match the weights. Call `fit` again to apply
    the changed parameters.

    See Also
    --------
    ModelFileError : Raised for invalid model files.
    """


class ThresholdWarning(UserWarning):
    """Issued by an anomaly detector if there are too few scores to choose its threshold from.

    The false alarm rate that was requested needs more independent scores of normal data. Fit with
    more normal data, or request a higher rate.

    See Also
    --------
    unspool.AnomalyDetector : The detector.
    """
