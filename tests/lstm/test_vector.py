"""The width of vectors on different processors."""

import pytest
from numba.core import config

from unspool.lstm.compiled import vector


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("+sse2", (16, False)),
        ("+neon,+fp16", (16, True)),
        ("+avx,-avx512f", (32, False)),
        ("+avx,+avx2,+fma", (32, False)),
        ("+avx,+avx2,+avx512f", (64, True)),
        ("", (16, False)),
    ],
)
def test_vectors_are_as_wide_as_the_registers_of_the_processor(features, expected, monkeypatch):
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    assert vector._processor() == expected


def test_disabling_avx_in_numba_makes_vectors_narrower(monkeypatch):
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    assert vector._processor() == (vector.BYTES, vector.MANY_REGISTERS)
    monkeypatch.setattr(config, "ENABLE_AVX", 0)
    assert vector._processor()[0] == 16
