"""Sizes and gradient norm of each optimizer step, which callbacks receive."""

import pytest

from tests.training.one_number import Number, batches, sgd
from unspool.training.callbacks import Callback
from unspool.training.loop import train


class Steps(Callback):
    """Collects the steps."""

    def __init__(self, wants_gradient_norm):
        self.wants_gradient_norm, self.steps = wants_gradient_norm, []

    def on_batch_end(self, step):
        self.steps.append(step)


def steps_of(data, wants=True, **options):
    model, seen = Number(), Steps(wants)
    train(model, model.objective, data, optimizer=sgd(model), epochs=1, callbacks=[seen], **options)
    return seen.steps, model.value.item()


def test_a_step_has_the_sizes_of_its_batch_without_padding():
    steps, _ = steps_of(batches([[1, 1], [3, 0], [5, 5]], size=2, lengths=[2, 1, 2]))
    assert [(step.sequences, int(step.time_steps)) for step in steps] == [(2, 3), (1, 2)]


def test_the_gradient_norm_is_that_before_clipping():
    steps, value = steps_of(batches([[3, 3]]), wants=False, global_clipnorm=0.5)
    assert float(steps[0].gradient_norm) == pytest.approx(6.0)  # 2 (0 - 3)
    assert value == pytest.approx(0.1 * 0.5)


def test_without_clipping_the_gradient_norm_is_computed_only_for_callbacks_that_want_it():
    steps, value = steps_of(batches([[3, 3]]))
    assert float(steps[0].gradient_norm) == pytest.approx(6.0)
    without, same = steps_of(batches([[3, 3]]), wants=False)
    assert without[0].gradient_norm is None
    assert value == same == pytest.approx(0.6)
