"""One fit: what stays the same while a model of one size, or of several, is built and trained."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from ..core.errors import OptionError
from ..core.options import Options
from ..core.randomness import Randomness
from ..core.sparse import HeldRows, SparseRows
from ..domains.base import Domain, DomainNetworks, NetworkOptions
from ..parts.networks import built
from ..training.checkpoint import Checkpoint, part_of
from ..training.distributed import ALONE, Workers
from ..training.loop import train
from ..training.progress import Progress
from ..training.run import Observer, Outcome, Plan
from ..training.state import TrainingState
from ..training.step import Draw, can_compile
from ..training.streaming import StreamedBatches
from ..training.sweep import gains_from_company, sweep
from ..variants.base import Variant
from .checking import check_latent_dim
from .inference import as_input
from .options import SharedOptions

# Below this many held-out rows a validation loss says little: all rows are trained on.
FEWEST_VALIDATION_ROWS = 8
# With epochs="auto", training takes about this many steps, within the bounds on passes.
AIMED_STEPS = 4_000
AUTO_EPOCHS = (20, 1000)
# Of more rows than 20 passes could take in this many steps, fewer passes are made.
MOST_AUTO_STEPS = 200_000


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

    @property
    def augment(self) -> Draw | None:
        """What training does to a batch that validation does not see; None for nothing."""
        kinds = self.shared.augment
        return (lambda x, randomness: self.domain.augmented(x, kinds, randomness)) if kinds else None

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
        x: HeldRows | StreamedBatches,
        validation: HeldRows | None,
        observers: tuple[Observer, ...] = (),
        checkpoint: str | Path | None = None,
    ) -> Trained:
        """A new model of this size, trained on rows `x` and stopped by the validation rows."""
        rows = x.rows if isinstance(x, StreamedBatches) else len(x)
        check_latent_dim(latent_dim, self.variant, rows)
        model = self.build(latent_dim)
        saved = None if checkpoint is None else Checkpoint(checkpoint, self.fingerprint(x, latent_dim))
        with _progress(self.shared.verbose, f"{latent_dim} latent units") as shown:
            outcome = self._run(model, x, validation, self.plan(rows), (*observers, *shown), saved)
        return Trained(model, outcome)

    def train_sizes(
        self,
        latent_dims: Sequence[int],
        x: HeldRows,
        validation: HeldRows | None,
        observers: tuple[Observer, ...] = (),
        checkpoint: str | Path | None = None,
    ) -> list[Trained]:
        """`train` for each of these sizes, in one step where that is faster; after Ctrl-C, of those that were begun.

        Those of one step save themselves to a file of their own beside `checkpoint`.
        """

        def checkpoint_of(places: Sequence[int]) -> Checkpoint | None:
            if checkpoint is None:
                return None
            sizes = [latent_dims[place] for place in places]
            return Checkpoint(part_of(checkpoint, "-".join(map(str, sizes))), self.fingerprint(x, sizes))

        for latent_dim in latent_dims:
            check_latent_dim(latent_dim, self.variant, len(x))
        models = [self.build(latent_dim) for latent_dim in latent_dims]
        resident, held_out = self._resident(x, validation)
        plans = [self.plan(len(x))] * len(models)
        with _progress(self.shared.verbose, f"{', '.join(map(str, latent_dims))} latent units") as shown:
            outcomes = sweep(
                models, resident, held_out, plans, self.domain.draw, (*observers, *shown), checkpoint_of, self.augment
            )
        failed = [outcome.failure for outcome in outcomes.values() if outcome.failure is not None]
        if len(failed) == len(outcomes):
            raise failed[0]
        return [Trained(models[place], outcome) for place, outcome in outcomes.items() if outcome.failure is None]

    def gains_from_company(self, latent_dim: int, rows: int) -> bool:
        """Whether several sizes are trained in less time together than one after another."""
        return gains_from_company(self.build(latent_dim), self.plan(rows))

    def one_pass(self, model: Variant, x: HeldRows, state: TrainingState | None) -> Trained:
        """One pass over rows `x`, at the full learning rate, going on from `state`."""
        epochs = 1 + (state.counters["epoch"] if state else 0)
        shared = self.shared
        plan = Plan(epochs, shared.batch_size, shared.learning_rate, "constant", None, shared.precision, self.seed)
        return Trained(model, self._run(model, x, None, plan, start=state))

    def plan(self, rows: int) -> Plan:
        """How long and how fast to train on this many rows."""
        shared = self.shared
        if shared.compiled is True and not can_compile(self.device):
            raise OptionError("compiled=True: there is no compiler here (g++, or triton for a GPU); leave it at 'auto'")
        epochs = shared.epochs
        if epochs == "auto":
            low, high = AUTO_EPOCHS
            steps_per_epoch = max(1.0, rows / shared.batch_size)
            low = min(low, max(1, math.ceil(MOST_AUTO_STEPS / steps_per_epoch)))
            epochs = min(high, max(low, math.ceil(AIMED_STEPS / steps_per_epoch)))
        return Plan(
            epochs,
            shared.batch_size,
            shared.learning_rate,
            shared.schedule,
            shared.patience,
            shared.precision,
            self.seed,
            compiled=None if shared.compiled == "auto" else shared.compiled,
        )

    def fingerprint(self, x: HeldRows | StreamedBatches, latent_dim: int | list[int]) -> dict[str, Any]:
        """What a checkpoint must agree on to be gone on from."""
        shared = self.shared.model_dump(exclude={"verbose", "device", "random_state", "latent_dim"})
        return {
            "model": self.variant.__name__,
            "options": _json_like({"latent_dim": latent_dim, **shared, **self.own.model_dump()}),
            "data": x.digest if isinstance(x, StreamedBatches) else _digest(x),
            "seed": self.seed,
        }

    def _run(
        self,
        model: Variant,
        x: HeldRows | StreamedBatches,
        validation: HeldRows | None,
        plan: Plan,
        observers: tuple[Observer, ...] = (),
        checkpoint: Checkpoint | None = None,
        start: TrainingState | None = None,
    ) -> Outcome:
        resident, held_out = self._resident(x, validation)
        with self.workers.listening():
            draw = self.domain.draw
            return train(
                model,
                resident,
                held_out,
                plan,
                draw,
                observers,
                checkpoint,
                start,
                workers=self.workers,
                augment=self.augment,
            )

    def _resident(
        self, x: HeldRows | StreamedBatches, validation: HeldRows | None
    ) -> tuple[HeldRows | StreamedBatches, HeldRows | None]:
        """Rows as models take them, on the device; streamed ones come there batch by batch."""
        held_out = None if validation is None else as_input(validation).to(self.device)
        return x if isinstance(x, StreamedBatches) else as_input(x).to(self.device), held_out


@overload
def split(x: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor | None]: ...


@overload
def split(x: HeldRows, share: float, seed: int) -> tuple[HeldRows, HeldRows | None]: ...


def split(x: HeldRows, share: float, seed: int) -> tuple[HeldRows, HeldRows | None]:
    """Rows to learn from, and a random share of rows to stop by; None where that share would be too few to say much."""
    held_out = round(len(x) * share)
    if held_out < FEWEST_VALIDATION_ROWS:
        return x, None
    order = Randomness(seed, "validation split").permutation(len(x))
    return x[order[held_out:]], x[order[:held_out]]


def _digest(x: HeldRows) -> str:
    digest = sha256()
    for array in x.arrays() if isinstance(x, SparseRows) else (x.numpy(),):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _json_like(options: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as JSON gives them back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


@contextmanager
def _progress(verbose: int, description: str) -> Iterator[tuple[Observer, ...]]:
    """A progress bar that goes when training ends, however it ends."""
    if not verbose:
        yield ()
        return
    progress = Progress(description)
    try:
        yield (progress,)
    finally:
        progress.close()
