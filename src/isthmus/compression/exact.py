"""Arithmetic that is the same everywhere: whole numbers, carried by floats as long as these hold them exactly.

A sum of whole numbers is exact in float32 while all partial sums stay below 2²⁴, and in float64 below 2⁵³; then no
order of summation, thread count, instruction set or processor can change it, and fast matrix products may be used.
Floating-point networks may not be used for entropy coding: one last bit that differs makes every later symbol another
(Ballé et al., 2019, https://openreview.net/forum?id=S1zz2i0cY7).
"""

from decimal import Context, Decimal
from functools import cache

import numpy as np

from .coder import LARGEST_WEIGHT

# Logits are whole numbers in units of 1/256 nat.
LOGIT_UNIT = 256

# float32 holds every whole number up to this.
EXACT_IN_FLOAT32 = 2**24

# From this many units below the largest logit on, a weight rounds to 0.
_LEAST = 3017

_DIGITS = Context(prec=40)


@cache
def exponentials() -> np.ndarray:
    """round((2¹⁶ − 1) exp(−k / 256)), k = 0 … 3017, float32; from decimal arithmetic, which is the same everywhere."""
    scale = Decimal(LARGEST_WEIGHT)
    values = [
        int(
            _DIGITS.multiply(scale, _DIGITS.exp(_DIGITS.divide(Decimal(-k), LOGIT_UNIT))).to_integral_value(
                context=_DIGITS
            )
        )
        for k in range(_LEAST + 1)
    ]
    return np.array(values, np.float32)


def softmax_weights(logits: np.ndarray) -> np.ndarray:
    """Whole weights ∝ exp(logits / 256) for logits (..., alphabet), whole numbers in float32; for `Stack.push`.

    That of the last symbol is at least 1: the coder rounds where it begins, to the very end if nothing is left for it.
    """
    below = logits.max(axis=-1, keepdims=True) - logits
    np.minimum(below, _LEAST, out=below)
    weights = exponentials()[below.astype(np.int32)]
    np.maximum(weights[..., -1], 1, out=weights[..., -1])
    return weights
