"""Time series: unusual heartbeats among ECG5000's, and made-up sines that a network is to tell from real ones.

ECG5000 (`ecg5000.npz` in `--data`: `x_train`, `y_train`, `x_test`, `y_test`; class 1 is normal): a VAE is fitted to the
normal beats of the training part and scores the whole test part; then one is fitted, labels unseen, to training and
test beats of which 40% are abnormal, and scores the same beats.

Sines: five channels of 24 steps, as the code of TimeGAN's paper makes them (Yoon et al., 2019,
https://github.com/jsyoon0823/TimeGAN): sin(η t + θ), η and θ from U[0, 0.1], scaled to 0 … 1. `--sines paper` makes
them as the paper's text says: sin(2π η t + θ), η from U[0, 1], θ from U[−π, π]. A classifier of two GRU layers of 20
units learns to tell 80% of real and generated rows apart; the discriminative score is |accuracy − ½| on the others: 0
where it cannot. The VAE has seen none of the real rows that are judged.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import isthmus
from machine import description
from tables import table

ABNORMAL_SHARE = 0.4
STEPS, CHANNELS = 24, 5
CLASSIFIER_UNITS, CLASSIFIER_STEPS, CLASSIFIER_BATCH = 20, 2000, 128
LITERATURE = """In the literature, each with a classifier of its own: TimeGAN 0.011 (Yoon et al., 2019), TimeVAE 0.041
(Desai et al., 2021, https://arxiv.org/abs/2111.08095)."""


def heartbeats(data: Path, seeds: int) -> None:
    beats = np.load(data / "ecg5000.npz")
    train, test = beats["x_train"], beats["x_test"]
    normal, abnormal = beats["y_train"] == 1, beats["y_test"] != 1
    rows = []
    for seed in range(seeds):
        began = time.perf_counter()
        model = isthmus.VAE(data="series", random_state=seed).fit(train[normal])
        seconds = time.perf_counter() - began
        area = roc_auc_score(abnormal, -model.score_samples(test))
        mixed, marked = _mixed(train, beats["y_train"] != 1, test, abnormal, seed)
        unseen = isthmus.VAE(data="series", random_state=seed).fit(mixed)
        rows.append([area, roc_auc_score(marked, -unseen.score_samples(mixed)), seconds])
    shown = [[f"seed {seed}", f"{a:.4f}", f"{b:.4f}", f"{s:.0f} s"] for seed, (a, b, s) in enumerate(rows)]
    means = np.mean(rows, axis=0)
    shown.append(["mean", f"{means[0]:.4f}", f"{means[1]:.4f}", f"{means[2]:.0f} s"])
    title = f"ECG5000, area under the ROC curve; fitted to {normal.sum()} normal beats, or to beats 40% abnormal"
    print(table(title, ["", "normal only (goal 0.985)", "40% abnormal, labels unseen", "fit"], shown))


def _mixed(
    train: np.ndarray, train_abnormal: np.ndarray, test: np.ndarray, test_abnormal: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """All normal beats and as many abnormal ones as are 40% of the whole, in random order; and which those are."""
    beats, abnormal = np.concatenate([train, test]), np.concatenate([train_abnormal, test_abnormal])
    rng = np.random.default_rng(seed)
    usual, unusual = np.flatnonzero(~abnormal), np.flatnonzero(abnormal)
    wanted = min(len(unusual), round(len(usual) * ABNORMAL_SHARE / (1 - ABNORMAL_SHARE)))
    kept = rng.permutation(np.concatenate([usual, rng.choice(unusual, wanted, replace=False)]))
    return beats[kept], abnormal[kept]


def sines_of_the_code(rows: int, rng: np.random.Generator) -> np.ndarray:
    rate, phase = rng.uniform(0, 0.1, (2, rows, 1, CHANNELS))
    return ((np.sin(rate * np.arange(STEPS)[:, None] + phase) + 1) / 2).astype(np.float32)


def sines_of_the_paper(rows: int, rng: np.random.Generator) -> np.ndarray:
    rate, phase = rng.uniform(0, 1, (rows, 1, CHANNELS)), rng.uniform(-np.pi, np.pi, (rows, 1, CHANNELS))
    return ((np.sin(2 * np.pi * rate * np.arange(STEPS)[:, None] + phase) + 1) / 2).astype(np.float32)


SINES: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "code": sines_of_the_code,
    "paper": sines_of_the_paper,
}


def discriminative_score(real: np.ndarray, generated: np.ndarray, seed: int) -> float:
    """|accuracy − ½| of a classifier on rows that it was not trained on."""
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(np.concatenate([real, generated]))
    y = torch.cat([torch.ones(len(real)), torch.zeros(len(generated))])
    order = torch.from_numpy(rng.permutation(len(x)))
    learned, held_out = order[: int(0.8 * len(x))], order[int(0.8 * len(x)) :]
    torch.manual_seed(seed)
    recurrent = nn.GRU(x.shape[2], CLASSIFIER_UNITS, num_layers=2, batch_first=True)
    out = nn.Linear(CLASSIFIER_UNITS, 1)
    optimiser = torch.optim.Adam([*recurrent.parameters(), *out.parameters()], lr=1e-3)

    def logits(rows: torch.Tensor) -> torch.Tensor:
        return out(recurrent(rows)[1][-1]).squeeze(-1)

    for _ in range(CLASSIFIER_STEPS):
        batch = learned[torch.from_numpy(rng.integers(0, len(learned), CLASSIFIER_BATCH))]
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(logits(x[batch]), y[batch]).backward()
        optimiser.step()
    with torch.no_grad():
        right = (logits(x[held_out]) > 0) == (y[held_out] > 0.5)
    return abs(float(right.float().mean()) - 0.5)


def sines(kind: str, rows: int, runs: int) -> None:
    shown, scores = [], []
    for seed in range(runs):
        made = SINES[kind](3 * rows, np.random.default_rng(seed))
        began = time.perf_counter()
        model = isthmus.VAE(data="series", latent_dim=12, prior="flow_matching", random_state=seed).fit(made[:rows])
        seconds = time.perf_counter() - began
        generated = model.sample(rows, random_state=seed).astype(np.float32)
        score, floor = (discriminative_score(made[rows : 2 * rows], x, seed) for x in (generated, made[2 * rows :]))
        scores.append(score)
        shown.append([f"seed {seed}", f"{score:.3f}", f"{floor:.3f}", f"{seconds:.0f} s"])
        print(*shown[-1], flush=True)
    shown.append(["mean ± sd", f"{np.mean(scores):.3f} ± {np.std(scores):.3f}", "", ""])
    title = f"Sines as TimeGAN's {kind} makes them, {rows:,} rows of {STEPS} steps and {CHANNELS} channels"
    print(table(title, ["", "discriminative score (goal 0.05)", "real against real", "fit"], shown))
    print("\n" + LITERATURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds ecg5000.npz")
    parser.add_argument("--only", choices=["ecg", "sines"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000, help="sines to learn from")
    parser.add_argument("--sines", choices=[*SINES], default="code")
    arguments = parser.parse_args()
    print(description("isthmus", "torch", "scikit-learn") + "\n")
    if arguments.only != "sines":
        if arguments.data is None:
            parser.error("--data: give the folder that holds ecg5000.npz, or --only sines")
        heartbeats(arguments.data, arguments.seeds)
        print()
    if arguments.only != "ecg":
        sines(arguments.sines, arguments.rows, arguments.seeds)


if __name__ == "__main__":
    main()
