"""Which models are trained, at which sizes, with which seeds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..core.errors import DataError, OptionError
from ..core.randomness import Randomness
from ..core.sparse import dense
from ..estimator.inference import as_input
from . import contenders
from .measuring import Data

SIZES = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Task:
    """One contender with one seed."""

    name: str
    variant: str
    latent_dim: int  # 0 for the detector, which has several
    seed: int
    first: bool  # the seed whose model is kept and shown
    options: dict[str, Any] = field(hash=False)  # the same for all tasks


def chosen_sizes(latents: Sequence[int] | None, data: Data) -> list[int]:
    """The sizes asked for, or powers of two up to half of what networks see."""
    if latents is not None:
        sizes = sorted(dict.fromkeys(int(size) for size in latents))
        if not sizes or sizes[0] < 1:
            raise OptionError(f"latent sizes {list(latents)}: give whole numbers of at least 1")
        if sizes[-1] > len(data.train):
            raise DataError(
                f"{len(data.train)} training rows are too few for {sizes[-1]} latent units; "
                "give smaller sizes or more rows"
            )
        return sizes
    features = data.domain.features()(as_input(dense(data.train[:1]))).shape[1]
    return [size for size in SIZES if size <= max(2, features // 2) and size <= len(data.train)]


def planned(variants: list[str], sizes: list[int], seeds: int, seed: int, options: dict[str, Any]) -> list[Task]:
    tasks = []
    for variant in variants:
        for size in sizes:
            if size < contenders.least_latent_dim(variant):
                continue
            tasks += _repeated(f"{contenders.short_name(variant)}-{size}", variant, size, seeds, seed, options)
    if not tasks:
        raise OptionError("no model here can have any of these latent sizes; give larger ones")
    return tasks


def planned_detectors(seeds: int, seed: int, options: dict[str, Any]) -> list[Task]:
    """One detector for each seed: it has all of its sizes at once."""
    return _repeated(contenders.DETECTOR_NAME, contenders.DETECTOR_NAME, 0, seeds, seed, options)


def _repeated(name: str, variant: str, size: int, seeds: int, seed: int, options: dict[str, Any]) -> list[Task]:
    own = [Randomness(seed, "contender", index).seed % 2**31 for index in range(seeds)]
    return [Task(name, variant, size, each, index == 0, options) for index, each in enumerate(own)]


def workers(jobs: int | None, tasks: list[Task], device: str) -> int:
    """How many models train at once. On a GPU one at a time fills the device."""
    if jobs is not None:
        return jobs
    if device not in ("auto", "cpu") or (device == "auto" and torch.cuda.is_available()):
        return 1
    return max(
        1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, len(tasks))
    )
