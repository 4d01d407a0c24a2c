"""The training loop: the only one. It knows no variant and no domain, and trains one model or several side by side."""

import time
from collections.abc import Sequence

from ..core.sparse import HeldRows
from ..variants.base import Variant
from .arithmetic import fast_arithmetic
from .batches import Batches, ResidentBatches
from .checkpoint import Checkpoint
from .distributed import ALONE, Workers
from .ensemble import Ensemble
from .run import Observer, Outcome, Plan, Run
from .state import TrainingState, nested
from .step import Draw, Kind


def train(
    variant: Variant,
    x: HeldRows | Batches,
    validation: HeldRows | None,
    plan: Plan,
    draw: Draw,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
    start: TrainingState | None = None,
    kind: Kind | None = None,
    workers: Workers = ALONE,
    augment: Draw | None = None,
) -> Outcome:
    """Minimise `variant.terms` over rows `x` (on the variant's device) and leave the best weights in the variant.

    With validation rows, the best weights are those of the epoch with the least validation loss, and training stops
    after `plan.patience` epochs without a new best (a variant's warm-up not counted); without, they are the last.
    Ctrl-C ends training and keeps the best so far; before the end of the first epoch there is none, and it is raised.
    A run restored from `start` or from the checkpoint goes on bit for bit as the uninterrupted one would: every random
    number depends on (seed, epoch) only. `kind` says how steps are taken, if not as suits the work.
    With several `workers`, each in a process of its own and with the same arguments, a batch is divided among them; all
    end with the same weights, history and decisions, and the first one writes the checkpoints.
    `augment` changes a batch before `draw`, in training and not in validation.
    Raises DivergenceError when the loss stays non-finite through every restart.
    """
    starts = None if start is None else [start]
    (outcome,) = train_together(
        [variant], x, validation, [plan], draw, observers, checkpoint, starts, kind, workers, augment
    )
    if outcome.failure is not None:
        raise outcome.failure
    return outcome


def train_together(
    variants: Sequence[Variant],
    x: HeldRows | Batches,
    validation: HeldRows | None,
    plans: Sequence[Plan],
    draw: Draw,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
    starts: Sequence[TrainingState] | None = None,
    kind: Kind | None = None,
    workers: Workers = ALONE,
    augment: Draw | None = None,
) -> list[Outcome]:
    """`train` for several models that can stand together, in one step; each ends as it would alone, up to rounding.

    Plans may differ in seed, learning rate and patience. A model that has ended does not stop the others; one that
    diverges through every restart is given up, and its outcome says so.
    """
    batches = x if isinstance(x, Batches) else ResidentBatches(x)
    for variant, plan in zip(variants, plans, strict=True):
        variant.epochs = plan.epochs
    runs = [Run(variant, plan, validation is not None) for variant, plan in zip(variants, plans, strict=True)]
    ensemble = Ensemble(runs, batches, validation, draw, kind, workers, augment)
    if workers.leads:
        starts = (checkpoint.load() if checkpoint is not None else None) or starts
    else:
        checkpoint = None
    starts = workers.told(starts)
    for run, start in zip(runs, starts or (), strict=starts is not None):
        ensemble.restore(run, start)
    began = last_saved = time.perf_counter()
    interrupted = False
    with fast_arithmetic(batches.device):
        ensemble.begin()
        try:
            while ensemble.active:
                for run, record in ensemble.epoch():
                    for observe in observers:
                        observe(record, run.plan)
                if checkpoint is not None and time.perf_counter() - last_saved > plans[0].checkpoint_seconds:
                    checkpoint.save(ensemble.states())
                    last_saved = time.perf_counter()
        except KeyboardInterrupt:
            ensemble.go_back()
            if not any(run.history for run in runs):
                raise
            interrupted = True
            if checkpoint is not None:
                checkpoint.save(ensemble.states())
    seconds = (time.perf_counter() - began) / len(runs)
    states = ensemble.states()
    for run, state in zip(runs, states, strict=True):
        run.variant.load_state_dict(run.best_weights or nested(state.tensors, "model."))
        run.variant.eval()
    return [
        Outcome(run.history, run.best_epoch, seconds, interrupted, run.recoveries, state, run.failure)
        for run, state in zip(runs, states, strict=True)
    ]
