"""Rows through a network so that a row's result depends on that row alone, to the last bit.

Two things in a matrix product would let its neighbours in. How it rounds depends on the number of rows: every batch
of a model has the same number, short ones filled up. And where a layer's width is no multiple of the processor's
vectors, some libraries (MKL among them) round the last rows of a batch unlike the first: widths are filled up with
zeros. That holds where another library is asked for, too: small products, and those on older processors, are MKL's all
the same.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn.functional import linear, pad
from torch.overrides import TorchFunctionMode

from ..core.errors import OptionError
from ..core.sparse import HeldRows, SparseRows, dense
from ..training.arithmetic import fast_arithmetic

# Rows in one inference batch where nothing says how large they are.
BATCH = 512
SCORING_BATCH = 128
# Numbers that a batch may put into one layer, and the rows within which they decide.
BATCH_NUMBERS = 2**22
FEWEST_ROWS, MOST_ROWS = 16, 1024
# Scores hold several numbers per value and draw at once: so many draws' values stay in the processor's cache.
SCORING_NUMBERS = 2**19
# Widths of linear layers are filled up to multiples of this: the floats in the widest vectors of today's processors.
VECTOR = 16
# Beyond every 64-bit integer, and its square is still finite in single precision.
FARTHEST = 1e19


def batch_rows(numbers: int) -> int:
    """Rows in a batch of rows of so many numbers each: a power of two, the same however many rows there are."""
    return _rows_within(BATCH_NUMBERS, numbers, MOST_ROWS)


def scoring_rows(numbers: int, draws: int) -> int:
    """Rows in a batch that is scored with so many draws of each row."""
    return _rows_within(SCORING_NUMBERS, numbers * draws, SCORING_BATCH)


def _rows_within(budget: int, numbers: int, most: int) -> int:
    affordable = max(1, budget // max(1, numbers))
    return max(FEWEST_ROWS, min(most, 2 ** math.floor(math.log2(affordable))))


def in_batches(function: Callable[[Tensor], Tensor], x: HeldRows, size: int, device: torch.device) -> Tensor:
    """`function` of all rows, in one tensor on the CPU; one batch of exactly `size` rows at a time is on the device.

    A short batch is filled up with its last row, or with zeros where there is none.
    """
    results = None
    with torch.inference_mode(), steady_products(device):
        for start in range(0, max(1, len(x)), size):
            rows = dense(x[start : start + size])
            real = len(rows)
            if real < size:
                filling = rows[-1:] if real else rows.new_zeros(1, *x.shape[1:])
                rows = torch.cat([rows, filling.expand(size - real, *x.shape[1:])])
            result = function(rows.to(device))[:real]
            if results is None:
                with torch.inference_mode(False):  # an ordinary tensor, for whoever gets it
                    results = torch.empty((len(x), *result.shape[1:]), dtype=result.dtype)
            results[start : start + real] = result
    assert results is not None
    return results


@contextmanager
def steady_products(device: torch.device) -> Iterator[None]:
    """While this is entered, products with as many rows treat every row alike, and are as fast as that allows."""
    with _shared.entered(device), AlignedLinear():
        yield


class _SharedArithmetic:
    """`fast_arithmetic` of the whole process, for several threads: the last one out ends it, so that none computes one
    batch so and the next otherwise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._stack = ExitStack()

    @contextmanager
    def entered(self, device: torch.device) -> Iterator[None]:
        if device.type != "cpu":
            yield
            return
        with self._lock:
            if self._inside == 0:
                self._stack.enter_context(fast_arithmetic(device))
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._stack.close()


_shared = _SharedArithmetic()


class AlignedLinear(TorchFunctionMode):
    """While this context is entered, linear layers compute with widths that are multiples of `VECTOR`.

    Weights are filled up once: they must not change meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        # Filled-up weights by the identity of the given ones, which are held so that no other tensor takes it over.
        self._filled: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Inside this method the mode is off: the call below does not come back here.
        return (self._linear if func is linear else func)(*args, **(kwargs or {}))

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x Wᵀ + b with zero columns added to x and W, and zero rows to W and b, which change no sum."""
        outputs, inputs = weight.shape
        more_outputs, more_inputs = -outputs % VECTOR, -inputs % VECTOR
        if not more_outputs and not more_inputs:
            return linear(input, weight, bias)
        if id(weight) not in self._filled:
            filled = pad(weight, (0, more_inputs, 0, more_outputs))
            self._filled[id(weight)] = weight, filled, None if bias is None else pad(bias, (0, more_outputs))
        _, filled, filled_bias = self._filled[id(weight)]
        return linear(pad(input, (0, more_inputs)) if more_inputs else input, filled, filled_bias)[..., :outputs]


@overload
def as_input(x: Tensor) -> Tensor: ...


@overload
def as_input(x: HeldRows) -> HeldRows: ...


def as_input(x: HeldRows) -> HeldRows:
    """Exact tensors as models take them: floats in single precision and within its reach, integers as they are."""
    if isinstance(x, SparseRows):
        return x  # whole numbers
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
