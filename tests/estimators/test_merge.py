"""The argument `merge` of results over windows."""

from functools import partial

import numpy as np
import pytest

from tests.estimators.quick import quick
from unspool import Windows, runtime
from unspool.errors import InputError


def test_merge_must_be_true_or_false():
    windows = Windows(np.sin(np.arange(60) / 5), 20, 2, missing="mask")
    model = quick(epochs=1, missing="mask").fit(windows)
    for one in (model, runtime.Model(model.contents())):
        errors = partial(one.reconstruction_error, per="step")
        for call in (one.reconstruct, one.impute, errors):
            with pytest.raises(InputError, match="`merge` must be True or False, got 'series'"):
                call(windows, merge="series")
        assert len(one.impute(windows, merge=np.True_)) == 1
