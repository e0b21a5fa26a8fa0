"""How an `EncoderClassifier` trains: the model with its encoder, and a head on its codes."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor, nn

from unspool import blueprint
from unspool.data.convert import Source
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray
from unspool.estimators.base import Model
from unspool.estimators.batch_runner import runner
from unspool.estimators.checkpointing import facts_of_batches, name_of_weights
from unspool.estimators.classifying import CrossEntropy
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder
from unspool.estimators.saving import encoder_contents, unfrozen
from unspool.estimators.training import Run, learn
from unspool.estimators.validation_data import parts_of
from unspool.nn import Head
from unspool.nn.from_blueprint import build_head
from unspool.training.batches import Batch, Batches
from unspool.training.checkpoint import Checkpoint
from unspool.training.error_weights import ErrorWeights


class Labelled(NamedTuple):
    """Sequences, the class index of each (N,), and the weight of each (N,), None if all are 1."""

    source: Source
    classes: IntArray
    weights: FloatArray | None

    def times(self, of_classes: FloatArray | None) -> "Labelled":
        """Multiply the weights by those of the classes (C,)."""
        if of_classes is None:
            return self
        factors = of_classes[self.classes]
        weights = factors if self.weights is None else self.weights * factors
        return self._replace(weights=weights)

    def weighted(self, indices: IntArray) -> IntArray:
        """Return the indices of sequences with a weight above 0."""
        return indices if self.weights is None else indices[self.weights[indices] > 0]

    def batches(
        self,
        scaler: Scaler,
        indices: IntArray,
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator | None = None,
        sizes: Callable[[IntArray], IntArray] | None = None,
    ) -> Batches:
        """Return batches of the sequences at `indices`; see `Batches`."""
        weights = None
        if self.weights is not None:
            weights = ErrorWeights(self.weights).normalised(self.source, indices)
        return Batches(
            self.source,
            scaler,
            indices,
            batch_size,
            device,
            rng,
            classes=self.classes,
            weights=weights,
            sizes=sizes,
        )


def trained_model(
    classifier: Any,
    X: Any,
    seed: int,
    sample_weight: Any,
    validation_data: Any,
    groups: Any,
    checkpoint: Checkpoint | None = None,
) -> Model:
    """Return the given model if it is fitted, otherwise a clone of it, fitted on `X`."""
    inner = unfrozen(classifier.autoencoder)
    if inner is None:
        inner = LSTMAutoencoder(device=classifier.device, verbose=classifier.verbose)
    elif inner.__sklearn_is_fitted__():
        return cast(Model, inner)
    inner = clone(inner)
    if inner.random_state is None:
        inner.set_params(random_state=seed)
    also: dict[str, Any] = {"groups": groups}
    if validation_data is not None and inner.validation_split in ("auto", 0):
        X_val, _, of_validation = parts_of(validation_data)
        also["validation_data"] = X_val if of_validation is None else (X_val, None, of_validation)
    if checkpoint is not None:
        also["checkpoint"] = checkpoint.within("autoencoder")
    return cast(Model, inner.fit(X, sample_weight=sample_weight, **also))


def facts_of_classes(
    classifier: Any,
    data: Labelled,
    validated: Labelled | None,
    halves: tuple[IntArray, IntArray],
    run: Run,
) -> dict[str, Any]:
    """Return what the weights of a classifier depend on in addition to its parameters."""
    scaler, size = classifier.autoencoder_.scaler_, classifier.batch_size
    (training, held_out), some, cpu = halves, data, torch.device("cpu")
    if validated is not None:
        some, held_out = validated, np.arange(len(validated.source))
    validation = some.batches(scaler, held_out, size, cpu) if len(held_out) else None
    facts = facts_of_batches(data.batches(scaler, training, size, cpu), validation, run)
    given = unfrozen(classifier.autoencoder)
    if run.start is None and given is not None and given.__sklearn_is_fitted__():
        facts["start"] = name_of_weights(encoder_contents(given))
    return facts


def new_head(classifier: Any, generator: torch.Generator) -> Head:
    """Return dense layers from codes to classes, with weights drawn from `generator`."""
    plan = blueprint.Head(
        runner(classifier.autoencoder_).code_length,
        len(classifier.classes_),
        tuple(classifier.head_units),
        activation=classifier.head_activation,
    )
    blueprint.check_memory(plan.weights(), classifier.get_params(deep=False))
    with torch.device("cpu"):  # the generator's device
        return build_head(plan, generator)


def train_classes(
    classifier: Any,
    halves: tuple[IntArray, IntArray],
    rng: np.random.Generator,
    device: torch.device,
    run: Run,
    model: nn.Module,
    logits: Callable[[Batch], Tensor],
    data: Labelled,
    scaler: Scaler,
    epochs: int | str,
    validated: Labelled | None,
    *,
    stage: str,
    show: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train `model` on the cross-entropy of its logits, and return the history.

    `halves` are the indices of the sequences to train on and of those to validate on, unless other
    sequences are `validated`.
    """
    training, held_out = halves
    running = runner(classifier.autoencoder_)
    validation, some = None, data
    if validated is not None:
        some, held_out = validated, np.arange(len(validated.source))
    held_out = some.weighted(held_out)
    if len(held_out):
        size = running.batch_size(some.source.max_length)
        validation = some.batches(scaler, held_out, size, device, sizes=running.batch_sizes)
    with running.threads(min(classifier.batch_size, len(training)), training=True):
        return learn(
            classifier,
            model,
            CrossEntropy(logits),
            data.batches(scaler, training, classifier.batch_size, device, rng),
            validation,
            epochs=epochs,
            run=run,
            stage=stage,
            show=show,
        )
