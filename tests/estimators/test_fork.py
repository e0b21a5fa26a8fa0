"""Models in forked children of a process whose PyTorch had started its threads.

GNU's OpenMP cannot start threads in such a child: an operation of PyTorch that wants them there
waits for ever. Here is one such process; its children end within their time or are named.
"""

import os

import pytest

from tests.lstm.processes import in_process

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

CODE = """
import copy, json, multiprocessing, os, signal, threading, time, warnings
import torch

warnings.simplefilter("ignore", DeprecationWarning)  # of forks, since Python 3.12
torch.set_num_threads(2)

def imports_unspool(_):
    from unspool.lstm import threads

    with threads.pytorch_on_one_thread_after_fork():
        return torch.get_num_threads()

with multiprocessing.get_context("fork").Pool(1) as pool:
    (in_late_import,) = pool.map(imports_unspool, [0])

import numpy as np
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, cross_validate
import unspool
from unspool.errors import NoBetterThanMeanWarning
from unspool.lstm import memory, threads

warnings.simplefilter("ignore", NoBetterThanMeanWarning)
ones = torch.ones(1000, 1000)
assert float((ones @ ones).sum()) == 1e9  # with PyTorch's threads

X, y = np.random.default_rng(0).normal(size=(64, 30)).cumsum(1), np.arange(64) % 2
SMALL = {"epochs": 1, "random_state": 0, "verbose": 0}
MODELS = {
    "lstm": lambda: unspool.LSTMAutoencoder(64, **SMALL).fit(X),
    "library": lambda: unspool.LSTMAutoencoder(64, backend="torch", **SMALL).fit(X),
    "dense": lambda: unspool.DenseAutoencoder(64, hidden_units=(999,), **SMALL).fit(X),
    "stacked": lambda: unspool.StackedAutoencoder(64, hidden_units=(999,), **SMALL).fit(X),
    "conv": lambda: unspool.ConvAutoencoder(64, **SMALL).fit(X),
    "forecaster": lambda: unspool.LSTMForecaster(64, decoder="dense", **SMALL).fit(X),
    "classifier": lambda: unspool.EncoderClassifier(
        unspool.DenseAutoencoder(64, hidden_units=(999,), **SMALL), **SMALL
    ).fit(X, y),
}
fitted = {name: make() for name, make in MODELS.items()}

def use(model):
    for name in ("transform", "reconstruct", "predict", "predict_proba", "contents"):
        if hasattr(model, name):
            getattr(model, name)(*[X] * (name != "contents"))
    copy.deepcopy(model)

def numbers():
    assert torch.get_num_threads() == threads.count() == 2
    with threads.pytorch_on_one_thread_after_fork():
        assert (torch.get_num_threads(), threads.count()) == (1, 2)
    assert torch.get_num_threads() == 2

def in_children(works, seconds):
    children = {}
    for name, work in works.items():
        child = os.fork()
        if not child:
            signal.alarm(seconds)
            try:
                work()
                os._exit(0)
            finally:
                os._exit(1)
        children[child] = name
    return [name for child, name in children.items() if os.waitpid(child, 0)[1]]

def while_held(lock, work):
    held = threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    return in_children({"work": work}, 5)

def sets_threads():
    with threads.pytorch_on_one_thread():
        pass

def searches():
    with parallel_config("multiprocessing", n_jobs=2):
        model = unspool.DenseAutoencoder(64, hidden_units=(999,), **SMALL)
        GridSearchCV(model, {"latent_dim": [3]}, cv=2, error_score="raise").fit(X)
        cross_validate(model, X, cv=2, error_score="raise", return_estimator=True)

signal.alarm(100)
bad = {
    "fit": in_children(MODELS, 40),
    "use": in_children({name: lambda one=one: use(one) for name, one in fitted.items()}, 20),
    "numbers": in_children({"numbers": numbers}, 20),
    "memory": while_held(memory._lock, lambda: memory.block(1 << 20, np.float32)),
    "setting": while_held(threads._setting, sets_threads),
}
with threads.pytorch_on_one_thread_after_fork():  # nothing was forked here
    bad["in the parent"] = torch.get_num_threads() != 2
bad["late import"] = in_late_import != 1 and os.path.exists("/proc/self/stat")
if not bad["fit"]:
    searches()
print(json.dumps(bad))
"""


@pytest.fixture(scope="module")
def bad():
    return in_process(CODE)


@pytest.mark.parametrize("what", ["fit", "use", "numbers"])
def test_forked_children_end(what, bad):
    assert bad[what] == []


@pytest.mark.parametrize("what", ["memory", "setting"])
def test_a_fork_while_another_thread_holds_a_lock_does_not_block(what, bad):
    assert bad[what] == []


def test_a_process_that_was_not_forked_keeps_its_threads(bad):
    assert not bad["in the parent"]


def test_a_child_can_import_unspool_after_the_fork(bad):
    assert not bad["late import"]
