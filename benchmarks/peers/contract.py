"""What every contender is asked, and what it answers: the same arguments, one line of JSON.

It stands on NumPy and the standard library alone, so that each contender can use it in its own environment.
"""

import argparse
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

PIXELS, HIDDEN, LATENT_DIM = 28 * 28, 400, 20
SIDE, WIDTHS, GROUPS = 28, (32, 64, 128), 8  # the convolutional network: 28 → 14 → 7 → 4 pixels a side
TEST_BATCH = 1000


class Task:
    """The arguments of a contender's program, and the pixels that it learns from."""

    def __init__(self, arguments: list[str] | None = None):
        parser = argparse.ArgumentParser(description="one contender of benchmarks/speed.py; prints one line of JSON")
        parser.add_argument("--pixels", type=Path, required=True, help=".npz file: train and test, rows × 784, 0 or 1")
        parser.add_argument("--network", choices=["dense", "convolutional"], default="dense")
        parser.add_argument("--epochs", type=int, default=3)
        parser.add_argument("--batch", type=int, default=128)
        parser.add_argument("--learning-rate", type=float, default=1e-3)
        parser.add_argument("--threads", type=int, default=2)
        parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--goal", type=float, help="test −ELBO in nats at which to stop; measured after every epoch"
        )
        given = parser.parse_args(arguments)
        self.network, self.device, self.seed = given.network, given.device, given.seed
        self.epochs, self.batch, self.learning_rate = given.epochs, given.batch, given.learning_rate
        self.threads, self.goal = given.threads, given.goal
        with np.load(given.pixels) as arrays:
            self.train, self.test = arrays["train"], arrays["test"]

    @property
    def convolutional(self) -> bool:
        return self.network == "convolutional"


class Record:
    """How long each epoch took. The clock runs from the call that trains, set-up and compilation included."""

    def __init__(self, task: Task):
        self.task = task
        self.epoch_seconds: list[float] = []
        self.negative_elbos: list[float] = []
        self.began = self.last = time.perf_counter()

    def start(self) -> None:
        """Training is called now."""
        self.began = self.last = time.perf_counter()

    def epoch_ended(self, negative_elbo: float | None = None) -> bool:
        """Note an epoch, and the test −ELBO where it was measured; whether the goal is reached."""
        now = time.perf_counter()
        self.epoch_seconds.append(now - self.last)
        self.last = now
        if negative_elbo is not None:
            self.negative_elbos.append(negative_elbo)
        return self.reached

    def ended(self, negative_elbo: float) -> None:
        """The test −ELBO after the last epoch, measured when the clock had stopped."""
        self.negative_elbos.append(negative_elbo)

    @property
    def reached(self) -> bool:
        return self.task.goal is not None and bool(self.negative_elbos) and self.negative_elbos[-1] <= self.task.goal

    def print(self, name: str, *packages: str) -> None:
        """The one line that benchmarks/speed.py reads."""
        answer = {
            "contender": name,
            "rows_per_second": [len(self.task.train) / seconds for seconds in self.epoch_seconds],
            "epoch_seconds": self.epoch_seconds,
            "negative_elbo": self.negative_elbos,
            "seconds_to_goal": sum(self.epoch_seconds) if self.reached else None,
            "peak_memory": peak_memory(),
            "versions": {package: version(package) for package in packages},
        }
        print(json.dumps(answer), flush=True)


def peak_memory() -> int:
    """The most bytes that this process has held at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
