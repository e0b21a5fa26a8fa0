"""How an `EncoderClassifier` is fitted: its encoder, then its head, then both."""

import copy
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from unspool.data.scaling import Scaler
from unspool.data.sequences import Sequences
from unspool.estimators.base import (
    sequences_of,
)
from unspool.estimators.batch_runner import runner
from unspool.estimators.checkpointing import check_same_fit, seeds
from unspool.estimators.class_predictions import ClassPredictions
from unspool.estimators.classifier_start import (
    check_head_is_trained,
    check_same_head,
    classes_of_run,
    start_of_classifier,
)
from unspool.estimators.classifier_training import (
    Labelled,
    facts_of_classes,
    new_head,
    train_classes,
    trained_model,
)
from unspool.estimators.classifying import (
    EncoderWithHead,
    code_scaler,
    encoder_alone,
    rescale,
    unscale,
)
from unspool.estimators.freezing import frozen
from unspool.estimators.going_on import continued, resume, standardizations
from unspool.estimators.held_out import read_groups, warn_if_copied
from unspool.estimators.labels import (
    read_validation,
    split_by_class,
    weights_of_classes,
    with_a_weight,
)
from unspool.estimators.sample_weight import weights_of_sequences
from unspool.estimators.saving import plain_parameters
from unspool.estimators.training import Run
from unspool.nn import Head
from unspool.nn.device import resolve_device


class FitsClassifier(ClassPredictions):
    """The part of `EncoderClassifier` that trains; see there."""

    def _fit(
        self,
        run: Run,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        groups: Any,
        classes: Any,
    ) -> None:
        """Train the encoder unless it is trained, then the head, and with `fine_tune` both."""
        history, head_history = (
            self.__dict__.pop(name, None) for name in ("history_", "head_history_")
        )  # "fitted" means that training has ended
        for name in ("_optimizers", "_standardizations", "_code_scaler"):
            self.__dict__.pop(name, None)
        self._parameters = plain_parameters(self)
        start = start_of_classifier(type(self), run, self.device)
        self.classes_, indices = classes_of_run(y, X, run, start, classes)
        weights = weights_of_sequences(sample_weight, len(indices))
        keep = None if weights is None else weights > 0
        if weights is not None:
            indices, weights = indices[keep], weights[keep]
            if run.passes is None and start is None:
                self.classes_, indices = with_a_weight(self.classes_, indices)
        random = check_random_state(self.random_state)
        drawn = [int(random.randint(2**31)) for _ in range(2 if start is not None else 3)]
        seed, of_weights, *of_autoencoder = seeds(run.checkpoint, self.random_state, drawn)
        # a later pass of `partial_fit` needs other random numbers
        rng = np.random.default_rng([seed, run.passes] if run.passes else seed)
        generator = torch.Generator().manual_seed(of_weights + (run.passes or 0))
        device = resolve_device(self.device)
        if start is None:
            with run.interruption.preliminary():
                trained = trained_model(
                    self, X, of_autoencoder[0], sample_weight, validation_data, groups,
                    run.checkpoint,
                )  # fmt: skip
            self.autoencoder_ = encoder_alone(trained, self.device)
        else:
            self.autoencoder_ = start.autoencoder_
        source = sequences_of(self.autoencoder_, X)
        share = 0.0 if run.passes is not None else self.validation_split
        grouped = read_groups(groups, len(source))
        if keep is not None:
            source = source[keep]
            if grouped is not None:
                _, grouped = np.unique(grouped[keep], return_inverse=True)
        halves = split_by_class(source, indices, share, rng, grouped)
        warn_if_copied(source, *halves)
        of_classes = weights_of_classes(self.class_weight, self.classes_, indices, weights)
        data, validated = Labelled(source, indices, weights).times(of_classes), None
        if validation_data is not None:
            read = read_validation(self.autoencoder_, self.classes_, source, validation_data)
            validated = Labelled(*read).times(of_classes)
        if run.checkpoint is not None:
            check_same_fit(
                run.checkpoint,
                self,
                facts_of_classes(self, data, validated, halves, run),
            )
        fit = partial(train_classes, self, halves, rng, device, run)

        codes, training = self._codes(data), halves[0]  # the encoder does not change for now
        of_training = None if data.weights is None else data.weights[training]
        scaler = run.code_scaler or code_scaler(codes.source.take(training)[0][:, 0], of_training)
        head, encoder = new_head(self, generator).to(device), self.autoencoder_.module_.encoder
        if start is not None:
            check_same_head(self, start, run.how)
            head.load_state_dict(start.module_.head.state_dict())
        whole = EncoderWithHead(encoder, head)
        with frozen(whole, run.freeze):
            check_head_is_trained(self, head)
            kept = scaler
            if not head[0].weight.requires_grad:  # rounding would change the weights
                scaler = Scaler.fit("none", (), encoder.latent_dim)
            elif start is not None:
                rescale(head, scaler)
            self.head_history_ = last = fit(
                head,
                lambda batch: head(batch.x[:, 0]),
                codes,
                scaler,
                self.epochs,
                validated and self._codes(validated),
                stage="head",
                show=partial(self._show_head, head, scaler),
            )
            unscale(head, scaler)
            self.module_ = whole
            if self.fine_tune and run.interruption.requested is None:
                if encoder.adapts:
                    with runner(self.autoencoder_).initial_sample(source, training, rng) as some:
                        if start is None:
                            encoder.resume_training(some)
                        else:
                            resume(encoder, run.standardizations, some)
                last = fit(
                    self.module_,
                    lambda batch: self.module_(batch.x, batch.lengths),
                    data,
                    self.autoencoder_.scaler_,
                    self.fine_tune_epochs or self.epochs,
                    validated,
                    stage="fine-tuning",
                )
        if run.passes is not None:
            self._optimizers, self._code_scaler = run.optimizers, kept
            self._standardizations = run.standardizations or standardizations(encoder)
        encoder.finish_training()
        self.history_ = last
        if run.passes:
            self.history_ = continued(history, last)
            self.head_history_ = continued(head_history, self.head_history_)

    def _show_head(self, head: Head, scaler: Scaler, history: dict[str, Any]) -> None:
        """Make the classifier usable while its head is trained on standardised codes."""
        copied = copy.deepcopy(head)
        unscale(copied, scaler)
        self.module_ = EncoderWithHead(self.autoencoder_.module_.encoder, copied).eval()
        self.head_history_ = self.history_ = history

    def _codes(self, data: Labelled) -> Labelled:
        """Return the codes of sequences, as one step each."""
        return data._replace(
            source=Sequences(runner(self.autoencoder_).codes(data.source)[:, None])
        )
