"""Encoders of all kinds give the same codes wherever they run, on ragged sequences."""

import pytest

from tests.interop.agreement import ENCODERS, differences


@pytest.mark.cpu
@pytest.mark.parametrize("name", ENCODERS)
def test_codes_are_the_same_everywhere(name):
    for other, apart in differences(name).items():
        if apart is None:
            assert (other, "relu" in name) == ("plain PyTorch", True)
        else:
            assert apart < 1e-5, other
