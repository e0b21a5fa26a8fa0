"""A user's subclass is saved as the unspool model that it inherits from."""

import numpy as np
import pytest

import unspool
from tests.estimators.quick import sines
from unspool import EncoderClassifier, LSTMAutoencoder, runtime

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


class Named(LSTMAutoencoder):
    """Nothing but a name."""


class Coloured(LSTMAutoencoder):
    """With a parameter of its own."""

    colour = "red"

    @classmethod
    def _get_param_names(cls):
        return [*super()._get_param_names(), "colour"]


class Sorter(EncoderClassifier):
    """A classifier's turn."""


@pytest.mark.parametrize("kind", [Named, Coloured])
def test_a_subclass_comes_back_as_what_is_below_it(kind, tmp_path):
    X = sines()
    model = kind(4, epochs=1, random_state=0, verbose=0).fit(X)
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert type(again) is LSTMAutoencoder
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    codes = runtime.load(tmp_path / "m").encode(X)
    np.testing.assert_allclose(codes, model.transform(X), rtol=1e-4, atol=1e-6)


def test_so_does_a_classifier_on_one(tmp_path):
    X, y = sines(), np.arange(60) % 2
    model = Sorter(Named(4, epochs=1, verbose=0), epochs=1, random_state=0, verbose=0).fit(X, y)
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert type(again) is EncoderClassifier
    assert type(again.autoencoder) is type(again.autoencoder_) is LSTMAutoencoder
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
