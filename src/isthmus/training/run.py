"""One model's run: how far it has come, what its best is, and whether it is done."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..core.errors import DivergenceError
from ..parts.schedules import cosine_decay
from ..variants.base import Variant
from .state import TrainingState

# {"epoch", "train": {term: mean}, "validation": {term: mean} | None, "learning_rate", "seconds"}
EpochRecord = dict[str, Any]

# After this many restarts from the last good state, each at half the rate, a run is given up.
MOST_RECOVERIES = 3


@dataclass(frozen=True)
class Plan:
    """How to train."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "cosine"  # or "constant"
    patience: int | None = None
    precision: str = "float32"
    seed: int = 0
    checkpoint_seconds: float = 30.0
    compiled: bool | None = None  # None: where that saves more time than it takes

    def factors(self, epochs: Sequence[float]) -> list[float]:
        """The learning rate's factors when so many epochs have passed."""
        if self.schedule == "constant":
            return [1.0] * len(epochs)
        return cosine_decay(torch.tensor(epochs, dtype=torch.float64) / self.epochs, final=0.05).tolist()


class Observer(Protocol):
    """Told of every epoch as it ends; it observes, and changes nothing."""

    def __call__(self, record: EpochRecord, plan: Plan) -> None: ...


@dataclass
class Outcome:
    """What came of a run.

    `seconds` is its share of the time that all that trained with it took. `failure` says why a run that diverged was
    given up; its weights are then of no use.
    """

    history: list[EpochRecord]
    best_epoch: int
    seconds: float
    interrupted: bool
    recoveries: int
    state: TrainingState
    failure: DivergenceError | None = None


@dataclass(eq=False)
class Run:
    """One run in progress."""

    variant: Variant
    plan: Plan
    validated: bool
    epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    recoveries: int = 0
    slowing: float = 1.0
    failure: DivergenceError | None = None
    # The epoch when those that it trains with were put together; None once it has ended and they go on without it.
    standing_since: int | None = 0
    # Once the run has ended, its state after the last good epoch.
    ended: TrainingState | None = None

    def counters(self) -> dict[str, Any]:
        """All of it that is no tensor, as JSON has it."""
        return {
            "epoch": self.epoch,
            "history": list(self.history),
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "best_epoch": self.best_epoch,
            "recoveries": self.recoveries,
            "slowing": self.slowing,
            "standing_since": self.standing_since,
        }

    def restore(self, counters: dict[str, Any], best_weights: dict[str, Tensor]) -> None:
        counters = dict(counters)
        best_loss = counters.pop("best_loss")
        self.best_loss = math.inf if best_loss is None else best_loss
        self.best_weights = best_weights
        for name, value in counters.items():
            setattr(self, name, list(value) if name == "history" else value)

    def rates(self, epochs: Sequence[float]) -> list[float]:
        """The learning rates when so many epochs have passed."""
        return [self.plan.learning_rate * factor * self.slowing for factor in self.plan.factors(epochs)]

    @property
    def finished(self) -> bool:
        if self.failure is not None or self.epoch >= self.plan.epochs:
            return True
        if not self.validated or self.plan.patience is None:
            return False
        return self.epoch - max(self.best_epoch, self.variant.warmup_length) >= self.plan.patience

    def recover(self) -> None:
        """Half the rate, once the last good state is back; or give up."""
        if self.recoveries >= MOST_RECOVERIES:
            self.failure = DivergenceError(
                f"the loss became infinite or NaN in epoch {self.epoch + 1} and in {MOST_RECOVERIES} restarts at lower "
                f"rates; lower learning_rate (now {self.plan.learning_rate:g}) or look for extreme values in the data"
            )
            return
        self.recoveries, self.slowing = self.recoveries + 1, self.slowing / 2

    def is_best(self, record: EpochRecord) -> bool:
        """Note the record of an epoch that is over; whether its weights are the best so far."""
        if record["validation"] is None:
            self.best_epoch = self.epoch
        elif record["validation"]["loss"] < self.best_loss:
            self.best_loss, self.best_epoch = record["validation"]["loss"], self.epoch
            return True
        return False
