"""The device of a name, and refusals of invalid devices."""

import pytest
import torch

from tests.estimators.quick import quick, sines
from unspool import load
from unspool.errors import InputError
from unspool.nn import device as devices
from unspool.nn.device import automatic, resolve_device

NOT_THERE = ["cuda:99", "gpu", "", "CPU", "cpu:x", "mps:7", "xla", "vulkan", "lazy", "hpu"]
NO_NAMES = [None, 0, 3, True, 1.5, b"cpu", ["cpu"], torch.float32]


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu_is_found_by_every_name(device):
    assert resolve_device(device).type == "cpu"


def test_auto_is_a_gpu_if_there_is_one(monkeypatch):
    for there_is_one, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=there_is_one: found)
        monkeypatch.setattr(devices, "automatic", automatic)  # which the tests replace
        assert resolve_device("auto").type == name


@pytest.mark.parametrize("device", NOT_THERE)
def test_a_missing_device_is_refused_in_one_line(device):
    with pytest.raises(InputError, match=r"^`device` '.*' cannot be used \(") as caught:
        resolve_device(device)
    message = str(caught.value)
    assert message.endswith("). Use 'auto' or 'cpu'.")
    assert "\n" not in message
    assert "aten::" not in message


@pytest.mark.parametrize("device", ["meta", "meta:0", torch.device("meta")])
def test_a_device_that_stores_no_numbers_is_refused(device, tmp_path):
    message = r"^`device` 'meta(:0)?' cannot be used \(it stores no numbers\)\. Use 'auto'"
    with pytest.raises(InputError, match=message):
        resolve_device(device)
    with pytest.raises(InputError, match=message):
        quick(device=device).fit(sines())
    quick(device="cpu", epochs=1).fit(sines()).save(tmp_path / "model.unspool")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "model.unspool", device=device)


@pytest.mark.parametrize("device", NO_NAMES, ids=repr)
def test_values_that_are_not_devices_are_refused(device):
    with pytest.raises(InputError, match=r"^`device` must be 'auto', the name of a torch device"):
        resolve_device(device)
    with pytest.raises(InputError, match=r"^`device` must be 'auto'"):
        quick(device=device).fit(sines())


def test_a_torch_device_is_accepted_and_saved_by_its_name(tmp_path):
    model = quick(epochs=1, device=torch.device("cpu")).fit(sines())
    assert model.contents().parameters["device"] == "cpu"
    model.save(tmp_path / "model.unspool")
    loaded = load(tmp_path / "model.unspool", device=torch.device("cpu"))
    assert (loaded.transform(sines()) == model.transform(sines())).all()
