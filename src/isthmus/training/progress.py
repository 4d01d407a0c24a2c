"""A progress bar with the time left, on a terminal only."""

import sys
from typing import Any

from .run import EpochRecord, Plan


class Progress:
    """Shows epochs, loss and time left on stderr; where stderr is no terminal it stays silent."""

    def __init__(self, description: str = "training"):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs, loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self.description = description
        self.task: Any = None

    def __call__(self, record: EpochRecord, plan: Plan) -> None:
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task(self.description, total=plan.epochs, loss="")
        shown = record["validation"] or record["train"]
        self.bar.update(self.task, completed=record["epoch"], loss=f"{shown['loss']:.4g}")
        if record["epoch"] >= plan.epochs:
            self.close()

    def close(self) -> None:
        """Remove the bar."""
        self.bar.stop()
