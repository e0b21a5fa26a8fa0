"""The compiled backend in other processes: forked ones, and under other settings."""

import os
import platform
from concurrent.futures import ThreadPoolExecutor

import pytest
from numba.core.codegen import get_host_cpu_features

from tests.lstm.processes import in_process

CHECKED = """
import json, torch
from tests.lstm.cases import Case, check
from unspool.lstm import threads
from unspool.lstm.compiled.vector import BYTES, MANY_REGISTERS

CASES = [Case(1, 3, 1, 1, 1), Case(33, 5, 3, 10, 5, True, True), Case(100, 4, 17, 33, ragged=True)]

def check_all(dtype):
    for case in CASES:
        check("compiled", case, dtype)
"""

FORK_AFTER_USE = """
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

NOT_COMPILED = """
import json, torch
from unspool.errors import InputError
from unspool.lstm import Call, choose
from unspool.nn import LSTMLayer

layer = LSTMLayer(2, 3)
layer(torch.zeros(4, 5, 2))[0].sum().backward()
try:
    choose(Call(), "compiled")
except InputError as error:
    print(json.dumps([*layer.ran, str(error)]))
"""

VECTORS = "print(json.dumps([BYTES, MANY_REGISTERS]))"
AVX2 = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+f16c"
SSE2 = "+sse2,+cx16"

# Code, and variables of the environment.
RUNS = {
    "fork": (CHECKED + FORK_AFTER_USE, {}),
    "one thread": (
        CHECKED + "check_all(torch.float32); print(threads.count())",
        {"OMP_NUM_THREADS": "1"},
    ),
    "no folder": (  # a file is in its place, which stops even the superuser
        CHECKED + "check_all(torch.float32); print('[]')",
        {"NUMBA_CACHE_DIR": os.path.join(__file__, "kernels")},
    ),
    "not compiled": (NOT_COMPILED, {"NUMBA_DISABLE_JIT": "1"}),
    "avx2": (
        CHECKED + f"check_all(torch.float32); {VECTORS}",
        {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2},
    ),
    "sse2": (
        CHECKED + f"check_all(torch.float64); {VECTORS}",
        {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": SSE2},
    ),
}
if not hasattr(os, "fork"):
    del RUNS["fork"]
if platform.machine() not in ("x86_64", "AMD64"):
    del RUNS["sse2"]
if not set(AVX2.split(",")) <= set(get_host_cpu_features().split(",")):
    del RUNS["avx2"]


@pytest.fixture(scope="module")
def printed():
    """What a run prints; they run two at a time."""
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(in_process, code, **more) for name, (code, more) in RUNS.items()}
        yield lambda name: runs[name].result() if name in runs else pytest.skip("not here")


def test_forked_children_compute_right_after_the_parent_used_threads(printed):
    assert printed("fork") == [0, 1]


def test_it_runs_on_one_thread_of_openmp(printed):
    assert printed("one thread") == 1


def test_it_runs_without_a_folder_for_compiled_code(printed):
    assert printed("no folder") == []


def test_without_a_compiler_another_backend_runs(printed):
    assert printed("not compiled") == [
        "torch",
        "compiled needs Numba's compiler, which NUMBA_DISABLE_JIT switches off",
        "`backend` 'compiled' needs Numba's compiler, which NUMBA_DISABLE_JIT switches off; "
        "use 'auto' or another backend.",
    ]


def test_it_runs_on_a_processor_with_avx2(printed):
    assert printed("avx2") == [32, False]


def test_it_runs_on_a_processor_with_sse2_alone(printed):
    assert printed("sse2") == [16, False]
