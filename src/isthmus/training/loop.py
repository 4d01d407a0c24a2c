"""The training loop: the only one. It knows no variant and no domain."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..core.errors import DivergenceError
from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.schedules import cosine_decay
from ..variants.base import Variant
from .batches import Batches, ResidentBatches
from .checkpoint import Checkpoint
from .distributed import ALONE, Workers
from .state import Player, TrainingState, nested, players_of, weights_of

# {"epoch", "train": {term: mean}, "validation": {term: mean} | None, "learning_rate", "seconds"}
EpochRecord = dict[str, Any]
Draw = Callable[[Tensor, Randomness], Tensor]

# After this many restarts from the last good state, each at half the rate, a run is given up.
MOST_RECOVERIES = 3
VALIDATION_BATCH = 1024


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

    def rate(self, epoch: float) -> float:
        """The learning rate's factor when `epoch` epochs have passed."""
        return float(cosine_decay(epoch / self.epochs, final=0.05)) if self.schedule == "cosine" else 1.0


class Observer(Protocol):
    """Told of every epoch as it ends; it observes, and changes nothing."""

    def __call__(self, record: EpochRecord, plan: Plan) -> None: ...


@dataclass
class Outcome:
    """What came of a run."""

    history: list[EpochRecord]
    best_epoch: int
    seconds: float
    interrupted: bool
    recoveries: int
    state: TrainingState


@dataclass
class _Run:
    """One run in progress: what it is made of and how far it has come."""

    variant: Variant
    batches: Batches
    validation: Tensor | None
    plan: Plan
    draw: Draw
    players: list[Player]
    workers: Workers = ALONE
    epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    recoveries: int = 0
    slowing: float = 1.0

    def state(self) -> TrainingState:
        """A copy of everything, from which `restore` makes this run again."""
        tensors = {f"model.{name}": value for name, value in weights_of(self.variant).items()}
        for index, player in enumerate(self.players):
            tensors |= {f"player.{index}.{name}": value for name, value in player.tensors().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        counters = {
            "epoch": self.epoch,
            "history": list(self.history),
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "best_epoch": self.best_epoch,
            "recoveries": self.recoveries,
            "slowing": self.slowing,
        }
        return TrainingState(tensors, counters)

    def restore(self, state: TrainingState) -> None:
        self.variant.load_state_dict(nested(state.tensors, "model."))
        for index, player in enumerate(self.players):
            player.restore(nested(state.tensors, f"player.{index}."))
        self.best_weights = nested(state.tensors, "best.")
        counters = dict(state.counters)
        best_loss = counters.pop("best_loss")
        self.best_loss = math.inf if best_loss is None else best_loss
        for name, value in counters.items():
            setattr(self, name, list(value) if name == "history" else value)

    @property
    def finished(self) -> bool:
        if self.epoch >= self.plan.epochs:
            return True
        if self.validation is None or self.plan.patience is None:
            return False
        return self.epoch - max(self.best_epoch, self.variant.warmup_length) >= self.plan.patience


def train(
    variant: Variant,
    x: Tensor | Batches,
    validation: Tensor | None,
    plan: Plan,
    draw: Draw,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
    start: TrainingState | None = None,
    workers: Workers = ALONE,
) -> Outcome:
    """Minimise `variant.terms` over rows `x` (on the variant's device) and leave the best weights in the variant.

    With validation rows, the best weights are those of the epoch with the least validation loss, and training stops
    after `plan.patience` epochs without a new best (a variant's warm-up not counted); without, they are the last.
    Ctrl-C ends training and keeps the best so far; before the end of the first epoch there is none, and it is raised.
    A run restored from `start` or from the checkpoint goes on bit for bit as the uninterrupted one would: every random
    number depends on (seed, epoch) only.
    With several `workers`, each in a process of its own and with the same arguments, a batch is divided among them; all
    end with the same weights, history and decisions, and the first one writes the checkpoints.
    Raises DivergenceError when the loss stays non-finite through every restart.
    """
    variant.epochs = plan.epochs
    batches = x if isinstance(x, Batches) else ResidentBatches(x)
    run = _Run(variant, batches, validation, plan, draw, players_of(variant, plan.learning_rate), workers)
    workers.check_batch_size(batches.size(plan.batch_size))
    if workers.leads:
        start = (checkpoint.load() if checkpoint is not None else None) or start
    else:
        checkpoint = None
    start = workers.told(start)
    workers.broadcast_(list(variant.state_dict().values()))
    if start is not None:
        run.restore(start)
    began = last_saved = time.perf_counter()
    interrupted = False
    good = run.state()
    try:
        while not run.finished:
            record = workers.told(_epoch(run))
            if not workers.told(_is_finite(run, record)):
                _recover(run, good)
                continue
            _note_best(run, record)
            run.history.append(record)
            good = run.state()
            for observe in observers:
                observe(record, plan)
            if checkpoint is not None and time.perf_counter() - last_saved > plan.checkpoint_seconds:
                checkpoint.save(good)
                last_saved = time.perf_counter()
    except KeyboardInterrupt:
        run.restore(good)
        if not run.history:
            raise
        interrupted = True
        if checkpoint is not None:
            checkpoint.save(good)
    if run.best_weights:
        variant.load_state_dict(run.best_weights)
    variant.eval()
    seconds = time.perf_counter() - began
    return Outcome(run.history, run.best_epoch, seconds, interrupted, run.recoveries, good)


def _epoch(run: _Run) -> EpochRecord:
    """One pass over the rows; nothing waits for the device until it ends."""
    began = time.perf_counter()
    run.variant.train()
    randomness = Randomness(run.plan.seed, "epoch", run.epoch, run.recoveries, device=run.batches.device)
    noise = run.workers.noise(randomness)
    batch_size = run.batches.size(run.plan.batch_size)
    steps = run.batches.steps(batch_size)
    sums: dict[str, Tensor] = {}
    for step, rows in enumerate(run.batches.epoch(batch_size, randomness)):
        epoch = run.epoch + step / steps
        run.variant.epoch.fill_(epoch)
        batch = run.draw(run.workers.share(rows), noise)
        rate = run.plan.rate(epoch) * run.slowing
        for owner, terms, player in zip(("", "opponent ")[: len(run.players)], _losses(run), run.players, strict=True):
            with _precision(run):
                values = terms(batch, noise)
            player.step(values.loss, rate, run.workers, len(batch) / len(rows))
            for name, value in values.items():
                sums[owner + name] = sums.get(owner + name, 0.0) + value.detach().sum()
    run.epoch += 1
    sums = run.workers.summed(sums)
    return {
        "epoch": run.epoch,
        "train": _with_losses({name: float(value) / (steps * batch_size) for name, value in sums.items()}),
        "validation": validate(run.variant, run.validation, run.draw, run.plan.seed),
        "learning_rate": run.plan.learning_rate * run.plan.rate(run.epoch - 1) * run.slowing,
        "seconds": time.perf_counter() - began,
    }


def _with_losses(means: dict[str, float]) -> dict[str, float]:
    """The means of terms, with their sum as "loss"; those of an opponent, with theirs as "opponent loss"."""
    opponent = {name: mean for name, mean in means.items() if name.startswith("opponent ")}
    loss = sum(mean for name, mean in means.items() if name not in opponent)
    return means | {"loss": loss} | ({"opponent loss": sum(opponent.values())} if opponent else {})


def _losses(run: _Run) -> list[Callable[[Tensor, Randomness], Terms]]:
    """One for each player: the model's, and the opponent's."""
    return [run.variant.terms, run.variant.opponent_terms][: len(run.players)]


def _precision(run: _Run) -> torch.autocast:
    return torch.autocast(run.batches.device.type, torch.bfloat16, enabled=run.plan.precision == "bfloat16")


@torch.no_grad()
def validate(variant: Variant, x: Tensor | None, draw: Draw, seed: int) -> dict[str, float] | None:
    """Each term's mean over held-out rows, and "loss", their sum; the same noise each time it is called."""
    if x is None:
        return None
    variant.eval()
    randomness = Randomness(seed, "validation", device=x.device)
    sums: dict[str, Tensor] = {}
    for batch in x.split(VALIDATION_BATCH):
        for name, value in variant.terms(draw(batch, randomness), randomness).items():
            sums[name] = sums.get(name, 0.0) + value.sum()
    means = {name: float(value / len(x)) for name, value in sums.items()}
    return _with_losses(means)


def _is_finite(run: _Run, record: EpochRecord) -> bool:
    means = [*record["train"].values(), *(record["validation"] or {}).values()]
    # A finite loss may have a gradient that is not; without validation rows only the weights would show it.
    return all(math.isfinite(mean) for mean in means) and all(player.is_finite() for player in run.players)


def _recover(run: _Run, good: TrainingState) -> None:
    """Back to the last good state, at half the rate."""
    recoveries, slowing = run.recoveries + 1, run.slowing / 2
    if recoveries > MOST_RECOVERIES:
        raise DivergenceError(
            f"the loss became infinite or NaN in epoch {run.epoch} and in {MOST_RECOVERIES} restarts at lower rates; "
            f"lower learning_rate (now {run.plan.learning_rate:g}) or look for extreme values in the data"
        )
    run.restore(good)
    run.recoveries, run.slowing = recoveries, slowing


def _note_best(run: _Run, record: EpochRecord) -> None:
    if record["validation"] is None:
        run.best_epoch = run.epoch
    elif record["validation"]["loss"] < run.best_loss:
        run.best_loss, run.best_epoch = record["validation"]["loss"], run.epoch
        run.best_weights = weights_of(run.variant)
