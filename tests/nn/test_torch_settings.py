"""The use of TF32 by cuDNN, whose switches exist without a GPU too."""

import pytest
import torch

from unspool.nn import torch_settings

cudnn = torch.backends.cudnn


@pytest.fixture(autouse=True)
def a_build_for_cuda(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    precision, tf32 = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(precision)
    cudnn.allow_tf32 = tf32


@pytest.mark.parametrize("context", [torch_settings.training, torch_settings.inference])
def test_cudnn_computes_in_float32_and_the_setting_is_restored(context):
    assert cudnn.allow_tf32
    with context(), context():
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32
    with pytest.raises(ZeroDivisionError), context():
        raise ZeroDivisionError
    assert cudnn.allow_tf32


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_tf32_is_used_if_the_caller_permits_it_for_matrix_products(precision):
    torch.set_float32_matmul_precision(precision)
    with torch_settings.inference():
        assert cudnn.allow_tf32


def test_tf32_stays_off_if_the_caller_has_switched_it_off():
    cudnn.allow_tf32 = False
    with torch_settings.training():
        assert not cudnn.allow_tf32
    assert not cudnn.allow_tf32


@pytest.mark.skipif(not hasattr(cudnn, "rnn"), reason="this PyTorch has no switch by operation")
def test_newer_switches_of_the_caller_are_left_alone():
    before = cudnn.rnn.fp32_precision
    cudnn.rnn.fp32_precision = "ieee"  # the older name is ambiguous now
    try:
        with torch_settings.training():
            assert (cudnn.rnn.fp32_precision, cudnn.conv.fp32_precision) == ("ieee", "tf32")
    finally:
        cudnn.rnn.fp32_precision = before
