"""Converting trained models to plain PyTorch modules: `to_torch`.

`to_torch` builds a model of standard PyTorch modules (`modules`), loads the trained weights, and
traces it with `torch.fx`. The result is a `torch.fx.GraphModule`: its `.code` is Python source, and
its pickle contains no class of unspool. TorchScript would do that too, but it is deprecated;
`torch.export` has neither submodules nor a pickle.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import fx

from unspool import _checks
from unspool._types import Part, names
from unspool.blueprint import ConvDecoder, Kernels, Layers, LSTMDecoder, LSTMEncoder
from unspool.interop.torch.layers import SATURATED
from unspool.interop.torch.modules import TraceableModel, TraceableModelWithFuture
from unspool.lstm.backends.torch_lstm import gru_parameters
from unspool.model_file import Contents, Fitted
from unspool.model_file.contents import contents_of
from unspool.nn import torch_settings
from unspool.nn.lstm_stack import TORCH_NAMES

Weights = Mapping[str, npt.NDArray[Any]]
Entry = tuple[str, npt.NDArray[Any]]

ALTERNATIVES = "Use the estimator, unspool.runtime or ONNX."


@torch_settings.training()
def to_torch(model: Contents | Fitted, *, part: Part = "model") -> fx.GraphModule:
    """Convert a trained model to a plain PyTorch module, which does not need unspool.

    Parameters
    ----------
    model : fitted estimator or unspool.model_file.Contents
        The trained model. Of an `AnomalyDetector`, the model is converted and not the score.
    part : {"model", "encoder"}, default "model"
        Whether to convert the whole model, or only the encoder, whose output is the code.

    Returns
    -------
    torch.fx.GraphModule
        A module on the CPU, in evaluation mode, with one method to call, ``module(x, lengths)``.
        The notes describe its arguments, its result and its state.

    Raises
    ------
    InputError
        If PyTorch has no modules for a part of the model:

        - recurrent layers with another `activation` than "tanh" or another `recurrent_activation`
          than "sigmoid", which `torch.nn.LSTM` and `torch.nn.GRU` do not have: fit with these, or
          use `export_onnx`;
        - a reconstruction whose decoder reads its own output ("previous", "state_previous"), since
          a trace needs a fixed number of steps: use ``part="encoder"``, another `decoder`, or
          `export_onnx`. A forecast has a fixed number of steps and may use these decoders.

    See Also
    --------
    unspool.interop.onnx.export_onnx : Write an ONNX file, which supports every model.
    unspool.runtime.load : Run a model file with NumPy.

    Notes
    -----
    B is the batch size, T >= 1 the number of steps, F the number of features, L the length of the
    code, K the horizon, Q the number of quantiles and C the number of classes. The module is called
    with

    - ``x`` (B, T, F), floating point, preferably float64: sequences in the units of the data. An
      image is a sequence of H · W pixels, row by row. A row of a table is one step for a
      `DenseAutoencoder` or `StackedAutoencoder`, otherwise a sequence of one feature. NaN is a
      missing value, for a model with ``missing="mask"``;
    - ``lengths`` (B,), integer: number of real steps of each sequence, from 0 to T. Steps past the
      end are ignored.

    A model with features that are known ahead has one more argument, ``module(x, lengths,
    future)``: ``future`` (B, K, n_known) has these features at the steps of the forecast.

    With ``part="encoder"``, it returns the codes (B, L), otherwise a dict with those of these keys
    that the model has:

    - ``"code"`` (B, L);
    - ``"reconstruction"`` (B, T, F_out), in the units of the data, 0 past the end of a sequence;
    - ``"forecast"`` (B, K, F_out), in the units of the data;
    - ``"quantiles"`` (B, K, F_out, Q), in the units of the data, in ascending order;
    - ``"probabilities"`` (B, C), in the order of ``classes_``.

    Gradients flow through the module. ``torch.save(module, path)`` and
    ``torch.load(path, weights_only=False)`` keep it.

    The names of its `state_dict` are stable. H is the number of units of a layer, and S the width
    of the states of the layer before:

    - ``shift``, ``scale`` (F,), float64: scaled values are (x - shift) / scale;
    - ``target_shift``, ``target_scale`` (F_out,), float64: the scaling of the outputs, for a model
      with `targets`; for other models F_out is F, and it is that of the inputs;
    - ``encoder.lstm.{layer}.{direction}.*``: weights of an `nn.LSTM` of one layer, or of an
      `nn.GRU`, with 3H instead of 4H rows and a second bias that is zero except for n; direction 1
      reads backwards. ``weight_ih_l0`` (4H, F) or (4H, S), ``weight_hh_l0`` (4H, H), ``bias_ih_l0``
      (4H,), and ``bias_hh_l0`` (4H,), which is zero. If the code is computed from the whole state,
      ``weight_ih_l0`` has one more column, which keeps c constant in the padding;
    - ``encoder.layers.{2i}.weight``, ``.bias``: dense layer i;
    - ``encoder.convolutions.{i}.weight`` (filters, channels, height, width), ``.bias``;
    - ``encoder.convolutions.{i}.weight`` (filters, channels, k), ``.bias``: in front of an LSTM;
    - ``encoder.kernels.{i}.weight`` (kernels, F, 9), ``.bias``: random kernels of dilation i, which
      are not trained;
    - ``encoder.projection.weight``, ``.bias``: from features to the code;
    - ``decoders.{name}.lstm.…``: as in the encoder; the name is "reconstruction" or "forecast".
      Columns for the inputs of a step precede those for the code. A decoder without inputs has one
      column of zeros;
    - ``decoders.{name}.start.weight``, ``.bias``: from the code to a state or a map;
    - ``decoders.{name}.head.{2i}.weight``, ``.bias``: dense layers applied to every step;
    - ``decoders.{name}.convolutions.{i}.weight``, ``.bias``; the weight of a transposed convolution
      is (channels, filters, height, width);
    - ``encoder.fill`` (F,), ``skip.fill`` (F_out,): what replaces missing values (NaN), in scaled
      units, if the model was trained with ``missing="mask"``. Its first layers read an indicator
      for each feature after the F values of a step;
    - ``skip.scale`` (F_out,): factor of the decoder's outputs;
    - ``skip.weight`` (F_out, K, steps), with one more column for the level if there is a
      `normalization`: linear maps of the last steps to the forecast;
    - ``head.{2i}.weight``, ``.bias``: from the code to the classes.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from unspool import LSTMForecaster
    >>> from unspool.interop.torch import to_torch
    >>> X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])[:, :, None]
    >>> trained = LSTMForecaster(8, horizon=4, epochs=2, random_state=0).fit(X)
    >>> module = to_torch(trained)
    >>> outputs = module(torch.from_numpy(X), torch.full((100,), 40))
    >>> {name: tuple(tensor.shape) for name, tensor in outputs.items()}
    {'code': (100, 8), 'forecast': (100, 4, 1)}
    """
    _checks.raise_all(_checks.choice("part", part, names(Part)))
    contents = contents_of(model)
    _checks.raise_all(*_complaints(contents, part))
    with torch.device("meta"):  # allocates no weights, since the trained ones are assigned
        plan, encoder_only = contents.blueprint, part == "encoder"
        kind = TraceableModelWithFuture if plan.known and not encoder_only else TraceableModel
        traceable = kind(
            plan,
            contents.scaler.clip,
            contents.scaler.normalization,
            encoder_only=encoder_only,
            n_outputs=contents.facts.n_outputs,
        )
    known = traceable.state_dict()
    state = {
        name: torch.from_numpy(np.array(array))
        for name, array in _state(contents)
        if name in known  # not decoders for an encoder, nor parts for training
    }
    traceable.load_state_dict(state, assign=True)
    module = fx.GraphModule(traceable, fx.Tracer().trace(traceable))
    module.graph.eliminate_dead_code()
    module.recompile()
    return module.eval()


def _complaints(contents: Contents, part: str) -> Iterator[_checks.Complaint]:
    """Yield reasons why the model cannot be converted."""
    plan = contents.blueprint
    parts = [plan.encoder, *plan.decoders.values()]
    cells = {
        (p.lstm.kind.title, p.lstm.activation, p.lstm.recurrent_activation)
        for p in parts
        if isinstance(p, LSTMEncoder | LSTMDecoder)
    }
    for title, activation, gates in cells:
        if (activation, gates) == ("tanh", "sigmoid"):
            continue
        yield (
            f"torch.nn.{title} supports activation='tanh' and recurrent_activation='sigmoid' only, "
            f"but this model has {activation!r} and {gates!r}. {ALTERNATIVES}"
        )
    decoder = plan.decoders.get("reconstruction") if part == "model" else None
    if isinstance(decoder, LSTMDecoder) and decoder.kind.reads == "previous":
        yield (
            f"decoder={decoder.name!r} reads its own output step by step, but a traced module "
            "needs a fixed number of steps; part='encoder' converts the encoder alone. "
            f"{ALTERNATIVES}"
        )


def _state(contents: Contents) -> Iterator[Entry]:
    """Yield the weights by their names in the module."""
    plan, weights = contents.blueprint, contents.weights
    yield "shift", contents.scaler.shift
    yield "scale", contents.scaler.scale
    yield "target_shift", contents.target_scaler.shift
    yield "target_scale", contents.target_scaler.scale
    prefixes = []
    if isinstance(plan.encoder, LSTMEncoder):
        prefixes.append("encoder.lstm.")
        yield from _lstm(
            prefixes[-1], plan.encoder.lstm, weights, holds_state=plan.encoder.whole_state
        )
        if plan.encoder.kernels is not None:
            prefixes.append("encoder.kernels.")
            yield from _kernels(prefixes[-1], plan.encoder.kernels, weights)
    for name, decoder in plan.decoders.items():
        if isinstance(decoder, LSTMDecoder):
            prefixes.append(f"decoders.{name}.lstm.")
            yield from _lstm(prefixes[-1], decoder.lstm, weights)
        elif isinstance(decoder, ConvDecoder):
            for place, layer in enumerate(decoder.convolutions):
                if layer.transposed:
                    prefixes.append(f"decoders.{name}.convolutions.{place}.weight")
                    yield prefixes[-1], weights[prefixes[-1]].swapaxes(0, 1)
    yield from ((n, w) for n, w in weights.items() if not n.startswith(tuple(prefixes)))


def _kernels(prefix: str, plan: Kernels, weights: Weights) -> Iterator[Entry]:
    """Yield the random kernels of each dilation."""
    for i in range(len(plan.dilations)):
        kernels = slice(i * plan.each, (i + 1) * plan.each)
        for name in ("weight", "bias"):
            yield f"{prefix}{i}.{name}", weights[f"{prefix}{name}"][kernels]


def _lstm(
    prefix: str, plan: Layers, weights: Weights, *, holds_state: bool = False
) -> Iterator[Entry]:
    """Yield the weights of recurrent layers; PyTorch orders the gates of a GRU r, z, n."""
    for depth in range(plan.num_layers):
        for direction in range(plan.directions):
            source, target = f"{prefix}layers.{depth}.{direction}.", f"{prefix}{depth}.{direction}."
            layer = {n.removeprefix(source): w for n, w in weights.items() if n.startswith(source)}
            bias = layer["bias"]
            columns = [layer[name] for name in ("weight_ih", "weight_context") if name in layer]
            if holds_state and plan.kind.has_c:  # see `layers.Layers`
                gates = np.array([-SATURATED, SATURATED, 0, 0], bias.dtype)
                columns.append(gates.repeat(plan.units[depth])[:, None])
            zeros = np.zeros((len(layer["weight_hh"]), 1), bias.dtype)
            w_ih = np.concatenate(columns or [zeros], 1)
            each = [w_ih, layer["weight_hh"], bias, np.zeros_like(bias)]
            if plan.cell == "gru":
                tensors = map(torch.from_numpy, (w_ih, layer["weight_hh"], bias))
                each = [tensor.numpy() for tensor in gru_parameters(*tensors)]
            for name, weight in zip(TORCH_NAMES, each, strict=True):
                yield f"{target}{name}_l0", weight
