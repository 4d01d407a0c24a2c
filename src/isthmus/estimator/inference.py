"""Rows through a network so that a row's result depends on that row alone, to the last bit.

Two things in a matrix product would let its neighbours in. How it rounds depends on the number of rows: every batch
here has the same number, short ones filled up. And where a layer's width is no multiple of the processor's vectors,
some libraries (MKL among them) round the last rows of a batch unlike the first: widths are filled up with zeros.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, pad
from torch.overrides import TorchFunctionMode

from ..core.errors import OptionError

# Rows in one inference batch; scoring holds several draws of each row at once.
BATCH = 512
SCORING_BATCH = 128
# Widths of linear layers are filled up to multiples of this: the floats in the widest vectors of today's processors.
VECTOR = 16
# Beyond every 64-bit integer, and its square is still finite in single precision.
FARTHEST = 1e19


def batches(x: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    """Batches of exactly `size` rows, and how many of each are real; the filling repeats the last row."""
    for batch in x.split(size):
        missing = size - len(batch)
        yield (torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch), len(batch)


@torch.no_grad()
def in_batches(function: Callable[[Tensor], Tensor], x: Tensor, size: int, device: torch.device) -> Tensor:
    """`function` of all rows, on the CPU; one batch at a time is on the device."""
    with AlignedLinear():
        results = [function(batch.to(device))[:real].cpu() for batch, real in batches(x, size)]
    return torch.cat(results)


class AlignedLinear(TorchFunctionMode):
    """While this context is entered, linear layers compute with widths that are multiples of `VECTOR`."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Inside this method the mode is off: the call below does not come back here.
        return (_aligned_linear if func is linear else func)(*args, **(kwargs or {}))


def _aligned_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b with zero columns added to x and W, and zero rows to W and b, which change no sum."""
    outputs, inputs = weight.shape
    more_outputs, more_inputs = -outputs % VECTOR, -inputs % VECTOR
    weight = pad(weight, (0, more_inputs, 0, more_outputs))
    bias = None if bias is None else pad(bias, (0, more_outputs))
    return linear(pad(input, (0, more_inputs)), weight, bias)[..., :outputs]


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
