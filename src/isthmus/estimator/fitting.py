"""One fit: what stays the same while a model of one size, or of several, is built and trained."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.options import Options
from ..core.randomness import Randomness
from ..domains.base import Domain, DomainNetworks, NetworkOptions
from ..parts.networks import built
from ..training.checkpoint import Checkpoint
from ..training.distributed import ALONE, Workers
from ..training.loop import Observer, Outcome, Plan, train
from ..training.progress import Progress
from ..training.state import TrainingState
from ..variants.base import Variant
from .checking import check_latent_dim
from .inference import as_input
from .options import SharedOptions

# Below this many held-out rows a validation loss says little: all rows are trained on.
FEWEST_VALIDATION_ROWS = 8
# With epochs="auto", training takes about this many steps, within the bounds on passes.
AIMED_STEPS = 4_000
AUTO_EPOCHS = (20, 1000)


@dataclass(frozen=True)
class Trained:
    """A model and how it was trained."""

    model: Variant
    outcome: Outcome


@dataclass(frozen=True)
class Fitting:
    """A variant, a domain, checked options, a seed, a device, and the processes that train together."""

    variant: type[Variant]
    domain: Domain
    shared: SharedOptions
    own: Options
    seed: int
    device: torch.device
    workers: Workers = ALONE

    def build(self, latent_dim: int) -> Variant:
        """A new model with initial weights from the seed."""
        shared = self.shared
        networks = DomainNetworks(self.domain, NetworkOptions(shared.hidden, shared.network, shared.activation))
        model = built(lambda: self.variant(networks, latent_dim, self.own), Randomness(self.seed, "model"))
        assert isinstance(model, Variant)
        return model.to(self.device)

    def train(
        self,
        latent_dim: int,
        x: Tensor,
        validation: Tensor | None,
        observers: tuple[Observer, ...] = (),
        checkpoint: str | Path | None = None,
    ) -> Trained:
        """A new model of this size, trained on rows `x` and stopped by the validation rows."""
        check_latent_dim(latent_dim, self.variant, len(x))
        model = self.build(latent_dim)
        saved = None if checkpoint is None else Checkpoint(checkpoint, self.fingerprint(x, latent_dim))
        with _progress(self.shared.verbose, latent_dim) as shown:
            outcome = self._run(model, x, validation, self.plan(len(x)), (*observers, *shown), saved)
        return Trained(model, outcome)

    def one_pass(self, model: Variant, x: Tensor, state: TrainingState | None) -> Trained:
        """One pass over rows `x`, at the full learning rate, going on from `state`."""
        epochs = 1 + (state.counters["epoch"] if state else 0)
        shared = self.shared
        plan = Plan(epochs, shared.batch_size, shared.learning_rate, "constant", None, shared.precision, self.seed)
        return Trained(model, self._run(model, x, None, plan, start=state))

    def plan(self, rows: int) -> Plan:
        """How long and how fast to train on this many rows."""
        shared = self.shared
        epochs = shared.epochs
        if epochs == "auto":
            low, high = AUTO_EPOCHS
            steps_per_epoch = max(1.0, rows / shared.batch_size)
            epochs = min(high, max(low, math.ceil(AIMED_STEPS / steps_per_epoch)))
        return Plan(
            epochs,
            shared.batch_size,
            shared.learning_rate,
            shared.schedule,
            shared.patience,
            shared.precision,
            self.seed,
        )

    def fingerprint(self, x: Tensor, latent_dim: int) -> dict[str, Any]:
        """What a checkpoint must agree on to be gone on from."""
        shared = self.shared.model_dump(exclude={"verbose", "device", "random_state", "latent_dim"})
        return {
            "model": self.variant.__name__,
            "options": _json_like({"latent_dim": latent_dim, **shared, **self.own.model_dump()}),
            "data": sha256(np.ascontiguousarray(x.numpy()).tobytes()).hexdigest(),
            "seed": self.seed,
        }

    def _run(
        self,
        model: Variant,
        x: Tensor,
        validation: Tensor | None,
        plan: Plan,
        observers: tuple[Observer, ...] = (),
        checkpoint: Checkpoint | None = None,
        start: TrainingState | None = None,
    ) -> Outcome:
        resident = as_input(x).to(self.device)
        held_out = None if validation is None else as_input(validation).to(self.device)
        with self.workers.listening():
            draw = self.domain.draw
            return train(model, resident, held_out, plan, draw, observers, checkpoint, start, self.workers)


def split(x: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor | None]:
    """Rows to learn from, and a random share of rows to stop by; None where that share would be too few to say much."""
    held_out = round(len(x) * share)
    if held_out < FEWEST_VALIDATION_ROWS:
        return x, None
    order = Randomness(seed, "validation split").permutation(len(x))
    return x[order[held_out:]], x[order[:held_out]]


def _json_like(options: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as JSON gives them back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


@contextmanager
def _progress(verbose: int, latent_dim: int) -> Iterator[tuple[Observer, ...]]:
    """A progress bar that goes when training ends, however it ends."""
    if not verbose:
        yield ()
        return
    progress = Progress(f"{latent_dim} latent units")
    try:
        yield (progress,)
    finally:
        progress.close()
