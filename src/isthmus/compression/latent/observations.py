"""Rows under a decoder's likelihood: what is coded of them, under which weights, and what a coder cannot hold.

`Symbols` are all that is coded: for each row and feature a number, NaN where a cell is missing. Whatever rows hold
beyond them (an unseen category, a number outside the fitted range, −0) is listed beside the stack, cell by cell.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch import Tensor

from ...domains.base import Domain
from ..coder import MOST_SYMBOLS, Stack
from ..exact import LOGIT_UNIT, exponentials, softmax_weights
from .network import ONE

Symbols = np.ndarray
Rows = Any
# How much of the fitted range real numbers may lie beyond its ends.
MARGIN = 0.25
# Learned noise is kept in whole numbers of this.
NOISE_UNIT = 4096.0


def weights_of(logits: np.ndarray) -> np.ndarray:
    """Weights ∝ exp(logit), at least 1 each, for logits (..., alphabet) in whole numbers of 2⁻¹²."""
    units = np.rint(logits * (LOGIT_UNIT / ONE)).astype(np.float32)
    weights = np.maximum(softmax_weights(units), 1.0)
    # Their sum stays below 2²⁴ also where an alphabet has one more symbol than usual.
    return weights if weights.shape[-1] <= MOST_SYMBOLS else np.maximum(np.floor(weights / 2.0), 1.0)


def kept_noise(values: Tensor) -> list[int]:
    return [round(float(value) * NOISE_UNIT) for value in values.detach().cpu().double()]


def noise_of(settings: dict[str, Any], name: str, count: int, low: float, high: float) -> np.ndarray:
    values = settings[name]
    if len(values) != count or any(type(value) is not int for value in values):
        raise ValueError("the noise of a column is missing")
    noise = np.array(values, np.float64) / NOISE_UNIT
    if not np.all((noise >= low) & (noise <= high)):
        raise ValueError("the noise of a column is out of bounds")
    return noise


def two_weights_of(logits: np.ndarray) -> np.ndarray:
    """Weights (n, 2) of no and yes for the logits of yes (n,), as `weights_of` gives them for 0 and the logit."""
    units = np.rint(logits * (LOGIT_UNIT / ONE))
    table = exponentials()
    less = np.maximum(table[np.minimum(np.abs(units), len(table) - 1).astype(np.int32)], 1.0)
    weights = np.full((len(logits), 2), table[0])
    rows = np.arange(len(logits))
    weights[rows, (units < 0).astype(np.intp)] = less
    return weights


class Observations(ABC):
    """How rows of a domain are coded, given a decoder's outputs."""

    domain: Domain
    feature_count: int
    output_count: int

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What was learned besides the domain's schema, as JSON."""

    @abstractmethod
    def symbols(self, rows: Rows) -> Symbols:
        """float64 (n, features): what of rows is coded."""

    @abstractmethod
    def rows(self, symbols: Symbols) -> Rows:
        """The rows that hold just the symbols."""

    @abstractmethod
    def features(self, symbols: Symbols) -> np.ndarray:
        """What the encoder network sees, whole numbers (n, feature_count)."""

    @abstractmethod
    def push(self, stack: Stack, outputs: np.ndarray, symbols: Symbols) -> None:
        """Code symbols under the decoder's outputs, whole numbers (n, output_count)."""

    @abstractmethod
    def pop(self, stack: Stack, outputs: np.ndarray) -> Symbols: ...

    @abstractmethod
    def patch(self, rows: Rows, coded: Rows) -> dict[str, Any]:
        """What is to be changed in `coded` to give `rows`, as JSON; empty where nothing is."""

    @abstractmethod
    def patched(self, coded: Rows, patch: dict[str, Any]) -> Rows: ...

    @abstractmethod
    def canonical(self, rows: Rows) -> bytes: ...

    @abstractmethod
    def joined(self, parts: list[Rows]) -> Rows: ...
