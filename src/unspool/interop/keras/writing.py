"""Trained models as Keras models: `to_keras`, and `export_keras`, which writes one to a file.

`to_keras` puts inputs, encoder, decoders and outputs together; `Parts` makes the layers of each
part and gives them their weights. The layers are Keras's own, without a line of code from here, so
that a file loads where there is no unspool.

The lengths of sequences come in as a second input, `mask` (batch, T), which every LSTM layer is
handed. Keras's own way, a `Masking` layer that takes steps of some value for padding, cannot tell
them from real steps that have it.
"""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from unspool import _checks
from unspool._files import atomic_write, check_output_path
from unspool.blueprint import Blueprint, ConvDecoder, ConvEncoder, LSTMDecoder, LSTMEncoder
from unspool.errors import InputError
from unspool.interop.keras.graph import keras_module
from unspool.interop.keras.parts import Parts
from unspool.model_file import Contents, Fitted
from unspool.model_file.contents import contents_of
from unspool.model_file.fitted import PARTS


def to_keras(model: Contents | Fitted, *, part: str = "model", steps: int | None = None) -> Any:
    """Make a trained model a Keras model of plain layers.

    It reads and writes the units of the data; scaling is done inside, in float64. Give data whose
    mean is large against its spread to the model itself, ``model([x, mask])``, as float64: its
    `predict` rounds what comes in to float32, and JAX knows no float64 unless told.

    ============== ================================ ===============================================
    input          shape                            for
    ============== ================================ ===============================================
    ``x``          (batch, T, F)                    sequences; (batch, D) for a model fitted on
                                                    rows, (batch, H, W, C) on images
    ``mask``       (batch, T), True at real steps   LSTM models; None takes all steps for real,
                                                    except in models with pooled states, random
                                                    kernels or `reverse_target`, which need it
    ``reversed``   (batch, T, F)                    decoders that read the input backwards: each
                                                    sequence turned round within its own length
    ============== ================================ ===============================================

    T is open for an LSTM encoder; a reconstruction is of `steps` steps, so fill sequences up to
    that and say by the mask where they end. What comes out past an end has no meaning. Dense and
    convolutional models take no mask: fill sequences up with ``scaler_.shift``, which is zero once
    it is scaled. So fill up ``reversed`` where a forecast reads it.

    Outputs are the reconstruction, the forecast (K steps), or both in this order, or the
    probabilities of a classifier; the code, with ``part="encoder"``. A variational encoder gives
    its mean.

    Parameters
    ----------
    model : fitted estimator, or `unspool.model_file.Contents`
    part : {"model", "encoder"}, default "model"
    steps : int, optional
        Of a reconstruction by LSTM layers, those of the longest sequence seen by `fit` by default.

    Returns
    -------
    keras.Model

    Raises
    ------
    InputError
        For a decoder that reads its own output, which is no graph of layers; for a forecast that
        is not made of the code alone (`normalization`, `linear_steps`) and for quantiles; where
        `steps` are more than the model can write; where Keras is not installed.
    """
    _checks.raise_all(
        _checks.choice("part", part, PARTS), _checks.whole("steps", steps, 1, none=True)
    )
    contents = contents_of(model)
    keras, plan = keras_module(), contents.blueprint
    alone = part == "encoder" or not (plan.decoders or plan.head)
    if alone:
        plan = replace(plan, decoders={}, skip=None, head=None)
    longest = contents.fitted["max_length"]
    _complain(contents, plan, steps)
    steps = longest if steps is None else steps
    parts = Parts(keras, contents.weights, contents.scaler)

    inputs = [parts.input(_shape(contents, plan, steps), "x")]
    read, mask, backwards = parts.scaled(inputs[0]), None, None
    image = len(inputs[0].shape) == 4
    decoders = plan.decoders.values()
    if isinstance(plan.encoder, LSTMEncoder):
        pools = plan.encoder.statistics != ("last",) or plan.encoder.kernels is not None
        needed = pools or any(
            isinstance(one, LSTMDecoder) and one.reverse_target for one in decoders
        )
        mask = keras.Input(inputs[0].shape[1:2], dtype="bool", name="mask", optional=not needed)
        inputs.append(mask)
    if any(isinstance(one, LSTMDecoder) and one.kind.reads for one in decoders):
        inputs.append(parts.input((steps, plan.encoder.n_features), "reversed"))
        backwards = parts.scaled(inputs[-1])
    code, states = parts.encoder(plan.encoder, read, mask)
    outputs = []
    if plan.head is not None:
        outputs.append(parts.head("head.", plan.head, code, last="softmax"))
    for name, decoder in plan.decoders.items():
        prefix, ahead = f"decoders.{name}.", name == "forecast"
        count, own = (plan.horizon, None) if ahead else (steps, mask)
        if isinstance(decoder, ConvDecoder):
            written = parts.conv_decoder(prefix, decoder, code, image=image)
        elif isinstance(decoder, LSTMDecoder):
            written = parts.lstm_decoder(prefix, decoder, code, states, count, own, backwards)
        elif len(inputs[0].shape) == 2:
            row = replace(decoder.head, steps=None)
            written = parts.head(f"{prefix}head.", row, code)
        else:
            written = parts.up_to(parts.head(f"{prefix}head.", decoder.head, code), count)
        outputs.append(parts.unscaled(written))
    found = outputs or [code]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], found if found[1:] else found[0])


def export_keras(contents: Contents, path: str | os.PathLike[str], *, part: str = "model") -> None:
    """Write a trained model to a .keras file, whole or not at all; see `to_keras`.

    Parameters
    ----------
    contents : Contents
        The trained model as plain data.
    path : path of the file
        Ends in .keras.
    part : {"model", "encoder"}, default "model"

    Raises
    ------
    InputError
        Where `to_keras` raises it, or there can be no such file.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise InputError(f"Expected a file name that ends in .keras, got {path}.")
    check_output_path(path)
    model = to_keras(contents, part=part)
    with atomic_write(path) as file, tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.keras"  # Keras takes no open file, and no other ending
        model.save(made)
        with made.open("rb") as source:
            shutil.copyfileobj(source, file)


def _shape(contents: Contents, plan: Blueprint, steps: int) -> tuple[int | None, ...]:
    """Of the input, without the batch."""
    encoder, facts = plan.encoder, contents.facts
    if isinstance(encoder, LSTMEncoder):
        return steps if "reconstruction" in plan.decoders else None, encoder.n_features
    if facts.image_shape is not None and isinstance(encoder, ConvEncoder):
        return facts.image_shape
    if contents.fitted["table"] and encoder.max_steps == 1:
        return (encoder.n_features,)
    return encoder.max_steps, encoder.n_features


def _complain(contents: Contents, plan: Blueprint, steps: int | None) -> None:
    """Refuse what Keras has no layers for, and numbers of steps that the model cannot write."""
    if isinstance(plan.encoder, LSTMEncoder) and plan.encoder.normalization != "none":
        raise InputError(
            f"The model normalises every sequence ({plan.encoder.normalization!r}), for which "
            "Keras has no layer; fit with normalization='none', linear_steps=0 and quantiles=(), "
            "or write an ONNX file."
        )
    if plan.skip is not None or "quantiles" in plan.decoders:
        raise InputError(
            "The model has a linear map beside the LSTM, or quantiles, which are not written as "
            "Keras layers; fit with linear_steps=0 and quantiles=(), write an ONNX file, or export "
            "the encoder alone (part='encoder')."
        )
    for decoder in plan.decoders.values():
        if isinstance(decoder, LSTMDecoder) and decoder.kind.reads == "previous":
            raise InputError(
                f"The decoder {decoder.name!r} reads its own output of the step before, which is "
                "no graph of Keras layers; export the encoder alone (part='encoder'), or fit with "
                "another decoder."
            )
    again = plan.decoders.get("reconstruction")
    if steps is None:
        return
    if again is None or not isinstance(plan.encoder, LSTMEncoder):
        raise InputError("`steps` are those of a reconstruction by LSTM layers; leave them out.")
    if again.max_steps is not None and steps > again.max_steps:
        raise InputError(
            f"`steps` must be at most {again.max_steps}, as in `fit`, got {steps}; this decoder "
            "is made for sequences of bounded length."
        )
