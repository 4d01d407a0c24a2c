"""Squared Euclidean distances between many points, by one product of matrices."""

import numpy as np

BLOCK = 512
"""Points whose distances to all others are held in memory together."""

ROUNDING = 1e-9
"""Squared distances closer than this share of the squared norms are the same."""


def centred(*sets: np.ndarray) -> list[np.ndarray]:
    """The sets moved so that the first has mean 0: distances stay, and lose fewer digits to the norms."""
    return [points - sets[0].mean(0) for points in sets]


def squared_distances(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """‖x‖² + ‖y‖² - 2xy, shape (points, others), and how far rounding may have moved each of them."""
    norms = np.square(points).sum(1)[:, None] + np.square(others).sum(1)
    return np.maximum(norms - 2 * points @ others.T, 0.0), ROUNDING * norms


def nearest(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The squared distance from each point to the nearest of the others, shape (points,), and its rounding."""
    found = [_nearest(points[start : start + BLOCK], others) for start in range(0, len(points), BLOCK)]
    distances, roundings = (np.concatenate(part) for part in zip(*found, strict=True))
    return distances, roundings


def _nearest(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances, rounding = squared_distances(points, others)
    closest = distances.argmin(1)
    every = np.arange(len(points))
    return distances[every, closest], rounding[every, closest]
