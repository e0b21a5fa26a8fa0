"""Importing PyTorch weights as estimators: `from_torch`."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from unspool import _checks
from unspool._types import ActivationName, LSTMDecoderName, PoolingName, TorchTask, names
from unspool.interop.imported import estimator_of
from unspool.interop.torch.importing_parts import Wiring, read_model
from unspool.interop.torch.roles import Names, roles_of
from unspool.interop.torch.state_file import read_state
from unspool.interop.torch.state_modules import Modules, modules_in

if TYPE_CHECKING:
    from unspool.interop.imported import Estimator


def from_torch(
    state: "Mapping[str, Any] | str | os.PathLike[str]",
    *,
    max_length: int,
    encoder: Names = None,
    code: Names = None,
    decoder_input: Names = None,
    decoder: Names = None,
    head: Names = None,
    ignore: Iterable[str] = (),
    task: TorchTask | None = None,
    decoder_kind: LSTMDecoderName | None = None,
    horizon: int | None = None,
    pooling: PoolingName = "last",
    reverse_target: bool = False,
    head_activation: ActivationName = "relu",
    output_activation: ActivationName = "linear",
    mean: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    target_mean: npt.ArrayLike | None = None,
    target_scale: npt.ArrayLike | None = None,
) -> "Estimator":
    """Import the weights of a PyTorch module as a fitted estimator that computes the same outputs.

    The module must consist of `torch.nn.LSTM` or `torch.nn.GRU` layers that encode a sequence, and
    of layers that decode it, forecast or classify. A state dict has the weights of a module, but
    not how its ``forward`` connects them: the parameters say that, and the notes say what is
    computed. Compare the outputs for a few sequences with those of the module.

    Parameters
    ----------
    state : mapping of str to tensors, or path
        A state dict, or a checkpoint with one under "state_dict", "model_state_dict" or "model"; or
        the path of a .pt, .pth or .ckpt file of `torch.save`, or of a .safetensors file. No code in
        a file is run.
    max_length : int
        Number of steps of the longest sequence.
    encoder : str or sequence of str, optional
        Names of the modules of LSTM or GRU layers that encode, first to last.
    code : str, optional
        Name of the linear layer from the encoder's last state to the code.
    decoder_input : str, optional
        Name of the linear layer from the code to what the decoder reads at every step. It is
        multiplied into the decoder's first layer.
    decoder : str or sequence of str, optional
        Names of the modules of LSTM or GRU layers that decode, first to last.
    head : str or sequence of str, optional
        Names of the linear layers at the output, first to last.
    ignore : sequence of str, default ()
        Names of modules or tensors that predictions do not use.
    task : {"reconstruction", "forecast", "classification"} or None, default None
        What the output is. None means the reconstruction if there is a decoder, and a forecast if
        there is only a head. "classification" makes the head a softmax over classes.
    decoder_kind : str or None, default None
        How the decoder receives the code: "repeat", "reversed_input", "previous", "state",
        "state_reversed_input" or "state_previous". None means "repeat" if the decoder reads the
        length of the code.
    horizon : int or None, default None
        Number of steps K of a forecast. For a head without a decoder, None means one step if it
        writes one number per feature, and otherwise that each number is a step of one quantity.
    pooling : {"last", "mean", "max", "mean_max"}, default "last"
        What the code is made of: the last state, or the mean or maximum over the steps.
    reverse_target : bool, default False
        Whether the decoder writes the sequence from its last step to its first.
    head_activation : str, default "relu"
        Activation between the layers of `head`.
    output_activation : str, default "linear"
        Activation of the last layer of `head`.
    mean, scale : float or array-like of shape (F,), optional
        The module reads and writes ``(x - mean) / scale``. Default: 0 and 1.
    target_mean, target_scale : float or array-like, optional
        The scaling of a forecast that is no feature of the input. Default: 0 and 1.

    Returns
    -------
    estimator : LSTMAutoencoder, LSTMForecaster or EncoderClassifier
        The fitted estimator, with ``device="auto"``. Without decoder and head, an `LSTMAutoencoder`
        that can only `transform`. A forecast of another number of quantities than the input has
        features becomes ``LSTMForecaster(targets="y")``. The history of the training is unknown:
        ``history_["loss"]`` is ``[inf]``. ``import_notes_`` is a tuple of sentences: what was
        guessed, with the argument that changes it.

    Raises
    ------
    InputError
        If a file contains anything but tensors and plain values, if a tensor is NaN, has another
        shape than expected, or belongs to no part, or if the names of the modules leave their
        parts open.

    See Also
    --------
    to_torch : Convert a trained model to a PyTorch module.
    unspool.interop.keras.from_keras : Import a Keras model.

    Notes
    -----
    If no part is given, the parts follow from the names: modules whose name has a part that starts
    with "enc" or "dec" belong to the encoder or the decoder; a single LSTM is an encoder; a linear
    layer before the decoder makes the code, or the input of the decoder if its name starts with
    "dec"; linear layers after it are the head. If a part is given, all modules must be.

    The prefix ``module.`` of `torch.nn.DataParallel` and the part ``_orig_mod`` of `torch.compile`
    are removed from the names. ``batch_first`` and dropout have no weights and need not be given.
    The kinds of decoders compute the following, with the code k, the LSTM's input at each step
    and its initial state:

    - "repeat": input k, initial state zero;
    - "reversed_input", "previous": input k followed by the features of the reversed input or of the
      decoder's previous output (zero at the first step);
    - "state": input zero, initial state the final state of all layers of the encoder. The input
      weights of the first layer have no effect and are left out;
    - "state_reversed_input", "state_previous": the same initial state, and as input the features
      of the reversed input or of the previous output.

    The code of a bidirectional encoder consists of the final states of both directions,
    ``torch.cat([h_n[-2], h_n[-1]], 1)``, and not of ``output[:, -1]``.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from unspool.interop.torch import from_torch
    >>> module = nn.ModuleDict({
    ...     "encoder": nn.LSTM(3, 8, batch_first=True),
    ...     "decoder": nn.LSTM(8, 8, batch_first=True),
    ...     "output": nn.Linear(8, 3),
    ... })
    >>> autoencoder = from_torch(module.state_dict(), max_length=20)
    >>> type(autoencoder).__name__, autoencoder.latent_dim, autoencoder.decoder
    ('LSTMAutoencoder', 8, 'repeat')
    """
    given = {
        "encoder": encoder,
        "code": code,
        "decoder_input": decoder_input,
        "decoder": decoder,
        "head": head,
    }
    wiring = Wiring(
        max_length,
        task,
        decoder_kind,
        horizon,
        pooling,
        reverse_target,
        head_activation,
        output_activation,
        (mean, scale),
        (target_mean, target_scale),
    )
    return import_state(state, given, ignore, wiring)


def import_state(
    state: Any, given: dict[str, Names], ignore: Iterable[str], wiring: Wiring
) -> "Estimator":
    """Return the estimator of a state; see `from_torch`."""
    _check(wiring)
    ignore = [ignore] if isinstance(ignore, str) else ignore
    modules: Modules = modules_in(read_state(state), ignore)
    roles = roles_of(modules, given)
    read = read_model(modules, roles, wiring)
    if all(names is None for names in given.values()):
        read.notes.append(f"the names of the modules give the parts {roles}.")
    kind = read.parameters.get("decoder")
    if wiring.decoder_kind is None and roles.decoder:
        read.notes.append(
            f"weights do not say how modules are connected; the decoder is assumed to read the "
            f"code at each step (decoder_kind={kind!r})."
        )
    if wiring.pooling == "last" and not (kind or "").startswith("state"):
        read.notes.append("the code is assumed to be made from the last state (pooling='last').")
    return estimator_of(read)


def _check(wiring: Wiring) -> None:
    w = wiring
    _checks.raise_all(
        _checks.whole("max_length", w.max_length, 1),
        None if w.task is None else _checks.choice("task", w.task, names(TorchTask)),
        None
        if w.decoder_kind is None
        else _checks.choice("decoder_kind", w.decoder_kind, TORCH_DECODERS),
        _checks.whole("horizon", w.horizon, 1, none=True),
        _checks.choice("pooling", w.pooling, ("last", "mean", "max", "mean_max")),
        _checks.truth("reverse_target", w.reverse_target),
        _checks.choice("head_activation", w.head_activation, names(ActivationName)),
        _checks.choice("output_activation", w.output_activation, names(ActivationName)),
    )


NOT_OF_TORCH = ("reshape", "flat", "state_repeat")
TORCH_DECODERS = tuple(name for name in names(LSTMDecoderName) if name not in NOT_OF_TORCH)
