"""How wide vectors are."""

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
def test_vectors_are_as_wide_as_the_registers_that_numba_is_told_of(
    features, expected, monkeypatch
):
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    assert vector._processor() == expected


def test_numba_may_be_told_to_leave_avx_alone(monkeypatch):
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    assert vector._processor() == (vector.BYTES, vector.MANY_REGISTERS)
    monkeypatch.setattr(config, "ENABLE_AVX", 0)
    assert vector._processor()[0] == 16
