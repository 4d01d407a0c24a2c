"""Rows through a network in batches of one size.

A matrix product's rounding depends on the number of rows in it. Every batch here has the same number, short ones filled
up, so that a row's result does not depend on how many rows came with it, nor on their order.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..core.errors import OptionError

# Rows in one inference batch; scoring holds several draws of each row at once.
BATCH = 512
SCORING_BATCH = 128
# Numbers as models see them are near 1. A row this far out is an outlier beyond doubt, and its square is still finite.
FARTHEST = 1e12


def batches(x: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    """Batches of exactly `size` rows, and how many of each are real; the filling repeats the last row."""
    for batch in x.split(size):
        missing = size - len(batch)
        yield (torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch), len(batch)


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], x: Tensor, size: int, device: torch.device) -> Tensor:
    """`function` of all rows, on the CPU; one batch at a time is on the device."""
    results = [function(batch.to(device))[:real].cpu() for batch, real in batches(x, size)]
    return torch.cat(results)


def as_input(x: Tensor) -> Tensor:
    """Exact tensors as models take them: floats in single precision and within its reach, integers as they are."""
    return x.clamp(-FARTHEST, FARTHEST).float() if x.is_floating_point() else x


def chosen_device(name: str) -> torch.device:
    """The device of this name; "auto" is a GPU where there is one. Raises OptionError if it cannot be used."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as failure:
        reason = str(failure).strip().splitlines()[0]
        raise OptionError(f"device={name!r} cannot be used: {reason}; leave it at 'auto', or give 'cpu'") from None
    return device
