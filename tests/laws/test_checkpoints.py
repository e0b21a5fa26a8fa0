"""A fit that is killed at any batches and goes on ends in the bits of an uninterrupted one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.killed import differences, fitted_with_kills
from tests.laws.strategies import configurations, fit, training_data

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning"),
]

TRAININGS = {
    "epochs": (1, 2, 3),
    "batch_size": (2, 3, 8, 100),
    "validation_split": (0.0, 0.3, "auto"),
    "patience": (1, None, "auto"),
    "learning_rate": (1e-3, 0.5),
    "steps_per_epoch": (None, 1, 2),
}


@given(
    configurations(classifiers=True),
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in TRAININGS.items()}),
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_a_fit_that_goes_on_equals_an_uninterrupted_one(
    folder, configuration, training, places, every
):
    path, X = folder / "checkpoint", training_data(configuration)
    path.unlink(missing_ok=True)

    def one(**more):
        return fit(configuration.make(**training), configuration, X, **more)

    assert not differences(one(), fitted_with_kills(one, path, places, every))
