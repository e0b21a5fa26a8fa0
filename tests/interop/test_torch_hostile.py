"""Files and state dicts that cannot be imported are refused with their reason, and nothing runs."""

import os
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from tests.interop.torch_modules import F, Simple, T, made
from unspool.errors import InputError
from unspool.interop.torch import from_torch

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def refused(state, message, **options):
    with pytest.raises(InputError, match=message):
        from_torch(state, max_length=T, **options)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, legacy):
    ran, path = tmp_path / "ran", tmp_path / "m.pt"
    torch.save(
        {"state_dict": Simple().state_dict(), "more": Evil(ran)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    refused(path, f"^{re.escape(str(path))} cannot be loaded: .*save the weights alone")
    path.write_bytes(pickle.dumps(Evil(ran)))
    refused(path, "an older pickle could run code")
    assert not ran.exists()


def test_a_whole_module_is_refused_with_what_to_save(tmp_path):
    torch.save(Simple(), tmp_path / "m.pt")
    refused(
        tmp_path / "m.pt", r"such as a whole module.*torch.save\(model.state_dict\(\), path\)\.$"
    )
    refused(Simple(), r"^Expected a state dict, got a module; pass module.state_dict\(\)\.$")


def test_a_scripted_module_is_refused(tmp_path):
    torch.save(Simple().state_dict(), tmp_path / "m.pt")
    with zipfile.ZipFile(tmp_path / "m.pt", "a") as archive:
        archive.writestr("m/constants.pkl", b"")
    refused(tmp_path / "m.pt", "it is a TorchScript program")


def test_damaged_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "m.pt"
    refused(path, "there is no such file")
    torch.save(Simple().state_dict(), path)
    path.write_bytes(path.read_bytes()[:500])
    refused(path, "is not a file of PyTorch 1.6 or later")
    (tmp_path / "m.safetensors").write_bytes(b"\xff" * 100)
    refused(tmp_path / "m.safetensors", "it is not a safetensors file")
    torch.save([1, 2], path)
    refused(path, "it contains a list, not a state dict")


def test_files_that_would_need_more_memory_than_their_size_are_refused(tmp_path):
    path = tmp_path / "m.pt"
    torch.save({"fc.weight": torch.zeros(1).expand(100_000, 100_000)}, path)
    refused(path, "the tensor 'fc.weight' has more values than the file contains")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data/0", bytes(1 << 27))
    refused(path, "would unpack to")


def test_an_unspool_model_is_recognised(tmp_path):
    module, options = made("lstm")
    path = tmp_path / "m.safetensors"
    from_torch(module.state_dict(), **options).save(path)
    refused(path, "it is an unspool model already; read it with unspool.load")


def changed(**tensors):
    """The state of a module, with other tensors; None removes one."""
    state = Simple().state_dict()
    for name, tensor in tensors.items():
        state[name.replace("__", ".")] = tensor
    return {name: tensor for name, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (changed(fc__bias=torch.full((F,), torch.nan)), "^'fc.bias' contains NaN or infinity"),
        (changed(fc__bias=torch.ones(F, dtype=torch.complex64)), "^'fc.bias' has the dtype"),
        (changed(fc__bias=np.array(["a"] * F)), "^'fc.bias' has the dtype <U1; expected numbers"),
        (changed(fc__bias="text"), "^'fc.bias' is a str, not a tensor"),
        (changed(fc__bias=torch.ones(F).to_sparse()), "^'fc.bias' is sparse, quantized"),
        (changed(fc__bias=torch.ones(F, device="meta")), "^'fc.bias' is sparse, quantized"),
        (changed(fc__bias=torch.ones(F + 1)), r"^fc.bias has the shape \(4,\); expected \(3,\)"),
        (changed(fc__weight=None), "^the tensor 'fc.bias' of shape .* belongs to no nn.LSTM"),
        (changed(encoder__weight_hh_l0=None), r"^encoder \(layer 0\) has no weight_hh; save the"),
        (changed(encoder__bias_hh_l0=None), r"^encoder \(layer 0\) has only one of bias_ih"),
        (changed(encoder__bias_hh_l0=torch.ones(3)), r"^encoder \(layer 0\) has biases"),
        (changed(encoder__weight_ih_l0=torch.ones(3, 3)), r"^encoder \(layer 0\) has the weights"),
        (changed(encoder__weight_hr_l0=torch.ones(3, 6)), "^encoder.weight_hr_l0 is the projecti"),
        (changed(attn__in_proj_weight=torch.ones(9, 3)), "^the tensor 'attn.in_proj_weight'"),
        (changed(norm__weight=torch.ones(6), norm__bias=torch.ones(6)), "'norm.weight'"),
        (changed(conv__weight=torch.ones(6, 3, 3)), "^the tensor 'conv.weight' of shape"),
        (changed(fc__weight=torch.ones(3, 9)), "which linear layer is before and which after"),
        ({}, "^the state dict is empty"),
        ({1: torch.ones(1)}, "^expected names of tensors as keys"),
        ({"a.weight": torch.ones(2, 2)}, "^the file has no nn.LSTM or nn.GRU, but 'a' "),
        ([1], "^Expected a state dict or the path of a file, got list"),
        (nn.RNN(F, 4).state_dict(), r"is no LSTM or GRU \(it is an nn.RNN\)"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_its_name(state, message):
    refused(state, message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "enc"}, "^there is no module 'enc'; the file has 'encoder' .LSTM 3 to 6"),
        ({"encoder": "encoder"}, "^nothing reads the module 'decoder'"),
        ({"encoder": ["encoder", "encoder"]}, "^the module 'encoder' is named twice"),
        ({"encoder": "fc"}, "^`encoder` needs an nn.LSTM or nn.GRU, but 'fc' .* is another"),
        ({"ignore": ["x"]}, "^`ignore` names 'x', but no tensor has this name"),
        ({"ignore": "encoder"}, "the names of the modules leave open whether 'decoder'"),
        ({"decoder_kind": "state_previous"}, "^'decoder' reads 6 features, but decoder_kind='sta"),
        ({"decoder_kind": "repeet"}, "`decoder_kind`"),
        ({"horizon": 3}, "^`horizon` is for forecasts"),
        ({"task": "forecast"}, "^A forecast by a decoder needs `horizon`"),
        ({"task": "classification"}, "^A classifier has a `head` and no `decoder`"),
        ({"scale": 0}, "^`scale` must be finite, and a scale above 0"),
        ({"mean": [1, 2]}, "^`mean` must be a number or 3 numbers"),
        ({"target_mean": 1}, "^`target_mean` and `target_scale` are for forecasts"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, message):
    refused(Simple().state_dict(), message, **options)


def test_names_that_leave_the_parts_open_are_refused():
    module, _ = made("by number")
    refused(module.state_dict(), "the names of the modules leave open whether 'lstm1'")


def test_a_code_of_the_same_width_is_refused():
    state = Simple().state_dict() | {"encoder_fc.weight": torch.ones(6, 6)}
    refused(state, "^'encoder_fc' has 6 inputs and outputs")


def test_layers_that_differ_are_refused():
    lstm, gru = Simple().state_dict(), Simple(nn.GRU).state_dict()
    mixed = lstm | {name: t for name, t in gru.items() if name.startswith("decoder")}
    refused(mixed, "^some layers are LSTM and some GRU")
    both = nn.LSTM(F, 4, bidirectional=True).state_dict()
    parts = {f"enc1.{n}": t for n, t in both.items()}
    parts |= {f"enc2.{n}": t for n, t in nn.LSTM(8, 4).state_dict().items()}
    refused(parts, "^only some layers of enc1, enc2 are bidirectional")
