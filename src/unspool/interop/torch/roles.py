"""Which module of a state dict is the encoder, the decoder or a layer between or after them."""

import re
from collections.abc import Iterable
from itertools import permutations
from typing import NamedTuple

from unspool.errors import InputError
from unspool.interop.torch.state_modules import Linear, Modules, Recurrent

Names = str | Iterable[str] | None


class Roles(NamedTuple):
    """Names of the modules of each part of a model, in the order in which data pass through them.

    Parameters
    ----------
    encoder : list of str
        LSTM or GRU modules of the encoder.
    code : list of str
        Linear layer from the encoder's last state to the code, if there is one.
    decoder_input : list of str
        Linear layer from the code to the input of the decoder, if there is one.
    decoder : list of str
        LSTM or GRU modules of the decoder.
    head : list of str
        Linear layers at the output.
    """

    encoder: list[str]
    code: list[str]
    decoder_input: list[str]
    decoder: list[str]
    head: list[str]

    def __str__(self) -> str:
        return ", ".join(
            f"{part}={','.join(names)}"
            for part, names in zip(self._fields, self, strict=True)
            if names
        )


def roles_of(modules: Modules, given: dict[str, Names]) -> Roles:
    """Return the roles of all modules: those that are given, or those that the names say.

    Raises
    ------
    InputError
        If a given name is not in the state dict, a module has no role, or the names of the modules
        leave open what their roles are.
    """
    named = {
        part: [names] if isinstance(names, str) else [*names]
        for part, names in given.items()
        if names is not None
    }
    roles = Roles(**{part: named.get(part, []) for part in Roles._fields})
    if not named:
        roles = _found(modules)
    _check(modules, roles)
    return roles


def _check(modules: Modules, roles: Roles) -> None:
    every = [name for names in roles for name in names]
    for name in every:
        if name not in modules:
            raise InputError(f"there is no module {name!r}; the file has {_listed(modules)}.")
        if every.count(name) > 1:
            raise InputError(f"the module {name!r} is named twice.")
    for part, names in zip(Roles._fields, roles, strict=True):
        kind = Recurrent if part in ("encoder", "decoder") else Linear
        for name in names:
            if not isinstance(modules[name], kind):
                wanted = "an nn.LSTM or nn.GRU" if kind is Recurrent else "an nn.Linear"
                raise InputError(
                    f"`{part}` needs {wanted}, but {_shown(modules, name)} is another."
                )
        if part in ("code", "decoder_input") and len(names) > 1:
            raise InputError(f"`{part}` must be one linear layer, got {', '.join(names)}.")
    left = [name for name in modules if name not in every]
    if left:
        raise InputError(
            f"nothing reads the module {_shown(modules, left[0])}; name its part "
            "(`encoder`, `code`, `decoder_input`, `decoder` or `head`), or name it in `ignore`."
        )
    if not roles.encoder:
        raise InputError(f"`encoder` names no module; the file has {_listed(modules)}.")


def _found(modules: Modules) -> Roles:
    """Return the roles that follow from the names and the order of the modules."""
    recurrent = [name for name, module in modules.items() if isinstance(module, Recurrent)]
    if not recurrent:
        raise InputError(f"the file has no nn.LSTM or nn.GRU, but {_listed(modules) or 'nothing'}.")
    sides = {name: _side(name) for name in modules}
    if len(recurrent) == 1 and sides[recurrent[0]] is None:
        sides[recurrent[0]] = "encoder"
    open_ = [name for name in recurrent if sides[name] is None]
    encoder = [name for name in recurrent if sides[name] == "encoder"]
    if open_ or not encoder:
        raise _ambiguous(modules, f"whether {_shown(modules, [*open_, *recurrent][0])} encodes")
    decoder = [name for name in recurrent if sides[name] == "decoder"]
    linear = [name for name in modules if name not in recurrent]
    code = [name for name in linear if sides[name] == "encoder"]
    others = [name for name in linear if sides[name] != "encoder"]
    if not decoder:
        return _checked_code(modules, Roles(encoder, code, [], [], others))
    fitting = [
        Roles(encoder, [*code, *before[:more]], [*before[more:]], decoder, head)
        for count in range(3)
        for before in permutations(others, count)
        for more in range(count + 1)
        for head in [[name for name in others if name not in before]]
        if len(before) - more < 2
        and len(code) + more < 2
        and not any(sides[name] == "decoder" for name in before[:more])
    ]
    fitting = [roles for roles in fitting if _fits(modules, roles)]
    if len(fitting) > 1:  # the order in a file may be that of the alphabet, so it comes second
        fitting = [roles for roles in fitting if _in_order(modules, roles)] or fitting
    if len(fitting) != 1:
        raise _ambiguous(modules, "which linear layer is before and which after the decoder")
    return fitting[0]


def _checked_code(modules: Modules, roles: Roles) -> Roles:
    if len(roles.code) > 1:
        raise _ambiguous(modules, "which linear layer makes the code")
    return roles


def _fits(modules: Modules, roles: Roles) -> bool:
    """Return whether each linear layer reads the width that the part before it has."""
    width, target = _width(modules, roles.encoder[-1]), _inputs(modules, roles.decoder[0])
    before = [*roles.code, *roles.decoder_input]
    for name in before:
        if _inputs(modules, name) != width:
            return False
        width = _width(modules, name)
    if before and target < width:
        return False
    if roles.decoder_input and target != width:
        return False
    width = _width(modules, roles.decoder[-1])
    for name in roles.head:
        if _inputs(modules, name) != width:
            return False
        width = _width(modules, name)
    return True


def _in_order(modules: Modules, roles: Roles) -> bool:
    """Return whether the linear layers are in the order of the data."""
    order = list(modules)
    first = order.index(roles.decoder[0])
    before = [order.index(name) for name in (*roles.code, *roles.decoder_input)]
    after = [order.index(name) for name in roles.head]
    return before == sorted(before) and all(
        (place < first) == (places is before) for places in (before, after) for place in places
    )


def _inputs(modules: Modules, name: str) -> int:
    module = modules[name]
    return module.weight.shape[1] if isinstance(module, Linear) else module.layers[0].inputs


def _width(modules: Modules, name: str) -> int:
    module = modules[name]
    return len(module.weight) if isinstance(module, Linear) else module.layers[-1].width


def _side(name: str) -> str | None:
    """Return "encoder" or "decoder" if a part of the name says so."""
    for part in name.lower().split("."):
        for word in re.split(r"[_\d]+", part):
            if word.startswith("enc"):
                return "encoder"
            if word.startswith("dec"):
                return "decoder"
    return None


def _ambiguous(modules: Modules, what: str) -> InputError:
    return InputError(
        f"the names of the modules leave open {what}; the file has {_listed(modules)}. Name the "
        "modules of each part: `encoder`, `code`, `decoder_input`, `decoder`, `head`."
    )


def _listed(modules: Modules) -> str:
    return ", ".join(_shown(modules, name) for name in modules)


def _shown(modules: Modules, name: str) -> str:
    """Return a module for messages, with its sizes."""
    module = modules[name]
    if isinstance(module, Linear):
        outputs, inputs = module.weight.shape
        return f"{name!r} (Linear {inputs} to {outputs})"
    first = module.layers[0]
    return f"{name!r} ({first.cell.upper()} {first.inputs} to {module.layers[-1].width})"
