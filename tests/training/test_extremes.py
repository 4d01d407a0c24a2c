"""Data and rates that break careless training: the outputs are numbers all the same."""

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import variants

CLASSES = [variants.find(name).__name__ for name in variants.names()]
LARGEST = float(np.finfo(float).max)


def rows(kind: str) -> np.ndarray:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(120, 4))
    match kind:
        case "one cell of 1e30":
            x[3, 1] = 1e30
        case "all cells near 1e30":
            x *= 1e30
        case "all cells near 1e-30":
            x *= 1e-30
        case "columns 60 powers of ten apart":
            x[:, 0] *= 1e30
            x[:, 1] *= 1e-30
            x[5, 2] = -1e30
        case "the largest floats":
            x[0, 0], x[1, 0] = LARGEST, -LARGEST
        case "the smallest floats":
            x[:, 0] = 5e-324 * draws.integers(0, 3, size=120)
        case "one value in a column":
            x[:, 0] = 5.0
        case "a small spread far from 0":
            x += 1e15
        case "no mean, no variance":
            x = draws.standard_cauchy(size=(120, 4)) ** 3
    return x


KINDS = [
    "one cell of 1e30",
    "all cells near 1e30",
    "all cells near 1e-30",
    "columns 60 powers of ten apart",
    "the largest floats",
    "the smallest floats",
    "one value in a column",
    "a small spread far from 0",
    "no mean, no variance",
]


@pytest.mark.parametrize("learning_rate", [1e-3, 1.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.slow
def test_outputs_are_finite(name: str, kind: str, learning_rate: float) -> None:
    x = rows(kind)
    model = getattr(isthmus, name)(3, hidden=(16,), epochs=4, learning_rate=learning_rate, random_state=0).fit(x)
    codes = model.transform(x)
    outputs: dict[str, Any] = {
        "codes": codes,
        "scores": model.score_samples(x),
        "scores of other rows": model.score_samples(-x[::-1] / 3),
        "decoded": model.inverse_transform(codes),
        "decoded from afar": model.inverse_transform(1e3 * codes),
        "sample": model.sample(50),
        "threshold": model.offset_,
        "losses": [record["train"]["loss"] for record in model.history_],
    }
    for output, value in outputs.items():
        assert np.isfinite(value).all(), output
