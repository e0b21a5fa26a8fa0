"""Whole messages about state dicts and files of PyTorch, and about the parts that are named."""

import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from tests.interop.torch_modules import F, T
from unspool.errors import InputError
from unspool.interop.torch import from_torch

SAVE = (
    "load it where it was made, and save the weights alone: torch.save(model.state_dict(), path)."
)


def lstm(inputs=F, units=6, **options):
    return nn.LSTM(inputs, units, batch_first=True, **options)


def state(**modules):
    """A state dict of modules with these names."""
    return {
        f"{name}.{key}": tensor
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }


def both(encoder=None, decoder=None, head=F, **more):
    """The state of an encoder, a decoder and a linear layer."""
    decoder = lstm(6) if decoder is None else decoder
    wide = 6 if decoder is None else decoder.hidden_size * (1 + decoder.bidirectional)
    return state(encoder=encoder or lstm(), decoder=decoder, fc=nn.Linear(wide, head), **more)


PARTS = {"encoder": "encoder", "decoder": "decoder", "head": "fc"}
HEAD = {"encoder": "encoder", "head": "fc"}
CASES = {
    "a reconstruction of another size": (
        state(encoder=lstm(), fc=nn.Linear(6, 5)),
        {"task": "reconstruction"},
        "'fc' has 5 outputs, expected max_length · F = 12 · 3 for a reconstruction.",
    ),
    "a decoder of another quantity": (
        both(head=4),
        {},
        "'fc' has 4 outputs per step, but the input has 3 features; use task='forecast' with "
        "`horizon` if it predicts another quantity.",
    ),
    "layers in another order": (
        state(a=lstm(), b=lstm(5), fc=nn.Linear(6, 36)),
        {"encoder": ["a", "b"], "head": "fc", "task": "reconstruction"},
        "'b' reads 5 features, but the encoder before it has 6; check the parts and their order.",
    ),
    "a target of an encoder": (
        state(encoder=lstm()),
        {"target_mean": 1},
        "`target_mean` and `target_scale` need a forecast, but there is no head; name the `head`, "
        "or leave them out.",
    ),
    "a forecast of an encoder": (
        state(encoder=lstm()),
        {"task": "forecast"},
        "task='forecast' needs a `decoder` or a `head`; name the modules of one.",
    ),
    "a forecast from the end": (
        both(),
        {"task": "forecast", "horizon": 2, "reverse_target": True},
        "`reverse_target` is for reconstructions; leave it out.",
    ),
    "a decoder that reads more than the code": (
        both(decoder=lstm(3)),
        PARTS,
        "'decoder' reads 3 features, but the code has 6, so it does not read the code alone; say "
        "what it reads with `decoder_kind`, for example 'state_previous'.",
    ),
    "a state of a code": (
        both(code=nn.Linear(6, 6)),
        {**PARTS, "code": "code", "decoder_kind": "state"},
        "decoder_kind='state' starts from the final state of the encoder, without a linear layer "
        "between; `code` and `decoder_input` cannot be used.",
    ),
    "states of other sizes": (
        both(decoder=lstm(3, 5)),
        {**PARTS, "decoder_kind": "state_previous"},
        "decoder_kind='state_previous' starts each layer from the state of the same layer of the "
        "encoder; both need the same numbers of units.",
    ),
    "a decoder of another second input": (
        both(decoder=lstm(4)),
        {**PARTS, "decoder_kind": "state_previous"},
        "'decoder' reads 4 features, but decoder_kind='state_previous' reads the 3 features of the "
        "input.",
    ),
    "a mean of states": (
        both(decoder=lstm(3)),
        {**PARTS, "decoder_kind": "state_previous", "pooling": "mean"},
        "decoder_kind='state_previous' needs pooling='last'.",
    ),
    "both directions from the end": (
        both(decoder=lstm(6, bidirectional=True)),
        {**PARTS, "decoder_kind": "repeat", "reverse_target": True},
        "'decoder' is bidirectional, but decoder_kind='repeat' or `reverse_target` needs one "
        "direction.",
    ),
    "a module twice": (
        both(),
        {**PARTS, "encoder": ["encoder", "encoder"]},
        "the module 'encoder' is named twice.",
    ),
    "two codes": (
        both(a=nn.Linear(6, 6), b=nn.Linear(6, 6)),
        {**PARTS, "code": ["a", "b"]},
        "`code` must be one linear layer, got a, b.",
    ),
    "no encoder": (
        both(),
        {"decoder": ["encoder", "decoder"], "head": "fc"},
        "`encoder` names no module; the file has 'encoder' (LSTM 3 to 6), 'decoder' (LSTM 6 to 6), "
        "'fc' (Linear 6 to 3).",
    ),
    "two linear layers of an encoder": (
        state(encoder=lstm(), enc_a=nn.Linear(6, 6), enc_b=nn.Linear(6, 6)),
        {},
        "the names of the modules leave open which linear layer makes the code; the file has "
        "'encoder' (LSTM 3 to 6), 'enc_a' (Linear 6 to 6), 'enc_b' (Linear 6 to 6). Name the "
        "modules of each part: `encoder`, `code`, `decoder_input`, `decoder`, `head`.",
    ),
    "a name twice": (
        {"a._orig_mod.weight": torch.ones(1), "a.weight": torch.ones(1)},
        {},
        "two tensors have the name 'a.weight'; leave one of them out of the state dict.",
    ),
    "texts": (
        {"a": np.array(["x"])},
        {},
        "'a' has the dtype <U1; expected numbers.",
    ),
    "no tensor": ({"a": 3, "b": torch.ones(1)}, {}, f"'a' is a int, not a tensor; {SAVE}"),
    "complex numbers": (
        {"a": torch.ones(1, dtype=torch.complex64)},
        {},
        "'a' has the dtype torch.complex64; expected floating point.",
    ),
    "a projection": (
        both(encoder=nn.LSTM(F, 6, proj_size=3)),
        PARTS,
        "encoder.weight_hr_l0 is the projection of an nn.LSTM with proj_size, which unspool's LSTM "
        "does not have; train with proj_size=0.",
    ),
    "directions of two sizes": (
        {
            **both(encoder=lstm(units=3, bidirectional=True)),
            "encoder.weight_hh_l0_reverse": torch.ones(8, 2),
            "encoder.weight_ih_l0_reverse": torch.ones(8, 3),
            "encoder.bias_hh_l0_reverse": torch.ones(8),
            "encoder.bias_ih_l0_reverse": torch.ones(8),
        },
        PARTS,
        "encoder: the two directions of layer 0 differ in shape.",
    ),
    "layers that do not follow": (
        {**both(encoder=lstm(num_layers=2)), "encoder.weight_ih_l1": torch.ones(24, 5)},
        PARTS,
        "encoder: layer 1 reads 5 features, but the layer before it has 6.",
    ),
    "a weight that is missing": (
        {name: one for name, one in both().items() if name != "encoder.weight_hh_l0"},
        PARTS,
        "encoder (layer 0) has no weight_hh; save the whole state dict.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_said_in_full(case):
    given, options, message = CASES[case]
    with pytest.raises(InputError) as caught:
        from_torch(given, max_length=T, **options)
    assert str(caught.value) == message


def test_files_that_hold_something_else_are_refused(tmp_path):
    path = tmp_path / "m.pt"
    torch.save([1, 2], path)
    with pytest.raises(InputError) as caught:
        from_torch(path, max_length=T)
    assert str(caught.value) == (
        f"{path} cannot be loaded: it contains a list, not a state dict; {SAVE}"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/other", b"")
    with pytest.raises(InputError) as caught:
        from_torch(path, max_length=T)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be loaded: PyTorch cannot read it (")
    assert message.endswith("); download or save it again.")
