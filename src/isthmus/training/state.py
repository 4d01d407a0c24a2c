"""The state of a training run, as plain tensors and plain numbers."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass
class TrainingState:
    """`tensors`: weights, optimisers' moments and the best weights so far; `counters`: epochs, best loss, history."""

    tensors: dict[str, Tensor]
    counters: dict[str, Any] = field(default_factory=dict)


def nested(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
