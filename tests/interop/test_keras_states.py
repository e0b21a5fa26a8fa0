"""Keras decoders that start from states and read the output of the encoder at each step."""

import pytest
from keras import Input, Model
from keras import layers as L

from tests.interop.nets import data, near, predicted, randomised
from unspool.errors import InputError
from unspool.interop.keras import from_keras, to_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]
SEQ = {"return_sequences": True}
K, T, F = 3, 7, 2


def seq2seq(layer=L.LSTM, *, depth=1, both=False, repeats="output", steps=K):
    """Layers whose states start those of the decoder, which reads a repeated vector."""

    def made(units, **options):
        inner = layer(units, **options)
        return L.Bidirectional(inner, name=options.get("name")) if both else inner

    x = Input((T, F))
    h, states = x, []
    for i in range(depth):
        h, *last = made(4 + i, return_state=True, return_sequences=i < depth - 1)(h)
        states.append(last)
    repeated = {"output": h, "state": states[-1][0], "first": states[0][0]}
    decoded = L.RepeatVector(steps)(repeated[repeats])
    for i, start in enumerate(states):
        name = "odd" if i == 0 else None
        decoded = made(4 + i, name=name, **SEQ)(decoded, initial_state=start)
    return randomised(Model(x, L.TimeDistributed(L.Dense(F))(decoded)))


MODELS = {
    "one layer": {},
    "its hidden state": {"repeats": "state"},
    "GRU": {"layer": L.GRU},
    "two layers of different width": {"depth": 2},
    "both directions": {"both": True},
    "both directions, two layers": {"both": True, "depth": 2},
}


@pytest.mark.parametrize("name", MODELS)
def test_forecasters_that_repeat_the_output_and_start_from_states_are_imported(name):
    theirs, X = seq2seq(**MODELS[name]), data(5, T, F)
    ours = from_keras(theirs)
    near(ours.forecast(X), predicted(theirs, X))
    assert ours.decoder == "state_repeat"
    back = to_keras(ours)
    masked = [X, X[..., 0] == X[..., 0]]
    near(predicted(back, *masked), predicted(theirs, X))


def test_a_reconstruction_is_imported_and_decodes_codes():
    theirs, X = seq2seq(steps=T), data(5, T, F)
    ours = from_keras(theirs)
    near(ours.reconstruct(X), predicted(theirs, X))
    near(ours.inverse_transform(ours.transform(X)), predicted(theirs, X))
    assert ours.latent_dim == 8


def test_another_repeated_vector_is_refused():
    with pytest.raises(InputError) as caught:
        from_keras(seq2seq(depth=2, repeats="first"))
    assert str(caught.value) == (
        "LSTM 'odd' cannot be imported: it reads a repeated vector and starts from states; the "
        "vector must be the output of the layer whose states they are."
    )
