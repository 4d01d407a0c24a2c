"""What is learned of images before any network is: what counts as black and as white, and the likelihood."""

import math

import numpy as np
import torch

from ...core.errors import DataError
from .likelihood import INTEGER_LIKELIHOODS
from .sizes import AUTO_LARGEST_SIDE, extents

# A beta-binomial is drawn trial by trial.
MOST_BETA_BINOMIAL_LEVELS = 1024
# Bytes seen up to here only are few levels of their own, such as 0 … 16; others are shades of 0 … 255.
MOST_FEW_LEVELS = 16
# Images of one size are worked on as they are, up to so many values each.
MOST_WHOLE_VALUES = 2**20


def worked_on(own_shape: tuple[int, ...], largest_side: int | str) -> tuple[int, ...]:
    """The shape in which images of one size are worked on."""
    if isinstance(largest_side, str):
        if math.prod(own_shape) <= MOST_WHOLE_VALUES:
            return own_shape
        largest_side = AUTO_LARGEST_SIDE
    height, width = extents(torch.tensor(own_shape[:2]), largest_side).long().tolist()
    return (height, width, *own_shape[2:])


def range_and_family(
    parts: list[np.ndarray], dtype: np.dtype, likelihood: str, strict: bool
) -> tuple[float, float, str]:
    """What counts as black and as white, and the likelihood, of images in one array or in several."""
    low, high = (float(end) for end in (min(part.min() for part in parts), max(part.max() for part in parts)))
    if low == high and strict:
        raise DataError(f"every pixel of every image is {low:g}: there is nothing to learn")
    low, high = _range(dtype, low, high)
    family = _auto_family(parts, dtype, low, high) if likelihood == "auto" else likelihood
    if family in INTEGER_LIKELIHOODS and dtype.kind not in "ui":
        raise DataError(f"likelihood '{family}' is for whole numbers; these images hold {dtype}")
    if family == "beta_binomial" and high - low >= MOST_BETA_BINOMIAL_LEVELS:
        raise DataError(
            f"likelihood 'beta_binomial' is for at most {MOST_BETA_BINOMIAL_LEVELS} levels; these images span "
            f"{low:g} … {high:g}: take 'discretised_logistic'"
        )
    return low, high, family


def _range(dtype: np.dtype, low: float, high: float) -> tuple[float, float]:
    """What counts as black and as white. The scale of bytes is known, however dark the pictures; that of other numbers
    is what was seen, from 0, and for shares of one to 1."""
    if dtype == np.uint8 and high > MOST_FEW_LEVELS:
        return 0.0, 255.0
    if low < 0:
        return low, high
    return 0.0, max(high, 1.0)


def _auto_family(parts: list[np.ndarray], dtype: np.dtype, low: float, high: float) -> str:
    if dtype.kind == "b" or all(bool(np.isin(part, (low, high)).all()) for part in parts):
        return "bernoulli"
    return "discretised_logistic" if dtype.kind in "ui" else "gaussian"
