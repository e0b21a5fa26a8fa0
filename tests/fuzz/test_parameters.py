"""Fits with odd parameters: some hundred in `make test`, thousands in `make fuzz`."""

import signal
from collections import Counter

import pytest

from tests.fuzz.parameters import case, tried
from unspool._checks import shown
from unspool.blueprint import memory

FEW, MANY = 500, 20_000
SECONDS = 20  # that a case may take


@pytest.fixture(autouse=True)
def small_memory(monkeypatch):
    """Sizes that a large machine would spend minutes on are refused."""
    monkeypatch.setattr(memory, "memory", lambda: 1 << 30)


@pytest.fixture
def in_time():
    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"more than {SECONDS} s"))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def check(seeds, path):
    """Try the cases of `seeds`; how many came to what."""
    counts = Counter()
    for seed in seeds:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(SECONDS)
        outcome = tried(seed, path)
        assert outcome in ("works", "is refused"), f"case {seed}, {shown(case(seed))}: {outcome}"
        counts[outcome] += 1
    return counts


def test_a_few_hundred_fits(in_time, tmp_path):
    counts = check(range(FEW), tmp_path / "model")
    assert min(counts["works"], counts["is refused"]) > FEW / 10


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_thousands_of_fits(part, in_time, tmp_path):
    check(range(FEW + part, MANY, 10), tmp_path / "model")
