"""Importing Keras models as estimators: `from_keras`.

The graph of the model is read by the reader of its family: LSTM or GRU layers (`recurrent`),
convolutions (`convolution`), or dense layers only (`dense`). Each reader walks from the outputs
back to the inputs and refuses, by name, unsupported layers and layers that were not visited. The
result becomes `Contents`, and these an estimator.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from unspool import _checks
from unspool._types import SecondInput, names
from unspool.errors import InputError
from unspool.interop.imported import estimator_of
from unspool.interop.keras.convolution import read_conv_model
from unspool.interop.keras.dense import read_dense_model
from unspool.interop.keras.graph import CONVOLUTIONS, RECURRENT, graph, refuse
from unspool.interop.keras.loading import load_keras
from unspool.interop.keras.recurrent import read_recurrent_model
from unspool.interop.keras.supported import KNOWN, MASKS, what_helps

if TYPE_CHECKING:
    import keras  # type: ignore[import-untyped]  # Keras ships no types

    from unspool.interop.imported import Estimator


def from_keras(
    model: "keras.Model | str | os.PathLike[str]",
    *,
    second_input: SecondInput = "reversed_input",
    forecast: bool | None = None,
    max_length: int | None = None,
) -> "Estimator":
    """Import a Keras model as a fitted estimator that computes the same outputs.

    The model must consist of an encoder of LSTM or GRU layers, with or without convolutions before
    them, of dense layers, or of convolutions with strides or max pooling; its code; and a decoder
    for each output, with the layouts of the estimators.
    Layers may be nested in models, wrapped in `TimeDistributed` or `Bidirectional`, and without
    bias. Layers that are linear maps at prediction, such as `BatchNormalization`, become part of
    the weights of a neighbouring layer. A layer or an option that unspool does not have is refused
    with its name.

    Parameters
    ----------
    model : keras.Model or path of a .keras, .h5 or .hdf5 file
        A built Sequential or functional model with its weights, a file of Keras 3, or an HDF5 file
        of a whole model of Keras 2 or 3. No code in a
        file is run: only known Keras layers are built from it. Initializers, regularizers,
        constraints and the compilation are ignored; custom layers and `Lambda` are refused.
    second_input : {"reversed_input", "previous"}, default "reversed_input"
        Meaning of a decoder's second input: the reversed sequence, or the previous step.
    forecast : bool or None, default None
        For a model with one output: whether it is a forecast. None means True, unless the output
        has the number of steps of the input or the input has an open number of steps. False also
        makes a dense layer after an LSTM encoder its code instead of a forecast. True also accepts
        an encoder whose last layer has return_sequences=True: the output after the last step is
        the forecast, and that after step t the forecast from the first t steps. Of two outputs,
        one is the reconstruction and the other the forecast; then `forecast` must be None. A
        forecast with another number of features than the input has predicts a quantity that is no
        feature (``targets="y"``), without a `Reshape` several steps of one quantity.
    max_length : int or None, default None
        Number of steps of the longest sequence; needed only if no axis of the model has it.

    Returns
    -------
    estimator : autoencoder, LSTMForecaster or EncoderClassifier
        The fitted estimator, with ``device="auto"``. LSTM and GRU layers become an
        `LSTMAutoencoder` or, if the only output is a forecast, an `LSTMForecaster`; dense layers a
        `DenseAutoencoder` or `StackedAutoencoder`; convolutions a `ConvAutoencoder`. A model that
        ends with its code becomes an autoencoder that can only `transform`. A softmax on a code
        becomes an `EncoderClassifier` with the classes 0, 1, …. `clone` and `fit` train the same
        architecture; parameters of the training, including the loss, have their defaults, except
        for dropout. The history of the training is unknown: ``history_["loss"]`` is ``[inf]``.
        ``import_notes_`` is a tuple of sentences: what was guessed, with the option that changes
        it, and what differs from Keras.

    Raises
    ------
    InputError
        If a layer or one of its options is not supported, if the model is not built, if the file
        is damaged or contains anything but known layers, or if Keras is not installed.

    See Also
    --------
    to_keras : Convert a trained model to a Keras model.
    unspool.load : Read a model file of unspool.

    Notes
    -----
    A `BatchNormalization` and the merge modes "sum" and "ave" of `Bidirectional` are written into
    the weights of a neighbouring layer, and a unit with `LeakyReLU` into two ReLU units. `fit` then
    trains an architecture without these layers, and the code may be that before the
    `BatchNormalization`. Of dense layers that are not mirrored, the narrowest is the code. Kernels
    of a size that `ConvAutoencoder` does not have at their place get zeros around them, and a
    convolution that is missing before the first upsampling is added. A decoder that starts from
    states and reads the repeated output of the encoder becomes "state_repeat"; its weights for the
    other states are 0.

    Dropout has no effect on a trained model. So that `clone` and `fit` train with it again, the
    rates of `Dropout` layers are read where the estimator has a parameter: between recurrent layers
    and by the argument ``dropout`` of every layer of a stack but the first as `dropout`; after the
    code, before a `RepeatVector`, `Reshape` or `Dense`, and by the argument ``dropout`` of a layer
    that reads a `RepeatVector`, as `code_dropout`; ``recurrent_dropout`` of LSTM and GRU layers as
    `recurrent_dropout`; between dense layers or convolutions as `dropout`. A rate is read if all
    places where its parameter acts have it. Other dropout, such as that before the output layer,
    and noise are left out. A `Masking` layer after the input is left out, because unspool uses the
    lengths of the sequences: give sequences of different length as a list, or padded with NaN. A
    masked step within a sequence, which Keras skips, is not skipped.

    A `Normalization` or `Rescaling` after the input becomes the scaler; other models get
    ``scaling="none"``. Layers that share weights become separate layers. All computations use
    float32, so the outputs of a model of half or mixed precision differ by its rounding.

    Examples
    --------
    >>> import os
    >>> os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported
    >>> import keras
    >>> from unspool.interop.keras import from_keras
    >>> model = keras.Sequential([
    ...     keras.Input((9, 1)),
    ...     keras.layers.LSTM(4),
    ...     keras.layers.RepeatVector(9),
    ...     keras.layers.LSTM(4, return_sequences=True),
    ...     keras.layers.Dense(1),
    ... ])
    >>> autoencoder = from_keras(model)
    >>> type(autoencoder).__name__, autoencoder.latent_dim, autoencoder.decoder
    ('LSTMAutoencoder', 4, 'repeat')
    """
    _checks.raise_all(
        _checks.choice("second_input", second_input, names(SecondInput)),
        None if forecast is None else _checks.truth("forecast", forecast),
        _checks.whole("max_length", max_length, 1, none=True),
    )
    path = Path(model) if isinstance(model, (str, os.PathLike)) else None
    try:
        plain = graph(model if path is None else load_keras(path))
    except AttributeError as error:  # a file may hold another value in place of a tensor
        if path is None:
            raise
        raise InputError(f"{path} cannot be read: {error}; save the model again.") from None
    for node in sorted(plain.nodes, key=lambda node: node.name):
        if node.kind not in KNOWN | MASKS:
            raise refuse(
                node, f"unspool has no such layer; {what_helps(type(node.layer).__module__)}"
            )
    kinds = {node.kind for node in plain.nodes}
    if kinds & {*RECURRENT}:
        read = read_recurrent_model(plain, second_input, forecast, max_length)
    elif kinds & {*CONVOLUTIONS}:
        read = read_conv_model(plain)
    else:
        read = read_dense_model(plain)
    return estimator_of(read)
