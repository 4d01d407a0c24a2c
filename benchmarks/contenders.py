"""Contenders: programs that train the same network on the same pixels, each in an environment of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
LONGEST_SECONDS = 900
NEEDED = {"rows_per_second", "epoch_seconds", "negative_elbo", "seconds_to_goal", "peak_memory", "versions"}

Answer = dict[str, Any]


class SkippedError(Exception):
    """Why a contender is not measured, in a few words."""


@dataclass(frozen=True)
class Contender:
    name: str
    program: str
    environment: str | None = None  # a folder below .bench; None is the environment of this process

    def python(self, environments: Path) -> Path:
        """The interpreter that has its packages. Raises SkippedError where there is none."""
        if self.environment is None:
            return Path(sys.executable)
        python = environments / self.environment / "bin" / "python"
        if not python.exists():
            raise SkippedError(f"no environment {environments / self.environment}; `make bench-peers` makes it")
        return python


CONTENDERS = [
    Contender("isthmus", "isthmus_fit.py"),
    Contender("plain", "plain_loop.py"),
    Contender("pythae", "pythae_trainer.py", "pythae"),
    Contender("keras", "keras_fit.py", "keras"),
    Contender("jax", "jax_scan.py", "jax"),
]


def run(contender: Contender, arguments: Sequence[str], environments: Path, threads: int, device: str) -> Answer:
    """Run a contender's program once and read its answer. Raises SkippedError where it gives none."""
    command = [str(contender.python(environments)), str(PEERS / contender.program), *arguments]
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=_surroundings(contender, threads, device),
            preexec_fn=_kept_to(threads) if device == "cpu" else None,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SkippedError(f"not done after {LONGEST_SECONDS} s") from None
    if finished.returncode != 0:
        last = finished.stderr.strip().splitlines()[-1:] or ["no word"]
        raise SkippedError(f"ended with status {finished.returncode}: {last[0]}")
    return answer_in(finished.stdout)


def answer_in(output: str) -> Answer:
    """The answer in what a program printed: its last line. Raises SkippedError if there is none."""
    lines = output.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise SkippedError("printed no line of JSON") from None
    missing = NEEDED - set(answer) if isinstance(answer, dict) else NEEDED
    if missing:
        raise SkippedError(f"its answer lacks {', '.join(sorted(missing))}")
    return answer


def _surroundings(contender: Contender, threads: int, device: str) -> dict[str, str]:
    """The environment variables of a contender: the same threads for all, and no GPU where none is meant."""
    variables = dict(os.environ) | {"OMP_NUM_THREADS": str(threads)}
    if contender.environment is not None:
        variables.pop("PYTHONPATH", None)
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return variables


def _kept_to(threads: int) -> Callable[[], None] | None:
    """Not every library can be told how many threads to use; all of them heed how many cores they are given."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, allowed)
