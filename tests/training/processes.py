"""A program that tests start several times at once: it trains toy models with the others, and tells what came of them.

    python -m tests.training.processes FOLDER MODEL:EPOCHS:ROWS…

FOLDER/MODEL/rank.json gets the outcome, FOLDER/MODEL/checkpoint the state after every epoch, FOLDER/MODEL/rank.epochs
a line an epoch. Models are trained one after another: starting takes longer than training them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from isthmus.core.errors import IsthmusError
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.distributed import Workers, joined, leave
from isthmus.training.loop import train
from isthmus.training.run import Outcome, Plan
from isthmus.training.step import Kind

from . import toys


def outcome_of(
    kind: str, epochs: int, rows: int, workers: Workers, checkpoint: Checkpoint | None, *observers: Any
) -> Outcome:
    """Train with held-out rows and patience, in about five batches of a number that does not divide evenly."""
    plan = Plan(epochs, rows // 10 * 2 + 1, 1e-2, patience=epochs, seed=1, checkpoint_seconds=0.0)
    held_out = toys.rows(rows // 2, seed=9)
    made = {"broken": toys.Fragile, "traced": "autoencoder"}.get(kind, kind)
    step = Kind("traced") if kind == "traced" else None
    variant = toys.model(made, seed=workers.rank)  # other initial weights: the first one's must win
    return train(
        variant, toys.rows(rows), held_out, plan, toys.as_is, observers, checkpoint, kind=step, workers=workers
    )


def described(outcome: Outcome) -> dict[str, Any]:
    """History without times, weights by name, decisions."""
    history = [{name: value for name, value in record.items() if name != "seconds"} for record in outcome.history]
    weights = {name: value.tolist() for name, value in outcome.state.tensors.items() if name.startswith("model.")}
    decisions = (outcome.best_epoch, outcome.recoveries, outcome.interrupted)
    return {"history": history, "weights": weights, "decisions": decisions}


def train_and_tell(folder: Path, kind: str, epochs: int, rows: int, workers: Workers) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = (folder / f"{workers.rank}.epochs").open("a", buffering=1)
    checkpoint = Checkpoint(folder / "checkpoint", {"kind": kind})
    observe = lambda record, plan: told.write(f"{record['epoch']}\n")  # noqa: E731
    outcome = outcome_of(kind, epochs, rows, workers, checkpoint, observe)
    (folder / f"{workers.rank}.json").write_text(json.dumps(described(outcome)))
    workers.meet()


def main() -> int:
    folder, *asked = sys.argv[1:]
    torch.set_num_threads(1)
    try:
        with joined() as workers, workers.one_voice(), workers.listening():
            for kind, epochs, rows in (each.split(":") for each in asked):
                train_and_tell(Path(folder) / kind, kind, int(epochs), int(rows), workers)
    except IsthmusError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    leave(main())
