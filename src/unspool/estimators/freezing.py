"""Layers of a model that a fit does not change, chosen by name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from unspool import _checks
from unspool.errors import InputError
from unspool.nn.lstm_layer import LSTMLayer

DECODERS = "decoders."  # where a module has its decoders; names in a summary leave it out


def read_freeze(freeze: Any) -> tuple[str, ...]:
    """Return the names in `freeze`: None, one name or a list of names."""
    if freeze is None:
        return ()
    names = [freeze] if isinstance(freeze, str) else freeze
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise InputError(
        "`freeze` must be a name or a list of names of layers, such as 'encoder', got "
        f"{_checks.shown(freeze)}."
    )


@contextmanager
def frozen(module: nn.Module, names: tuple[str, ...]) -> Iterator[None]:
    """Exclude the layers with these names from training inside.

    Raises
    ------
    InputError
        If a name fits no layer, or if no weights are left to train.
    """
    weights = dict(module.named_parameters())
    chosen = {weight for name in names for weight in _chosen(module, name)}
    if weights and len(chosen) == len(weights):
        raise InputError(
            "`freeze` leaves no weights to train; name fewer layers, or do not call `fit`."
        )
    try:
        for name in chosen:
            weights[name].requires_grad_(False)
        yield
    finally:
        for name in chosen:
            weights[name].requires_grad_(True)


def _chosen(module: nn.Module, pattern: str) -> list[str]:
    """Return the names of the weights of the layers that a name or a pattern fits."""
    layers = layer_names(module)
    found = [
        weight
        for weight, _ in module.named_parameters()
        if any(fnmatchcase(name, pattern) for name in _names_of(weight, layers))
    ]
    if not found:
        parts = {name.partition(".")[0] for name in layers.values()}
        raise InputError(
            _checks.unknown_name("layer in `freeze`", pattern, {*parts, *layers.values()})
        )
    return found


def _names_of(weight: str, layers: Mapping[str, str]) -> Iterator[str]:
    """Yield all names that a weight is chosen by: of its layer and of all modules around it."""
    path = weight.rpartition(".")[0]
    yield layers[path]
    for start in {path, path.removeprefix(DECODERS)}:
        words = start.split(".")
        yield from (".".join(words[:count]) for count in range(1, len(words) + 1))


def layer_names(module: nn.Module) -> dict[str, str]:
    """Return the names of layers as `unspool.summary` prints them, by the path of their modules.

    Examples
    --------
    >>> from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
    >>> encoder = LSTMEncoder(3, 8, num_layers=2)
    >>> names = layer_names(Autoencoder(encoder, {"reconstruction": LSTMDecoder("repeat", 8, 3)}))
    >>> list(names.values())
    ['encoder.lstm_1', 'encoder.lstm_2', 'reconstruction.lstm', 'reconstruction.head']
    """
    layers: dict[str, list[str]] = {}  # paths of the modules of each layer
    for path, one in module.named_modules():
        if any(True for _ in one.parameters(recurse=False)):
            # both directions of an LSTM layer are one layer
            key = path.rpartition(".")[0] if isinstance(one, LSTMLayer) else path
            layers.setdefault(key, []).append(path)
    stems = {key: _stem(key.removeprefix(DECODERS)) for key in layers}
    count = list(stems.values()).count
    seen: dict[str, int] = {}
    names: dict[str, str] = {}
    for key, paths in layers.items():
        stem = stems[key]
        seen[stem] = seen.get(stem, 0) + 1
        name = f"{stem}_{seen[stem]}" if count(stem) > 1 else stem
        names |= dict.fromkeys(paths, name)
    return names


def _stem(path: str) -> str:
    part, _, rest = path.partition(".")
    words = [word for word in rest.split(".") if not word.isdigit() and word != "layers"]
    return f"{part}.{'.'.join(filter(None, words)) or 'dense'}"
