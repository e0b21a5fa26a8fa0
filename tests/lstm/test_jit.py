"""Compiled functions and their cache on disk: no fault there stops them from running."""

import numba
import numpy as np
import pytest
from numba.core import caching, config

from unspool.lstm.backends import compiled
from unspool.lstm.compiled import recurrence
from unspool.lstm.compiled.jit import Kernel
from unspool.lstm.compiled.vector import pointer


def double(address, count, like):
    numbers = pointer(address, like)
    for place in range(count):
        numbers[place] *= 2


def assert_right(kernel):
    numbers = np.arange(5.0)
    kernel(numbers.ctypes.data, 5, 0.0)
    assert numbers.tolist() == [0, 2, 4, 6, 8]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    return tmp_path


def kept(folder, ending):
    return list(folder.rglob(f"*.{ending}"))


def test_compiled_code_is_kept_on_disk_and_loaded_again(folder):
    first, second = Kernel(double), Kernel(double)
    assert_right(first)
    assert_right(second)
    assert sum(first.run.stats.cache_misses.values()) == 1
    assert sum(second.run.stats.cache_hits.values()) == 1
    (index,) = kept(folder, "nbi")
    assert first.folder == second.folder == str(index.parent)


def test_a_change_in_any_file_of_the_folder_compiles_again(folder, monkeypatch):
    assert_right(Kernel(double))
    monkeypatch.setattr(Kernel, "STAMP", (*Kernel.STAMP[:-1], ("vector.py", 0.0, 1)))
    changed = Kernel(double)
    assert_right(changed)
    assert not changed.run.stats.cache_hits
    assert {name for name, *_ in Kernel.STAMP} >= {"tiles.py", "jit.py", "vector.py"}


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"not a kernel", None], ids=["empty", "other", "cut"])
def test_a_damaged_cache_file_compiles_again(folder, ending, damage):
    assert_right(Kernel(double))
    for path in kept(folder, ending):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert_right(Kernel(double))


def test_a_kernel_runs_although_its_folder_was_removed(folder):
    kernel = Kernel(double)
    for path in folder.iterdir():
        path.rmdir()
    folder.rmdir()
    assert_right(kernel)


def test_a_kernel_runs_without_any_folder(monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(double)
    kernel = Kernel(double)
    assert_right(kernel)
    assert kernel.folder is None


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), OSError(28, "disk full")])
def test_a_kernel_runs_although_its_folder_cannot_be_written(folder, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", fail)
    kernel = Kernel(double)
    assert_right(kernel)
    assert_right(kernel)
    assert kernel.folder is None


def test_without_compilation_a_kernel_is_the_function_itself(monkeypatch):
    monkeypatch.setattr(config, "DISABLE_JIT", True)
    assert Kernel(double).run is double
    assert Kernel(double).folder is None


def test_warmup_returns_no_folder_if_a_kernel_is_not_kept(monkeypatch):
    assert compiled.warmup() == recurrence.forward.folder
    monkeypatch.setattr(Kernel, "folder", None)
    assert compiled.warmup() is None
