"""Trained models as plain PyTorch modules, which need unspool no more.

`to_torch` puts a model together of PyTorch's own modules (`parts`), gives them the trained
weights, and traces the whole with `torch.fx`. What comes out is a `torch.fx.GraphModule`: `.code`
shows it as Python, and it is pickled without a class of ours. TorchScript would do that too, but
PyTorch gives it up; `torch.export` has no modules and no pickle.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import fx

from unspool import _checks
from unspool.blueprint import Kernels, Layers, LSTMDecoder, LSTMEncoder
from unspool.interop.torch.parts import Whole
from unspool.lstm.backends.torch_lstm import GATE_CLOSED
from unspool.model_file import Contents, Fitted
from unspool.model_file.contents import contents_of
from unspool.model_file.fitted import PARTS
from unspool.nn import torch_settings

Weights = Mapping[str, npt.NDArray[Any]]
Entry = tuple[str, npt.NDArray[Any]]

ELSEWHERE = "Use the estimator, or `unspool.runtime`."


@torch_settings.training()
def to_torch(model: Contents | Fitted, *, part: str = "model") -> fx.GraphModule:
    """Make a plain PyTorch module of a trained model.

    It is called as ``module(x, lengths)`` with x (B, T, F) in the units of the data, best as
    float64, and lengths (B,), the real steps of each sequence, 0 to T; T is at least 1. What
    stands past the end of a sequence is not looked at. An image is a sequence of H · W pixels,
    row by row, with its C channels; a row of a table is one step for a `DenseAutoencoder` or
    `StackedAutoencoder`, and otherwise a sequence of one feature.

    An encoder gives the codes (B, L). A whole model gives a dict of

    - ``"code"`` (B, L);
    - ``"reconstruction"`` (B, T, F), in the units of the data, zeros past the end of a sequence;
    - ``"forecast"`` (B, K, F), in the units of the data;
    - ``"quantiles"`` (B, K, F, Q) of the forecast, likewise;
    - ``"probabilities"`` (B, C) of the classes, in the order of `classes_`;

    of which it holds those that the model has. ``torch.save`` and
    ``torch.load(..., weights_only=False)`` keep the module. Gradients flow through it.

    Parameters
    ----------
    model : estimator or Contents
        A fitted estimator, or what its `contents` gives, as `unspool.model_file.read` does.
    part : {"model", "encoder"}, default "model"

    Returns
    -------
    torch.fx.GraphModule
        On the CPU. The names in its `state_dict`, H units, S the width of a layer's states:

        - ``shift``, ``scale`` (F,), float64: scaled values are (x - shift) / scale;
        - ``encoder.lstm.{layer}.{direction}.*``, the weights of an `nn.LSTM` of one layer;
          direction 1 reads backwards. ``weight_ih_l0`` (4H, F) or (4H, S), ``weight_hh_l0``
          (4H, H), ``bias_ih_l0`` (4H,), and ``bias_hh_l0`` (4H,), which is zero. Where the code is
          made of the whole state, ``weight_ih_l0`` has one more column: it holds c in the padding;
        - ``encoder.layers.{2i}.weight``, ``.bias`` of dense layer i;
        - ``encoder.convolutions.{i}.weight`` (filters, channels, height, width), ``.bias``;
        - ``encoder.kernels.{i}.weight`` (kernels, F, 9), ``.bias`` of the random kernels of
          dilation i, which are not trained;
        - ``encoder.projection.weight``, ``.bias``: from features to the code;
        - ``decoders.{name}.lstm.…`` as in the encoder, name "reconstruction" or "forecast";
          columns for what is read at each step come before those for the code. A decoder that
          reads nothing has one column of zeros;
        - ``decoders.{name}.start.weight``, ``.bias``: from the code to a state or a map;
        - ``decoders.{name}.head.{2i}.weight``, ``.bias``: the dense layers on every step;
        - ``decoders.{name}.convolutions.{i}.weight``, ``.bias``;
        - ``skip.scale`` (F,): what the outputs of these decoders are multiplied with;
        - ``skip.weight`` (F, K, steps), or one column more for the level: the linear maps to the
          forecast;
        - ``head.{2i}.weight``, ``.bias``: from the code to the classes.

        Of an encoder alone the names are the same.

    Raises
    ------
    InputError
        For cells other than tanh with sigmoid gates, which `nn.LSTM` does not have, and for a
        reconstruction whose decoder reads its own output, of which no one knows beforehand how
        many steps there are. (Of a forecast it is known.)

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from unspool import LSTMForecaster
    >>> from unspool.interop.torch import to_torch
    >>> X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])[:, :, None]
    >>> trained = LSTMForecaster(8, horizon=4, epochs=2, random_state=0).fit(X)
    >>> module = to_torch(trained)
    >>> found = module(torch.from_numpy(X), torch.full((100,), 40))
    >>> {name: tuple(tensor.shape) for name, tensor in found.items()}
    {'code': (100, 8), 'forecast': (100, 4, 1)}
    """
    _checks.raise_all(_checks.choice("part", part, PARTS))
    contents = contents_of(model)
    _checks.raise_all(*_complaints(contents, part))
    with torch.device("meta"):  # the weights are there already
        whole = Whole(contents.blueprint, bare=part == "encoder")
    known = whole.state_dict()
    state = {
        name: torch.from_numpy(np.array(array))
        for name, array in _state(contents)
        if name in known  # an encoder has no decoders, nor what only training needs
    }
    whole.load_state_dict(state, assign=True)
    module = fx.GraphModule(whole, fx.Tracer().trace(whole))
    module.graph.eliminate_dead_code()
    module.recompile()
    return module.eval()


def _complaints(contents: Contents, part: str) -> Iterator[_checks.Complaint]:
    plan = contents.blueprint
    parts = [plan.encoder, *plan.decoders.values()]  # all have the same cells
    cells = {
        (p.lstm.activation, p.lstm.recurrent_activation)
        for p in parts
        if isinstance(p, LSTMEncoder | LSTMDecoder)
    }
    for activation, gates in cells - {("tanh", "sigmoid")}:
        yield (
            "PyTorch's LSTM has tanh cells with sigmoid gates only; this model has "
            f"activation={activation!r} with recurrent_activation={gates!r}. {ELSEWHERE}"
        )
    decoder = plan.decoders.get("reconstruction") if part == "model" else None
    if isinstance(decoder, LSTMDecoder) and decoder.kind.reads == "previous":
        yield (
            f"A reconstruction by decoder={decoder.name!r} reads its own output for as many steps "
            "as the input has, which no plain module can; part='encoder' leaves it out. "
            f"{ELSEWHERE}"
        )


def _state(contents: Contents) -> Iterator[Entry]:
    """The weights by their names here."""
    plan, weights = contents.blueprint, contents.weights
    yield "shift", contents.scaler.shift
    yield "scale", contents.scaler.scale
    prefixes = []
    if isinstance(plan.encoder, LSTMEncoder):
        prefixes.append("encoder.lstm.")
        yield from _lstm(prefixes[-1], plan.encoder.lstm, weights, holds=plan.encoder.whole_state)
        if plan.encoder.kernels is not None:
            prefixes.append("encoder.kernels.")
            yield from _kernels(prefixes[-1], plan.encoder.kernels, weights)
    for name, decoder in plan.decoders.items():
        if isinstance(decoder, LSTMDecoder):
            prefixes.append(f"decoders.{name}.lstm.")
            yield from _lstm(prefixes[-1], decoder.lstm, weights)
    yield from ((n, w) for n, w in weights.items() if not n.startswith(tuple(prefixes)))


def _kernels(prefix: str, plan: Kernels, weights: Weights) -> Iterator[Entry]:
    """Those of the kernels of each dilation."""
    for place in range(len(plan.dilations)):
        own = slice(place * plan.each, (place + 1) * plan.each)
        for name in ("weight", "bias"):
            yield f"{prefix}{place}.{name}", weights[f"{prefix}{name}"][own]


def _lstm(prefix: str, plan: Layers, weights: Weights, *, holds: bool = False) -> Iterator[Entry]:
    """Those of LSTM layers: the gates i, f, c, o lie in PyTorch's order already."""
    for depth in range(plan.num_layers):
        for direction in range(plan.directions):
            ours, theirs = f"{prefix}layers.{depth}.{direction}.", f"{prefix}{depth}.{direction}."
            own = {n.removeprefix(ours): w for n, w in weights.items() if n.startswith(ours)}
            bias = own["bias"]
            reads = [own[name] for name in ("weight_ih", "weight_context") if name in own]
            if holds:
                shut = np.array([-GATE_CLOSED, GATE_CLOSED, 0, 0], bias.dtype)
                reads.append(shut.repeat(plan.units)[:, None])
            nothing = np.zeros((len(bias), 1), bias.dtype)
            yield f"{theirs}weight_ih_l0", np.concatenate(reads or [nothing], 1)
            yield f"{theirs}weight_hh_l0", own["weight_hh"]
            yield f"{theirs}bias_ih_l0", bias
            yield f"{theirs}bias_hh_l0", np.zeros_like(bias)
