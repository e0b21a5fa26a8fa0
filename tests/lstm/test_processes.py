"""The compiled backend in other processes: forked ones, and under other settings."""

import os
import platform

import pytest
from numba.core.codegen import get_host_cpu_features

from tests.lstm.processes import in_process

CHECKED = """
import json, torch
from tests.lstm.cases import Case, check
from unspool.lstm.compiled.vector import BYTES, MANY_REGISTERS
from unspool.lstm import threads

CASES = [Case(1, 3, 1, 1, 1), Case(33, 5, 3, 10, 5, True, True), Case(257, 4, 17, 33, ragged=True)]
def check_all(*dtypes):
    for dtype in dtypes:
        for case in CASES:
            check("cpu", case, dtype)
"""

AFTER_USE = """
import multiprocessing, warnings
from torch.utils.data import DataLoader

class Loaded:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        check_all(torch.float32)
        return index

torch.set_num_threads(2)
check_all(torch.float32)
assert threads.count() == 2
warnings.simplefilter("ignore", DeprecationWarning)  # of forks, since Python 3.12
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(check_all, [torch.float32] * 4)
loaded = [int(one) for one in DataLoader(Loaded(), num_workers=2, multiprocessing_context="fork")]
check_all(torch.float32)
print(loaded)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_after_use():
    assert in_process(CHECKED + AFTER_USE) == [0, 1]


def test_one_thread_of_openmp():
    code = "check_all(torch.float32); print(threads.count())"
    assert in_process(CHECKED + code, OMP_NUM_THREADS="1") == 1


def test_a_folder_that_cannot_be_written(tmp_path):
    """A file stands where the folder should be: that stops even the superuser."""
    (tmp_path / "taken").touch()
    folder = str(tmp_path / "taken" / "kernels")
    in_process(CHECKED + "check_all(torch.float32); print('{}')", NUMBA_CACHE_DIR=folder)
    assert os.listdir(tmp_path) == ["taken"]


def test_without_compilation_another_backend_is_taken():
    code = """
from unspool.errors import InputError
from unspool.lstm import Call, choose
from unspool.nn import LSTMLayer

layer = LSTMLayer(2, 3)
layer(torch.zeros(4, 5, 2))[0].sum().backward()
try:
    choose(Call(), "cpu")
except InputError as error:
    print(json.dumps([*layer.ran, str(error)]))
"""
    assert in_process("import json, torch" + code, NUMBA_DISABLE_JIT="1") == [
        "library",
        "cpu is compiled, which NUMBA_DISABLE_JIT forbids",
        "`backend` 'cpu' is compiled, which NUMBA_DISABLE_JIT forbids; take 'auto' or another one.",
    ]


AVX2 = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+f16c"
host = get_host_cpu_features().split(",") if platform.machine() in ("x86_64", "AMD64") else []


@pytest.mark.parametrize(
    ("name", "features", "width"),
    [("haswell", AVX2, 32), ("x86-64", "+sse2,+cx16", 16)],
)
def test_a_processor_with_narrower_vectors(name, features, width):
    if not set(features.split(",")) <= {*host, "+sse2", "+cx16"} or not host:
        pytest.skip("not a processor of this kind")
    code = "check_all(torch.float32, torch.float64); print(json.dumps([BYTES, MANY_REGISTERS]))"
    got = in_process(CHECKED + code, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features)
    assert got == [width, False]


def test_vectors_are_as_wide_as_numba_is_told():
    if "+avx" not in host:
        pytest.skip("not a processor of this kind")
    assert in_process(CHECKED + "print(BYTES)", NUMBA_ENABLE_AVX="0") == 16
