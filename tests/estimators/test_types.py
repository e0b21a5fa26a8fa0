"""A type checker finds wrong names of parameters, and knows what methods return."""

import textwrap

import pytest
from mypy import api

PROGRAM = """\
from unspool import EncoderClassifier, LSTMAutoencoder, LSTMForecaster, load

LSTMAutoencoder(decoder="repeat", loss="mean_squared_error", epochs="auto", metrics=["mae"])
LSTMAutoencoder(decoder="repeet")
LSTMAutoencoder(forecast_decoder="repeet")
LSTMAutoencoder(loss="mean_square_error")
LSTMAutoencoder(metrics=["acuracy"])
LSTMAutoencoder(epochs="many")
LSTMForecaster(pooling="auto")
EncoderClassifier(optimizer="Adam")
model = LSTMAutoencoder()
reveal_type(model.reconstruct([[1.0]]))
reveal_type(model.reconstruct([[1.0]], merge=True))
reveal_type(model.reconstruction_error([[1.0]], per="step"))
reveal_type(load("model.unspool"))
model.reconstruction_error([[1.0]], per=("step", "feature"), merge=True)
model.reconstruction_error([[1.0]], per=("feature", "step"))
model.reconstruction_error([[1.0]], per="features")
"""
WRONG = (4, 5, 6, 7, 8, 9, 10, 17, 18)


@pytest.mark.slow
def test_names_and_results_are_typed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    found, errors, _ = api.run(
        [str(program), "--strict", "--no-incremental", "--follow-imports=silent"]
    )
    assert not errors
    lines = [line.partition("program.py:")[2] for line in found.splitlines()]
    wrong = {int(line.partition(":")[0]) for line in lines if "error:" in line}
    assert wrong == set(WRONG), found
    revealed = [line.partition('is "')[2] for line in lines if "Revealed type" in line]
    assert revealed[0].startswith("numpy.ndarray[")
    assert revealed[1].startswith("list[numpy.ndarray[") or "builtins.list" in revealed[1]
    assert revealed[2].startswith("numpy.ndarray[")
    for name in ("BaseAutoencoder", "LSTMForecaster", "EncoderClassifier", "AnomalyDetector"):
        assert name in revealed[3]
