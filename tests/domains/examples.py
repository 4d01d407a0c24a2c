"""Sample rows of each domain, for the contract suite. A new domain adds its own under its name.

Rows are without chance: fixed seeds, so that a failure repeats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from isthmus.core.parts import Parts


@dataclass(frozen=True)
class Example:
    """Rows to fit, and how."""

    rows: Callable[[], Any]
    likelihood: str = "auto"
    data: str = "auto"  # what to ask for, where the rows' type alone means another domain


def mixed_frame(rows: int = 60, missing: bool = True) -> pd.DataFrame:
    """Every kind of column, with missing cells in most."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "length": rng.normal(43.9, 5.5, rows).round(1),
            "mass": rng.integers(2700, 6300, rows) * 1.0,
            "income": np.exp(rng.normal(0, 6, rows)),
            "year": rng.integers(2007, 2010, rows),
            "views": np.floor(np.exp(rng.normal(0, 4, rows))).astype(np.int64),
            "alive": rng.random(rows) < 0.3,
            "island": rng.choice(["Biscoe", "Dream", "Torgersen"], rows, p=[0.5, 0.4, 0.1]),
            "grade": pd.Categorical(rng.choice(["low", "high"], rows), ["low", "middle", "high"], ordered=True),
            "day": pd.Timestamp("2007-11-11") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "waited": pd.to_timedelta(rng.integers(0, 9000, rows), "s"),
        }
    )
    frame.loc[rows - 1, "views"] = 1_000_000  # far out
    if missing:
        for place, name in enumerate(("length", "mass", "income", "island", "grade", "day")):
            frame.loc[place :: 7 + place, name] = None
    return frame


def _greys(dtype: str, levels: int, shape: tuple[int, ...] = (20, 6, 5)) -> np.ndarray:
    values = np.random.default_rng(1).integers(0, levels, shape).astype(dtype)
    values.flat[:2] = 0, levels - 1
    return values


def _of_sizes(images: np.ndarray) -> list[np.ndarray]:
    """The same images cut to many sizes; the first one is whole."""
    return [each[: len(each) - place % 3, : each.shape[1] - place % 2].copy() for place, each in enumerate(images)]


def _shares(low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(2).uniform(low, high, (20, 6, 5)).astype(np.float32)


def _waves(rows: int = 20, steps: int = 12, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(4)
    phases = rng.uniform(0, 6, (rows, 1, channels))
    return 3 + np.arange(1, channels + 1) * np.sin(phases + 0.4 * np.arange(steps)[:, None])


def _gappy(series: np.ndarray) -> np.ndarray:
    series = series.copy()
    series[::3, 4, 0] = np.nan
    series[1, -2:] = np.nan  # missing at its end, which is no shorter length
    return series


def _cut(series: np.ndarray) -> list[np.ndarray]:
    return [each[: len(each) - place % 4] for place, each in enumerate(series)]


def _counts(largest: float = 20.0) -> np.ndarray:
    """Counts of which most are 0; the first row has all of its own in one column, the last column is rare."""
    rng = np.random.default_rng(4)
    counts = rng.poisson(rng.gamma(0.3, largest / 2, (24, 9))).astype(np.int64)
    counts[0], counts[:, -1] = 0, 0
    counts[0, 3], counts[5, -1] = 2, 1
    counts[:, 0] += np.arange(24) % 3 == 0  # no row without any
    counts[:, 1] += np.arange(24) % 3 != 0
    return counts


TEXTS = [
    "",
    "a",
    "The cat sleeps in the garden.",
    "The dog sleeps in the garden.",
    "Naïve café — “quoted”, 100 €",
    "日本語のテキスト",
    "Ελληνικά",
    "a tab\tand a line\nbreak",
    "NUL \x00 inside",
    "👩‍🚀 two signs",
    "The cat sleeps in the garden. The dog eats in the house.",
    " ",
]


EXAMPLES: dict[str, dict[str, Example]] = {
    "counts": {
        **{
            family: Example(lambda: scipy.sparse.csr_matrix(_counts()), family)
            for family in ("multinomial", "poisson", "negative_binomial", "zero_inflated_negative_binomial")
        },
        "there or not": Example(lambda: scipy.sparse.csr_array(np.random.default_rng(5).choice([0.0, 1.0], (12, 20)))),
        "dense": Example(_counts, data="counts"),
    },
    "table": {
        **{family: Example(mixed_frame, family) for family in ("gaussian", "student_t", "mixture")},
        "complete": Example(lambda: mixed_frame(missing=False)),
        "array": Example(lambda: np.random.default_rng(3).normal(5, 2, (30, 4))),
        "array with missing cells": Example(
            lambda: np.where(np.eye(6, 3) > 0, np.nan, np.arange(18).reshape(6, 3) / 7)
        ),
    },
    "image": {
        "digits": Example(lambda: _greys("float64", 17).astype(np.int64)),
        "bytes": Example(lambda: _greys("uint8", 256)),
        "16 bits": Example(lambda: _greys("uint16", 4000)),
        "beta-binomial": Example(lambda: _greys("uint8", 256), "beta_binomial"),
        "from below 0": Example(lambda: _greys("int16", 9) - np.int16(4)),
        "shares": Example(_shares),
        "shares as chances": Example(_shares, "bernoulli"),
        "beyond 0 … 1": Example(lambda: _shares(-3, 7).astype(np.float64)),
        "black and white": Example(lambda: _greys("uint8", 2).astype(bool)),
        "colour": Example(lambda: _greys("uint8", 256, (12, 5, 4, 3))),
        "opacity": Example(lambda: _greys("uint8", 256, (12, 5, 4, 4))),
        "sizes": Example(lambda: _of_sizes(_greys("uint8", 256, (12, 7, 6)))),
        "sizes, colour": Example(lambda: _of_sizes(_greys("uint8", 256, (12, 5, 4, 3)))),
        "sizes, opacity, 16 bits": Example(lambda: _of_sizes(_greys("uint16", 60_000, (12, 5, 4, 4)))),
        "sizes, shares": Example(lambda: _of_sizes(_shares())),
        "sizes, shares as chances": Example(lambda: _of_sizes(_shares()), "bernoulli"),
        "sizes, beta-binomial": Example(lambda: _of_sizes(_greys("uint8", 17, (12, 5, 4))), "beta_binomial"),
        "heights": Example(lambda: [each[:, :4] for each in _of_sizes(_greys("int32", 90, (12, 7, 6)))], data="image"),
        "one by one, of one size": Example(lambda: list(_greys("uint8", 256, (12, 5, 4, 3)))),
    },
    "multipart": {
        "table and image": Example(
            lambda: Parts({"row": mixed_frame(20), "photo": _greys("uint8", 256), "sign": _greys("uint8", 2)})
        ),
        "table, series and colours": Example(
            lambda: Parts(
                {
                    "numbers": np.random.default_rng(3).normal(5, 2, (12, 3)),
                    "beat": _cut(_waves(12)),
                    "photo": _greys("uint8", 256, (12, 5, 4, 3)),
                }
            )
        ),
    },
    "text": {
        "bytes": Example(lambda: TEXTS),
        "byte pairs": Example(lambda: 8 * TEXTS[:3] + [f"{text} again" for text in TEXTS], "byte_pairs"),
    },
    # In alphabetical order, as they come back.
    "words": {
        "topics": Example(
            lambda: ["apple pear plum", "apple apple pear", "dog horse", "horse pig pig", "dog pig plum"] * 3,
            data="words",
        ),
        "poisson": Example(lambda: ["ab ab cd", "cd ef", "ab gh gh", "ef gh"] * 3, "poisson", data="words"),
    },
    "series": {
        "channels": Example(_waves, data="series"),
        "one channel": Example(lambda: _waves()[..., 0].astype(np.float32), data="series"),
        "heavy tails": Example(_waves, "student_t", data="series"),
        "gaps": Example(lambda: _gappy(_waves()), data="series"),
        "lengths": Example(lambda: _cut(_waves())),
        "lengths and gaps": Example(lambda: _cut(_gappy(_waves()))),
        "lengths, heavy tails": Example(lambda: _cut(_waves(channels=1)[..., 0]), "student_t"),
        "whole numbers": Example(lambda: (10 * _waves()).astype(np.int16), data="series"),
    },
}
