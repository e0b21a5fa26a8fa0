"""How every estimator trains: the training loop with its callbacks, by the parameters."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from torch import Tensor, nn

from unspool.data.scaling import Scaler
from unspool.estimators.divergence_advice import advice_after_divergence
from unspool.estimators.user_callbacks import UserCallbacks
from unspool.model_file import Contents
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback, KeepBest
from unspool.training.checkpoint import Checkpoint
from unspool.training.history import History
from unspool.training.interruption import Interruption
from unspool.training.loop import evaluate, train
from unspool.training.objective import Objective
from unspool.training.optimizers import Optimizer, make_optimizer
from unspool.training.progress import progress
from unspool.training.reports import reports
from unspool.training.schedule import ReduceOnPlateau, WarmupCosine, count_epochs, count_patience


class OptimizerStates:
    """States of the optimizers of the stages of training, which calls of `partial_fit` share.

    Parameters
    ----------
    name : str
        Name of the optimizers; the states of another one are of no use.
    earlier : OptimizerStates, optional
        States after the last call, which are not changed.
    """

    def __init__(self, name: str, earlier: "OptimizerStates | None" = None) -> None:
        self.name = name
        self.weights: dict[str, dict[str, dict[str, Any]]] = {}
        self.factors: dict[str, float] = {}
        if earlier is not None and earlier.name == name:
            self.weights = {stage: dict(states) for stage, states in earlier.weights.items()}
            self.factors = dict(earlier.factors)

    def restore(
        self, stage: str, optimizer: Optimizer, weights: Mapping[str, nn.Parameter]
    ) -> None:
        """Continue with the state of the optimizer of the same stage in the last call."""
        states = self.weights.get(stage, {})
        for group in optimizer.param_groups:
            group["lr"] *= self.factors.get(stage, 1.0)
        for name, weight in weights.items():
            if name in states:
                optimizer.state[weight] = {
                    key: _on(value, weight, key) for key, value in states[name].items()
                }

    def keep(
        self,
        stage: str,
        optimizer: Optimizer,
        weights: Mapping[str, nn.Parameter],
        first_rate: float,
    ) -> None:
        """Remember the state of the optimizer of a stage, and how often its rate was halved."""
        states = self.weights.setdefault(stage, {})
        states |= {name: dict(optimizer.state[one]) for name, one in weights.items()}
        rate = optimizer.param_groups[0]["lr"]
        self.factors[stage] = self.factors.get(stage, 1.0) * rate / first_rate

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the states with all tensors on the CPU."""
        weights = {
            stage: {
                name: {
                    key: value.cpu() if isinstance(value, Tensor) else value
                    for key, value in state.items()
                }
                for name, state in states.items()
            }
            for stage, states in self.weights.items()
        }
        return {"name": self.name, "weights": weights, "factors": self.factors}


def _on(value: Any, weight: Tensor, key: str) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.clone() if key == "step" else value.clone().to(weight)


@dataclass
class Run:
    """What a call of `fit` or `partial_fit` asks for in addition to the parameters.

    Parameters
    ----------
    start : Contents, optional
        Trained model whose weights and scaling are the initial ones. Default: new weights.
    how : str, default "initial"
        What asked to start from it: "initial", "warm_start" or "partial_fit".
    freeze : tuple of str, default ()
        Names of layers that are not trained.
    callbacks : tuple, default ()
        Functions and objects that `UserCallbacks` calls.
    passes : int, optional
        For `partial_fit`, which trains for one epoch: number of epochs of the calls before.
    optimizers : OptimizerStates, optional
        For `partial_fit`: states of the optimizers after the last call, updated by this one.
    standardizations : dict
        For `partial_fit`: standardisations of layers in the calls before; see `going_on`.
    code_scaler : Scaler, optional
        For `partial_fit` of a classifier: scaling of the codes in the calls before.
    interruption : Interruption
        Says whether a signal has ended training.
    checkpoint : Checkpoint, optional
        For `fit`: the file from which training continues, and to which it is written.
    """

    start: Contents | None = None
    how: str = "initial"
    freeze: tuple[str, ...] = ()
    callbacks: tuple[Any, ...] = ()
    passes: int | None = None
    optimizers: OptimizerStates | None = None
    standardizations: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    code_scaler: Scaler | None = None
    interruption: Interruption = field(default_factory=Interruption)
    checkpoint: Checkpoint | None = None


def learn(
    estimator: Any,
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    validation: Batches | None,
    *,
    epochs: int | str,
    run: Run,
    stage: str = "",
    callbacks: Sequence[Callback] = (),
    show: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train `model` by the parameters of `estimator`, and return the history.

    Parameters
    ----------
    estimator : estimator
    model, objective, batches, validation
        See `train`.
    epochs : int or "auto"
        Maximum number of epochs. `partial_fit` trains for one.
    run : Run
        The call of `fit` or `partial_fit`.
    stage : str, default ""
        Name of this training among those of one call.
    callbacks : sequence of Callback, default ()
        Called before all others.
    show : callable, optional
        Makes the estimator usable by the user's callbacks, given the history. Default: sets
        ``history_``.
    """
    weights = {name: one for name, one in model.named_parameters() if one.requires_grad}
    if not weights:
        return measured(model, objective, batches, validation, run.interruption)
    optimizer = make_optimizer(
        estimator.optimizer, [*weights.values()], estimator.learning_rate, estimator.weight_decay
    )
    also: list[Callback]
    if run.passes is None:
        count = count_epochs(epochs, len(batches))
        also = [KeepBest(count_patience(estimator.patience, count))]
        if estimator.learning_rate_schedule == "cosine":
            also.append(WarmupCosine(optimizer))
        elif estimator.learning_rate_schedule == "reduce_on_plateau":
            factor, patience = estimator.plateau_factor, estimator.plateau_patience
            also.append(ReduceOnPlateau(optimizer, factor, patience))
    else:
        assert run.optimizers is not None
        run.optimizers.restore(stage, optimizer, weights)
        count, also = 1, [KeepBest(None)]
    also += progress(estimator.verbose, run.passes)
    if run.callbacks:
        note = show or (lambda history: setattr(estimator, "history_", history))
        users = UserCallbacks(estimator, run.callbacks, note)
        also.append(users)
        listeners = users.listeners()
    else:
        listeners = []
    also += reports(estimator._name, stage, estimator._parameters, listeners, batches, validation,
                    run.passes or 0)  # fmt: skip
    if batches.note and estimator.verbose >= 2:
        print(batches.note, file=sys.stderr, flush=True)
    start, run.interruption.stage = optimizer.param_groups[0]["lr"], stage
    history = train(
        model,
        objective,
        batches,
        optimizer=optimizer,
        epochs=count,
        validation=validation,
        global_clipnorm=estimator.global_clipnorm,
        callbacks=[*callbacks, *also],
        checkpoint=None if run.checkpoint is None else run.checkpoint.stage(stage),
        advise=partial(advice_after_divergence, estimator),
    )
    if not history.epochs:  # a signal arrived before the first step
        return measured(model, objective, batches, validation, run.interruption)
    if run.optimizers is not None:
        run.optimizers.keep(stage, optimizer, weights, start)
    return history.as_dict()


def measured(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    validation: Batches | None,
    interruption: Interruption,
) -> dict[str, Any]:
    """Return the history of a model that is not trained: its present losses.

    After an interruption the losses are those of one batch.
    """
    history, count = History(), None if interruption.requested is None else 1
    history.add(evaluate(model, objective, islice(batches, count)))
    if validation is not None:
        means = evaluate(model, objective, islice(validation, count))
        history.add({f"val_{name}": mean for name, mean in means.items()})
    return history.as_dict()
