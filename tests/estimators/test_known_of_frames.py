"""Features that are known ahead, given as frames: matched by instance and by time."""

import numpy as np
import pandas as pd
import pytest

import unspool.runtime
from unspool import LSTMForecaster, Windows
from unspool.errors import InputError

IDS = list("abcd")
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([IDS, pd.date_range("2024-01-01", periods=10, freq="h")])
    table = pd.DataFrame({"load": rng.normal(size=40), "plan": rng.normal(size=40)}, index=index)
    model = LSTMForecaster(
        3, horizon=2, targets=["load"], known=["plan"], epochs=2, random_state=0, verbose=0
    )
    return model.fit(table), table


def plan(ids):
    index = pd.MultiIndex.from_product(
        [list(ids), pd.date_range("2024-01-01 10:00", periods=2, freq="h")]
    )
    values = [
        10.0 * IDS.index(one) + step if one in IDS else 99.0
        for one, step in zip(index.get_level_values(0), [0, 1] * len(ids), strict=True)
    ]
    return pd.DataFrame({"plan": values}, index=index)


def test_rows_of_the_future_belong_to_the_instance_of_their_index(fitted, tmp_path):
    model, table = fitted
    expected = model.forecast(table, plan("abcd"))
    np.testing.assert_array_equal(model.forecast(table, plan("dbxca")), expected)
    model.save(tmp_path / "m.unspool")
    other = unspool.runtime.load(tmp_path / "m.unspool")
    found = other.forecast(table, future=plan("dbxca"))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(InputError, match="no rows of the instance 'c', which is in `X`"):
        model.forecast(table, plan("abd"))


def test_a_future_that_is_not_later_than_the_sequence_is_refused(fitted):
    model, table = fitted
    alone, ahead = table.loc["b"], plan("b").loc["b"]
    assert model.forecast([alone], ahead).shape == (1, 2, 1)
    wrong = "later than sequence 0 of `X`, which ends at 2024-01-01T09.*, got 2024-01-01T00"
    with pytest.raises(InputError, match=wrong):
        model.forecast([alone], alone[["plan"]][:2])
    with pytest.raises(InputError, match="later than sequence 0 of `X`"):
        model.forecast(table, table.groupby(level=0).head(2)[["plan"]])


def test_the_future_of_windows_is_given_in_their_order(fitted):
    model, table = fitted
    windows = Windows(table, 8)
    given = np.arange(len(windows) * 2.0).reshape(-1, 2, 1)
    assert model.forecast(windows, given).shape == (len(windows), 2, 1)
