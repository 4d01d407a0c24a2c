"""Sparse counts: what a user likes next, and how probable a cell is, beside what everybody would try first.

    python benchmarks/counts.py --data DIR [--only recommend,cells] [--seeds 3]

DIR holds movielens_100k.parquet (userId, movieId, rating) and single_cell_counts.npz (cells × genes, as
scipy.sparse.save_npz writes it): see benchmarks/README.md.

recommend: the protocol of Liang et al. (2018, https://arxiv.org/abs/1802.05814). Ratings of 4 and more count as liked;
users with at least 5 are parted into those to learn from, to choose by and to test on. Of a test user 80% of the liked
films are shown, and the others are to be ranked first among all that were not. Each seed is another partition. The rank
of the truncated SVD and the epochs of the VAEs are chosen on the users to choose by.

cells: log-probability of held-out cells in nats per cell, each given the cell's total. Every contender gives each
gene's count a probability, so that the figures compare: the VAEs by 100 importance-weighted draws; PCA + Gaussian of
log(1 + 10,000 count / total) by the mass that its density has between count − ½ and count + ½ on that scale (below ½
for a count of 0), genes independent given the components.
"""

import argparse
import math
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
import scipy.sparse
import scipy.special
from scipy.sparse.linalg import svds
from sklearn.decomposition import PCA

import isthmus
from isthmus.evaluation.ranking import ndcg, recall
from machine import description
from rounds import Spread
from tables import shown, table

LIKED = 4.0
FEWEST_LIKED = 5
SHOWN_SHARE = 0.8
RANKS = (4, 8, 16, 32, 64, 128)
VAES = 5
EPOCHS = (30, 60)
# Chosen by users held out of another partition, of some twenty settings: half or .8 of the likes hidden, a weight of .2
# or 1 on the KL term, 16 to 200 units, no hidden layer or one of 200.
RECOMMENDER = {
    "latent_dim": 64,
    "hidden": (),
    "mask_fraction": 0.5,
    "beta": 0.2,
    "learning_rate": 1e-3,
    "batch_size": 64,
    "validation_fraction": 0,
}
MEASURES = ("NDCG@100", "Recall@20", "Recall@50")

FEWEST_CELLS = 3  # that a gene is seen in, of those to learn from
SCALE = 10_000.0
COMPONENTS = (2, 5, 10, 20)
LEAST_VARIANCES = (1e-3, 1e-2, 1e-1)
CHOOSING_DRAWS, DRAWS = 10, 100
CELL_MODEL = {"latent_dim": 10, "learning_rate": 2e-3, "batch_size": 64}

Counts = scipy.sparse.csr_matrix


# What a user likes next.


@dataclass(frozen=True)
class Users:
    """Films that were shown, and the others, which are to be ranked first."""

    shown: Counts
    hidden: Counts

    def measured(self, scores: np.ndarray) -> list[float]:
        """The means over users, in the order of MEASURES."""
        each = [
            ndcg(scores, self.hidden, self.shown, first=100),
            recall(scores, self.hidden, self.shown, first=20),
            recall(scores, self.hidden, self.shown, first=50),
        ]
        return [float(np.nanmean(values)) for values in each]


def likes(path: Path) -> Counts:
    """Users × films, 1 where a film is liked."""
    ratings = pyarrow.parquet.read_table(path)
    liked = ratings.column("rating").to_numpy() >= LIKED
    user, film = (
        np.unique(ratings.column(name).to_numpy()[liked], return_inverse=True)[1] for name in ("userId", "movieId")
    )
    matrix = scipy.sparse.csr_matrix((np.ones(len(user), np.int32), (user, film)))
    return matrix[np.asarray(matrix.sum(1)).ravel() >= FEWEST_LIKED]


def parted(matrix: Counts, seed: int) -> tuple[Counts, Users, Users]:
    """Users to learn from, to choose by (a tenth) and to test on (a fifth); films that none of the first likes are
    left out."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(matrix.shape[0])
    test, choosing, learning = np.split(order, [len(order) // 5, len(order) // 5 + len(order) // 10])
    known = np.asarray(matrix[learning].sum(0)).ravel() > 0
    return matrix[learning][:, known], _folded(matrix[choosing][:, known], rng), _folded(matrix[test][:, known], rng)


def _folded(matrix: Counts, rng: np.random.Generator) -> Users:
    hidden = np.zeros(matrix.nnz, bool)
    for start, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        hidden[start + rng.choice(end - start, round((1 - SHOWN_SHARE) * (end - start)), replace=False)] = True
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    parts = (
        scipy.sparse.csr_matrix((matrix.data[part], (rows[part], matrix.indices[part])), shape=matrix.shape)
        for part in (~hidden, hidden)
    )
    return Users(*parts)


def recommended(learning: Counts, choosing: Users, test: Users, seed: int) -> Iterator[tuple[str, list[float], float]]:
    """Each contender's name, measures on the test users and seconds."""
    began = time.perf_counter()
    popularity = np.asarray(learning.sum(0), np.float64)
    yield "popularity", test.measured(np.repeat(popularity, test.shown.shape[0], axis=0)), time.perf_counter() - began

    began = time.perf_counter()
    directions = svds(learning.astype(float), k=max(RANKS), random_state=seed)[2][::-1]

    def projected(users: Users, rank: int) -> np.ndarray:
        return (users.shown @ directions[:rank].T) @ directions[:rank]

    rank = max(RANKS, key=lambda rank: choosing.measured(projected(choosing, rank))[0])
    yield "truncated SVD", test.measured(projected(test, rank)), time.perf_counter() - began

    began = time.perf_counter()
    tried = {epochs: recommender(epochs, 0).fit(learning) for epochs in EPOCHS}
    epochs = max(EPOCHS, key=lambda epochs: choosing.measured(rates([tried[epochs]], choosing))[0])
    yield "VAE, multinomial", test.measured(rates([tried[epochs]], test)), time.perf_counter() - began
    members = [tried[epochs], *(recommender(epochs, member).fit(learning) for member in range(1, VAES))]
    yield f"{VAES} such VAEs, rates averaged", test.measured(rates(members, test)), time.perf_counter() - began


def recommender(epochs: int, seed: int) -> "isthmus.VAE":
    return isthmus.VAE(**RECOMMENDER, epochs=epochs, random_state=seed)


def rates(models: list["isthmus.VAE"], users: Users) -> np.ndarray:
    """Expected counts of every film, the mean over models."""
    return np.mean([model.reconstruct(users.shown).toarray() for model in models], axis=0)


def recommend(folder: Path, seeds: int) -> None:
    matrix = likes(folder / "movielens_100k.parquet")
    found: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        for name, measures, seconds in recommended(*parted(matrix, seed + 1), seed):
            print(f"partition {seed}, {name}: {measures[0]:.4f}, {seconds:.0f} s", flush=True)
            found.setdefault(name, []).append([*measures, seconds])
    others = [name for name in found if name in ("popularity", "truncated SVD")]
    best = np.max([np.array(found[name])[:, 0] for name in others], axis=0)
    rows = []
    for name, runs in found.items():
        columns = np.array(runs).T
        gain = Spread.of((100 * (columns[0] / best - 1)).tolist())
        rows.append(
            [
                name,
                *(shown(Spread.of(column.tolist()), "{:.3f}") for column in columns[:3]),
                shown(gain, "{:+.1f}%"),
                shown(Spread.of(columns[3].tolist()), "{:.0f}"),
            ]
        )
    title = f"**Recommending**: {matrix.shape[0]} users, {matrix.nnz:,} likes, {seeds} partitions; median (ends)"
    print(
        table(title, ["contender", *MEASURES, "NDCG beside the better of the first two", "seconds"], rows), flush=True
    )


# How probable a cell is.


class DiscretisedComponents:
    """PCA as a model of counts: y = log(1 + 10,000 count / total) = mean + W z + noise, z ~ N(0, 1), a noise for each
    gene; a count has the mass between its neighbours."""

    def __init__(self, cells: Counts, components: int, least_variance: float):
        y = self.scaled(cells.toarray())
        found = PCA(components, random_state=0).fit(y)
        self.mean = found.mean_
        self.loadings = (found.components_.T * found.transform(y).std(0)).T  # (components, genes)
        left = y - found.inverse_transform(found.transform(y))
        self.variance = np.maximum(left.var(0), least_variance)

    @staticmethod
    def scaled(counts: np.ndarray) -> np.ndarray:
        return np.log1p(SCALE * counts / counts.sum(1, keepdims=True))

    def log_prob(self, cells: Counts, draws: int, rng: np.random.Generator) -> np.ndarray:
        """The importance-weighted bound of each cell given its total, in nats, shape (cells,)."""
        counts = cells.toarray().astype(np.float64)
        totals = counts.sum(1, keepdims=True)
        low = np.where(counts > 0, np.log1p(SCALE * np.maximum(counts - 0.5, 0) / totals), -np.inf)
        high = np.log1p(SCALE * (counts + 0.5) / totals)
        # The posterior of z given y, Gaussian: precision 1 + W Ψ⁻¹ Wᵀ, the same for every cell.
        weighted = self.loadings / self.variance
        precision = np.eye(len(self.loadings)) + weighted @ self.loadings.T
        covariance = np.linalg.inv(precision)
        centre = (self.scaled(counts) - self.mean) @ weighted.T @ covariance
        root = np.linalg.cholesky(covariance)
        scale = np.sqrt(self.variance)
        weights = []
        for _ in range(draws):
            noise = rng.normal(size=centre.shape)
            z = centre + noise @ root.T
            middle = self.mean + z @ self.loadings
            mass = log_normal_mass((low - middle) / scale, (high - middle) / scale).sum(1)
            log_q = -0.5 * np.square(noise).sum(1) - np.log(np.diag(root)).sum()
            weights.append(mass - 0.5 * np.square(z).sum(1) - log_q)
        return scipy.special.logsumexp(weights, axis=0) - math.log(draws)


def log_normal_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log Φ(high) − Φ(low), from the side on which no two numbers near 1 are subtracted."""
    flipped = low > 0
    low, high = np.where(flipped, -high, low), np.where(flipped, -low, high)
    above, below = scipy.special.log_ndtr(high), scipy.special.log_ndtr(low)
    return above + np.log(-np.expm1(np.minimum(below - above, -1e-12)))


def scored(learning: Counts, choosing: Counts, test: Counts, seed: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """Each contender's name, the log-probability of each test cell given its total, and seconds.

    PCA comes last: it needs all cells dense, and peak memory is that of everything before.
    """
    for name, likelihood in {
        "VAE, Poisson": "poisson",
        "VAE, negative binomial": "negative_binomial",
        "VAE, zero-inflated": "zero_inflated_negative_binomial",
    }.items():
        began = time.perf_counter()
        model = isthmus.VAE(**CELL_MODEL, likelihood=likelihood, random_state=seed, validation_fraction=0.1)
        model.fit(scipy.sparse.vstack([learning, choosing], format="csr"))
        total = model.domain_.log_volume(model.domain_.tensors(test)).numpy()
        yield name, model.score_samples(test, draws=DRAWS) - total, time.perf_counter() - began
    began = time.perf_counter()
    tried = {
        (components, least): DiscretisedComponents(learning, components, least)
        for components in COMPONENTS
        for least in LEAST_VARIANCES
    }
    rng = np.random.default_rng(seed)
    best = max(tried, key=lambda made: tried[made].log_prob(choosing, CHOOSING_DRAWS, rng).mean())
    yield "PCA + Gaussian", tried[best].log_prob(test, DRAWS, rng), time.perf_counter() - began


def cells(folder: Path, seeds: int) -> None:
    matrix = scipy.sparse.load_npz(folder / "single_cell_counts.npz").tocsr()
    before = peak_gibibytes()
    found: dict[str, list[tuple[float, float]]] = {}
    genes, peak = [], before
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(matrix.shape[0])
        test, choosing, learning = np.split(order, [len(order) // 5, len(order) // 5 + len(order) // 10])
        known = np.asarray((matrix[learning] > 0).sum(0)).ravel() >= FEWEST_CELLS
        genes.append(int(known.sum()))
        parts = (matrix[part][:, known] for part in (learning, choosing, test))
        for name, values, seconds in scored(*parts, seed):
            found.setdefault(name, []).append((float(values.mean()), seconds))
            if seed == 0 and name.startswith("VAE"):
                peak = peak_gibibytes()
            print(f"seed {seed}, {name}: {values.mean():.1f} nats per cell, {seconds:.0f} s", flush=True)
    rows = [
        [
            name,
            shown(Spread.of([run[0] for run in runs]), "{:,.1f}"),
            shown(Spread.of([run[1] for run in runs]), "{:.0f}"),
        ]
        for name, runs in found.items()
    ]
    title = (
        f"**Cells**: {matrix.shape[0]} cells, {min(genes):,} to {max(genes):,} of {matrix.shape[1]:,} genes, {seeds} "
        f"partitions; peak memory of VAEs {peak:.2f} GiB, of which {before:.2f} before the first"
    )
    print(table(title, ["contender", "log-probability, nats per cell given its total", "seconds"], rows), flush=True)


def peak_gibibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="recommend,cells")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(description("torch", "scipy", "scikit-learn"))
    for part, run in {"recommend": recommend, "cells": cells}.items():
        if part in given.only.split(","):
            run(given.data, given.seeds)


if __name__ == "__main__":
    main()
