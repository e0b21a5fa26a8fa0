"""Compiled code reads and writes nothing outside of its arrays."""

import math
import sys

import pytest
import torch

from tests.lstm.cases import CELLS, GRU, Case, check
from tests.lstm.processes import in_process
from unspool.lstm.prepared import PreparedLayer

CASES = [
    Case(B, 4, F, H, C, ragged=ragged, reverse=ragged, cell=cell)
    for B, F, H, C in [(1, 1, 1, 1), (33, 3, 10, 5), (5, 0, 17, 33), (40, 17, 2, 0)]
    for ragged in (False, True)
    for cell in (CELLS[0], GRU)
]
FENCE = 64  # values before and after an array
POST = 12345.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_is_written_outside_of_an_array(case, dtype, monkeypatch):
    fenced = []

    def new(layer, *shape):
        size = math.prod(shape)
        whole = torch.full((size + 2 * FENCE,), POST, dtype=layer.dtype)
        fenced.append(whole)
        return whole[FENCE : FENCE + size].fill_(torch.nan).view(shape)

    monkeypatch.setattr(PreparedLayer, "allocate", new)
    check("compiled", case, dtype)
    assert len(fenced) > 10
    for whole in fenced:
        assert (whole[:FENCE] == POST).all()
        assert (whole[-FENCE:] == POST).all()


AT_THE_END = """
import ctypes, mmap, torch
from tests.lstm.cases import call, tensors
from tests.lstm.test_memory import CASES

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None)

def at_the_end(array, kept=[]):
    "Copy the array to the end of a page that is followed by unreadable memory."
    if not array.numel():
        return array.detach()
    size = array.numel() * array.itemsize
    pages = -(-size // PAGE)
    memory = mmap.mmap(-1, (pages + 1) * PAGE)
    kept.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(start + pages * PAGE), PAGE, 0) == 0
    offset = pages * PAGE - size
    whole = torch.frombuffer(memory, dtype=array.dtype, count=array.numel(), offset=offset)
    return whole.view(array.shape).copy_(array.detach())

for dtype in (torch.float32, torch.float64):
    for case in CASES:
        inputs, cotangents, lengths = tensors(case, dtype)
        inputs = {name: at_the_end(one).requires_grad_() for name, one in inputs.items()}
        results = call("compiled", inputs, None if lengths is None else at_the_end(lengths), case)
        torch.autograd.grad(
            results, list(inputs.values()), [at_the_end(one) for one in cotangents]
        )
print("{}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no mprotect")
def test_nothing_is_read_past_the_end_of_an_argument():
    in_process(AT_THE_END)
