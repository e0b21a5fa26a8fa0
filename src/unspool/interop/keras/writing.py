"""Exporting trained models to Keras: `to_keras`, and `export_keras`, which writes a file.

`to_keras` connects inputs, encoder, decoders and outputs; `LayerWriter` makes the layers of each
part and sets their weights. All layers are standard Keras layers, so a file loads without unspool.

The lengths of sequences are a second input, `mask` (batch, T), which every LSTM layer receives. A
`Masking` layer, which takes steps of a certain value for padding, could not distinguish padding
from real steps with that value.
"""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unspool import _checks
from unspool._files import atomic_write, check_output_path
from unspool._types import Part, names
from unspool.blueprint import Blueprint, ConvDecoder, ConvEncoder, LSTMDecoder, LSTMEncoder
from unspool.errors import InputError
from unspool.interop.keras.graph import keras_module
from unspool.interop.keras.writing_layers import LayerWriter
from unspool.model_file import Contents, Fitted
from unspool.model_file.contents import contents_of

if TYPE_CHECKING:
    import keras  # type: ignore[import-untyped]  # Keras ships no types


def to_keras(
    model: Contents | Fitted, *, part: Part = "model", steps: int | None = None
) -> "keras.Model":
    """Convert a trained model to a Keras model of standard layers.

    Inputs and outputs are in the units of the data; the model scales them in float64. B is the
    batch size, T the number of steps, F the number of features, K the horizon, L the length of the
    code and C the number of classes.

    ============ ======================= =========================================================
    input        shape                   meaning
    ============ ======================= =========================================================
    ``x``        (B, T, F)               Sequences. For a model fitted on rows (B, D), on images
                                         (B, H, W, channels).
    ``mask``     (B, T), bool            LSTM models only: True at real steps, False in the padding.
                                         None means that all steps are real; models with pooled
                                         states (the default), random kernels, convolutions in
                                         front of the LSTM or `reverse_target` require it.
    ``reversed`` (B, T, F)               Decoders that read the reversed input only: each sequence
                                         reversed within its length.
    ============ ======================= =========================================================

    The outputs are the reconstruction (shape of ``x``), the forecast (B, K, F), both in this order
    and of the `targets` of the model only (or of the quantities of its `y`), or the probabilities
    of a classifier (B, C); with ``part="encoder"``, the code (B, L), which is the mean if the
    encoder is variational.

    Parameters
    ----------
    model : fitted estimator or unspool.model_file.Contents
        The trained model. Of an `AnomalyDetector`, the model is converted and not the score.
    part : {"model", "encoder"}, default "model"
        Whether to convert the whole model, or only the encoder, whose output is the code.
    steps : int or None, default None
        Number of steps T of a reconstruction by LSTM layers. None means the length of the longest
        sequence in `fit`.

    Returns
    -------
    keras.Model
        A functional model. It can be saved with ``model.save("model.keras")``, and then loaded
        without unspool.

    Raises
    ------
    InputError
        If Keras is not installed, if `steps` is larger than the decoder allows, or if Keras has no
        layers for a part of the model:

        - a decoder that reads its own output ("previous", "state_previous"): convert the encoder
          (``part="encoder"``), or fit with another `decoder`;
        - a forecast with `normalization`, `linear_steps` or `quantiles`: fit with
          ``normalization="none", linear_steps=0, quantiles=()``, or use `export_onnx`;
        - a forecast that reads features that are known ahead (`known`): use `export_onnx`;
        - inputs that are clipped, or sequences that are normalised: fit with ``clip=None`` and
          ``normalization="none"``, or use `export_onnx`;
        - an LSTM that reads patches: fit with ``patch_size=1``, or use `export_onnx`.

    See Also
    --------
    export_keras : Write the Keras model to a file.
    from_keras : Import a Keras model as an estimator.
    unspool.interop.onnx.export_onnx : Write an ONNX file, which supports every model.

    Notes
    -----
    An LSTM encoder accepts any T, but a reconstruction has `steps` steps: pad ``x`` to that number
    and mark the real steps in ``mask``. Outputs in the padding have no meaning. Dense and
    convolutional models have no mask: pad with ``scaler_.shift``, which becomes zero when scaled.
    Pad ``reversed`` in the same way if a forecast reads it.

    If the mean of the data is large compared with its spread, call the model with float64 arrays,
    ``model([x, mask])``: `predict` converts inputs to float32, and so does JAX by default.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import LSTMAutoencoder
    >>> from unspool.interop.keras import to_keras
    >>> X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])[:, :, None]
    >>> trained = LSTMAutoencoder(4, epochs=2, verbose=0, random_state=0).fit(X)
    >>> model = to_keras(trained)
    >>> [x.name for x in model.inputs], model.output_shape
    (['x', 'mask'], (None, 12, 1))
    >>> reconstruction = model([X, np.ones(X.shape[:2], bool)])
    >>> bool(np.allclose(reconstruction.detach(), trained.reconstruct(X), atol=1e-5))
    True
    """
    _checks.raise_all(
        _checks.choice("part", part, names(Part)), _checks.whole("steps", steps, 1, none=True)
    )
    contents = contents_of(model)
    keras, plan = keras_module(), contents.blueprint
    if part == "encoder" or not (plan.decoders or plan.head):
        plan = replace(plan, decoders={}, skip=None, head=None)
    longest = contents.fitted["max_length"]
    if contents.scaler.clip is not None:
        raise InputError(
            "Keras has no layer that clips its inputs, and this model clips them to "
            f"±{contents.scaler.clip:g} scaled units (`clip`); fit with clip=None, or use "
            "`export_onnx`."
        )
    if contents.scaler.normalization != "none":
        raise InputError(
            "The model normalises each sequence (normalization="
            f"{contents.scaler.normalization!r}), for which Keras has no layer; fit with "
            "normalization='none', or use `export_onnx`."
        )
    _refuse_unsupported(plan)
    if steps is not None:
        _check_steps(plan, steps)
    steps = longest if steps is None else steps
    writer = LayerWriter(keras, contents.weights, contents.scaler, contents.target_scaler)

    inputs = [writer.input(_shape(contents, plan, steps), "x")]
    x, mask, reversed_x = writer.scaled(inputs[0]), None, None
    image = len(inputs[0].shape) == 4
    decoders = plan.decoders.values()
    if isinstance(plan.encoder, LSTMEncoder):
        encoder = plan.encoder
        pools = encoder.statistics != ("last",) or encoder.kernels is not None
        required = (
            pools
            or encoder.convolutions is not None
            or any(isinstance(one, LSTMDecoder) and one.reverse_target for one in decoders)
        )
        mask = keras.Input(inputs[0].shape[1:2], dtype="bool", name="mask", optional=not required)
        inputs.append(mask)
    if any(isinstance(one, LSTMDecoder) and one.kind.reads for one in decoders):
        inputs.append(writer.input((steps, plan.encoder.n_features), "reversed"))
        reversed_x = writer.scaled(inputs[-1])
    code, states = writer.encoder(plan.encoder, x, mask)
    outputs = []
    if plan.head is not None:
        outputs.append(writer.head("head.", plan.head, code, last="softmax"))
    for name, decoder in plan.decoders.items():
        prefix, ahead = f"decoders.{name}.", name == "forecast"
        count, output_mask = (plan.horizon, None) if ahead else (steps, mask)
        if isinstance(decoder, ConvDecoder):
            output = writer.conv_decoder(prefix, decoder, code, image=image)
        elif isinstance(decoder, LSTMDecoder):
            output = writer.lstm_decoder(
                prefix, decoder, code, states, count, output_mask, reversed_x
            )
        elif len(inputs[0].shape) == 2:
            row = replace(decoder.head, steps=None)
            output = writer.head(f"{prefix}head.", row, code)
        else:
            output = writer.up_to(writer.head(f"{prefix}head.", decoder.head, code), count)
        outputs.append(writer.unscaled(output))
    outputs = outputs or [code]
    return keras.Model(_alone_or_all(inputs), _alone_or_all(outputs))


def export_keras(
    model: Contents | Fitted, path: str | os.PathLike[str], *, part: Part = "model"
) -> None:
    """Write a trained model to a .keras file of standard layers.

    The file loads with ``keras.models.load_model``, without unspool. `to_keras` describes inputs
    and outputs of the Keras model. The file is written under a temporary name and then renamed, so
    an older file at `path` is replaced completely or not at all.

    Parameters
    ----------
    model : fitted estimator or unspool.model_file.Contents
        The trained model. Of an `AnomalyDetector`, the model is written and not the score.
    path : str or path-like
        Path of the file, which must end in .keras.
    part : {"model", "encoder"}, default "model"
        Whether to write the whole model, or only the encoder, whose output is the code.

    Raises
    ------
    InputError
        If `to_keras` refuses the model, if `path` does not end in .keras, or if the file cannot be
        written.

    See Also
    --------
    to_keras : Return the Keras model, optionally with another number of steps.
    from_keras : Import the file as an estimator.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> from unspool.interop.keras import export_keras
    >>> X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])
    >>> trained = DenseAutoencoder(2, epochs=2, verbose=0, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     export_keras(trained, Path(folder) / "encoder.keras", part="encoder")
    ...     import keras
    ...
    ...     keras.models.load_model(Path(folder) / "encoder.keras").output_shape
    (None, 2)
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise InputError(f"Expected a file name that ends in .keras, got {path}.")
    check_output_path(path)
    keras_model = to_keras(model, part=part)
    with atomic_write(path) as file, tempfile.TemporaryDirectory() as folder:
        complete = Path(folder) / "model.keras"  # Keras needs a path with this ending
        keras_model.save(complete)
        with complete.open("rb") as source:
            shutil.copyfileobj(source, file)


def _alone_or_all(tensors: list[Any]) -> Any:
    """Return the only tensor of a list, or the list."""
    return tensors if len(tensors) > 1 else tensors[0]


def _shape(contents: Contents, plan: Blueprint, steps: int) -> tuple[int | None, ...]:
    """Return the shape of the input ``x`` without the batch axis."""
    encoder, facts = plan.encoder, contents.facts
    if isinstance(encoder, LSTMEncoder):
        return steps if "reconstruction" in plan.decoders else None, encoder.n_features
    if facts.image_shape is not None and isinstance(encoder, ConvEncoder):
        return facts.image_shape
    if contents.fitted["table"] and encoder.max_steps == 1:
        return (encoder.n_features,)
    return encoder.max_steps, encoder.n_features


def _refuse_unsupported(plan: Blueprint) -> None:
    """Refuse models with parts that Keras has no layers for."""
    if plan.encoder.missing:
        raise InputError(
            "The model accepts missing values (missing='mask'), for which Keras has no layer; fit "
            "with missing='raise', or export to ONNX or with `unspool.interop.torch.to_torch`."
        )
    if isinstance(plan.encoder, LSTMEncoder) and plan.encoder.normalization != "none":
        raise InputError(
            f"The model normalizes each sequence (normalization={plan.encoder.normalization!r}), "
            "for which Keras has no layer; fit with normalization='none', linear_steps=0 and "
            "quantiles=(), or export to ONNX."
        )
    if plan.skip is not None or "quantiles" in plan.decoders:
        raise InputError(
            "The model forecasts with a linear map of the last steps or with quantiles, which the "
            "Keras export does not support; fit with linear_steps=0 and quantiles=(), export to "
            "ONNX, or export only the encoder (part='encoder')."
        )
    if plan.known and plan.decoders:
        raise InputError(
            "The model reads features that are known ahead (`known`), which the Keras export does "
            "not support; export to ONNX, or export only the encoder (part='encoder')."
        )
    for decoder in plan.decoders.values():
        if isinstance(decoder, LSTMDecoder) and decoder.kind.reads == "previous":
            raise InputError(
                f"decoder={decoder.name!r} reads its own previous output, which a graph of Keras "
                "layers cannot do; export only the encoder (part='encoder'), or fit with another "
                "decoder."
            )


def _check_steps(plan: Blueprint, steps: int) -> None:
    """Refuse a number of steps that the model cannot reconstruct."""
    decoder = plan.decoders.get("reconstruction")
    if decoder is None or not isinstance(plan.encoder, LSTMEncoder):
        raise InputError(
            "`steps` is for models with LSTM layers and a reconstruction; leave it None."
        )
    if decoder.max_steps is not None and steps > decoder.max_steps:
        raise InputError(
            f"`steps` must be at most {decoder.max_steps}, the longest sequence in `fit`, because "
            f"this decoder has a fixed length; got {steps}."
        )
