"""`unspool warmup` compiles the kernels, and prints its time and the cache folder."""

import re
from pathlib import Path

from numba.core import config

from unspool.lstm.backends import compiled
from unspool.lstm.compiled import (
    convolutions,
    dense,
    program,
    recurrence,
    small_batch,
    stream_step,
)
from unspool.lstm.compiled.jit import Kernel

KERNELS = [
    (module, name)
    for module in (convolutions, dense, program, recurrence, small_batch, stream_step)
    for name, thing in vars(module).items()
    if isinstance(thing, Kernel) and thing.function.__module__ == module.__name__
]


def test_warmup_compiles_or_loads_every_kernel_and_prints_the_cache_folder(run, monkeypatch):
    fresh = {one: Kernel(getattr(*one).function) for one in KERNELS}
    for (module, name), kernel in fresh.items():
        monkeypatch.setattr(module, name, kernel)
    assert {"forward", "backward", "train", "multiply", "means"} <= {name for _, name in fresh}
    done = run("warmup")
    assert (done.code, done.out) == (0, "")
    took, where = done.err.splitlines()
    assert re.fullmatch(r"the compiled kernels are ready after \d+\.\d s", took)
    folder = Path(where.removeprefix("they are cached in "))
    assert list(folder.glob("recurrence.forward*.nbi"))
    for name, kernel in fresh.items():
        # Training steps have tiles of one vector or of two.
        assert len(kernel.run.signatures) == (2 if name[1] == "train" else 1), name
        assert kernel.folder == str(folder), name


def test_warmup_reports_that_no_cache_folder_is_writable(run, monkeypatch):
    monkeypatch.setattr(compiled, "warmup", lambda: None)
    done = run("warmup")
    assert done.code == 0
    assert done.err.splitlines()[1] == (
        "they are not cached, since no cache folder is writable, and every process compiles them "
        "again; set the variable NUMBA_CACHE_DIR to a writable folder"
    )


def test_warmup_without_a_compiler_is_refused_in_one_line(run, monkeypatch):
    monkeypatch.setattr(config, "DISABLE_JIT", True)
    done = run("warmup")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "unspool: `backend` 'compiled' needs Numba's compiler, which NUMBA_DISABLE_JIT switches "
        "off; use 'auto' or another backend.\n"
    )
