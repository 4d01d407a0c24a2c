"""How alike two sets of pictures are, by features of a small network: two distances between the sets' features.

The network is not trained: convolutions with fixed random weights. Features of a network trained on photographs (the
Inception network of "FID") say little of pictures unlike photographs; random ones see edges, textures and where they
are in any picture, and are fair to every kind (Naeem et al., 2020, §3.3, https://arxiv.org/abs/2002.09797). Distances
are not to be compared with those of other networks, and not between data sets.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d

from ..core.errors import DataError
from ..core.randomness import Randomness
from .rows import equal_sizes

SIDE = 32
"""Pictures are given as squares of so many pixels a side."""

MAPS = (32, 64, 64)
FEATURES = 64
MOST_PICTURES = 5_000
BATCH = 256
EXTRACTOR = (
    f"{len(MAPS)} convolutions with fixed random weights, on {SIDE} × {SIDE} pixels; {FEATURES} random directions of "
    "their means, in one spread of the real images"
)


def feature_distances(
    synthetic: np.ndarray, real: np.ndarray, rng: np.random.Generator, limit: int = MOST_PICTURES
) -> dict[str, float]:
    """`frechet_distance` and `kernel_distance` between sets of pictures (n, channels, SIDE, SIDE), 0 black to 1 white.

    The first is the Fréchet distance between Gaussians with the features' means and covariances (Heusel et al., 2017,
    https://arxiv.org/abs/1706.08500): 0 for equal ones, and above 0 for finite sets of one source, the more so the
    smaller they are: both sets are cut to one size, at most `limit`. The second is the unbiased squared maximum mean
    discrepancy with the kernel (x·y / features + 1)³ (Bińkowski et al., 2018, https://arxiv.org/abs/1801.01401), whose
    expectation is 0 for sets of one source, and which may fall a little below. Raises DataError for another shape, or
    fewer than two pictures.
    """
    for name, pictures in (("synthetic", synthetic), ("real", real)):
        if pictures.ndim != 4 or pictures.shape[2:] != (SIDE, SIDE) or pictures.shape[1] != real.shape[1]:
            raise DataError(f"{name} pictures of shape {pictures.shape}; give (n, channels, {SIDE}, {SIDE})")
        if len(pictures) < 2:
            raise DataError(f"{len(pictures)} {name} picture has no distance to others; give at least two")
    made, seen = (_responses(pictures) for pictures in equal_sizes(rng, limit, synthetic, real))
    # One scale for all responses: one that hardly varies stays faint.
    centre, scale = seen.mean(0), np.sqrt(seen.var(0).mean()) or 1.0
    directions = _directions(seen.shape[1])
    made, seen = ((each - centre) / scale @ directions for each in (made, seen))
    return {"frechet_distance": frechet_distance(made, seen), "kernel_distance": kernel_distance(made, seen)}


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """|m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½) of rows (n, features): the squared Wasserstein distance of Gaussians."""
    covariances = [np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    # The eigenvalues of C₁ C₂ are those of C₁^½ C₂ C₁^½, which is symmetric.
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(min=0.0)).sum()
    apart = np.square(first.mean(0) - second.mean(0)).sum()
    return float(max(0.0, apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * cross))


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of rows (n, features) with the cubic kernel."""

    def kernel(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (rows @ others.T / rows.shape[1] + 1.0) ** 3

    def within(rows: np.ndarray) -> float:
        values = kernel(rows, rows)
        return float((values.sum() - np.trace(values)) / (len(rows) * (len(rows) - 1)))

    return within(first) + within(second) - 2 * float(kernel(first, second).mean())


def _responses(pictures: np.ndarray) -> np.ndarray:
    """Means of each layer's maps over the picture, of the last one's over its quarters, (n, responses)."""
    weights = _weights(pictures.shape[1])
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pictures), BATCH):
            layer = torch.from_numpy(np.ascontiguousarray(pictures[start : start + BATCH], np.float32)) * 4 - 2
            found: list[Tensor] = []
            for weight in weights:
                layer = conv2d(layer, weight, stride=2, padding=1).relu()
                found.append(layer.mean((2, 3)))
            parts.append(torch.cat([*found, adaptive_avg_pool2d(layer, 2).flatten(1)], 1))
    return torch.cat(parts).double().numpy()


@cache
def _weights(channels: int) -> tuple[Tensor, ...]:
    """Normal weights of the size that keeps responses' size from layer to layer (He et al., 2015)."""
    draws = Randomness(0, "features of pictures", channels)
    sizes = zip((channels, *MAPS), MAPS, strict=False)
    return tuple(draws.normal(after, before, 3, 3) * (2 / (9 * before)) ** 0.5 for before, after in sizes)


@cache
def _directions(responses: int) -> np.ndarray:
    """Orthonormal random directions, (responses, FEATURES)."""
    draws = Randomness(0, "directions of pictures", responses).normal(responses, FEATURES).double()
    return np.linalg.qr(draws.numpy())[0]
