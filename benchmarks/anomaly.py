"""Outliers in real tables, unsupervised: the detector beside PyOD's, area under the ROC curve and average precision.

`--data` holds sets of ADBench (Han et al., 2022, https://github.com/Minqi824/ADBench) as `.npz` files with `X` and `y`
(1 for outliers). A random 60% of all rows is fitted, outliers included, labels unseen; the other 40% is scored. Every
contender has one setting for all sets: its defaults. PyOD is measured if it is in .bench/anomaly: see the README.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

import isthmus
from machine import description
from tables import table

PEERS = Path(__file__).parents[1] / ".bench" / "anomaly"
FITTED = 0.6
Score = Callable[[np.ndarray], np.ndarray]  # rows → scores, higher is more anomalous


def detector(rows: np.ndarray, seed: int) -> tuple[Score, Score]:
    """The scores, and which rows are called outliers."""
    fitted = isthmus.Detector(random_state=seed).fit(rows)
    return lambda x: -fitted.score_samples(x), lambda x: fitted.predict(x) == -1


def forest(rows: np.ndarray, seed: int) -> tuple[Score, None]:
    """scikit-learn's isolation forest, which is PyOD's too."""
    fitted = IsolationForest(random_state=seed).fit(rows)
    return lambda x: -fitted.score_samples(x), None


def of_pyod(module: str, name: str, seeded: bool) -> Callable[[np.ndarray, int], tuple[Score, None]]:
    """A detector of PyOD with its defaults."""

    def fit(rows: np.ndarray, seed: int) -> tuple[Score, None]:
        kind = getattr(__import__(f"pyod.models.{module}", fromlist=[name]), name)
        fitted = kind(**({"random_state": seed} if seeded else {}))
        fitted.fit(rows)
        return fitted.decision_function, None

    return fit


def contenders() -> dict[str, Callable]:
    found: dict[str, Callable] = {"isthmus.Detector": detector, "IForest": forest}
    if PEERS.exists():
        sys.path.append(str(PEERS))
        found |= {
            "PyOD INNE": of_pyod("inne", "INNE", True),
            "PyOD PCA": of_pyod("pca", "PCA", True),
            "PyOD ECOD": of_pyod("ecod", "ECOD", False),
            "PyOD AE": of_pyod("auto_encoder", "AutoEncoder", True),
            "PyOD VAE": of_pyod("vae", "VAE", True),
        }
    return found


def standardised(learned: np.ndarray, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the mean and deviation of the fitted rows, as PyOD's benchmark does; constant columns are left out."""
    varied = learned.std(0) > 0
    mean, deviation = learned[:, varied].mean(0), learned[:, varied].std(0)
    return (learned[:, varied] - mean) / deviation, (scored[:, varied] - mean) / deviation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of .npz files with X and y")
    parser.add_argument("--seeds", type=int, default=10, help="splits (10)")
    parser.add_argument("--sets", default="", help="names of sets, with commas between (all)")
    parser.add_argument("--only", default="", help="contenders, with commas between (all)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    files = sorted(arguments.data.glob("*.npz"))
    if arguments.sets:
        files = [file for file in files if file.stem in arguments.sets.split(",")]
    everyone = contenders()
    names = arguments.only.split(",") if arguments.only else list(everyone)
    print(description("isthmus", "torch", "scikit-learn", "pyod"))
    found: dict[str, dict[str, list[tuple[float, float]]]] = {name: {} for name in names}
    seconds, alarms = {name: [] for name in names}, []
    for file in files:
        data = np.load(file)
        rows, labels = data["X"].astype(np.float64), data["y"].astype(int)
        for seed in range(arguments.seeds):
            order = np.random.default_rng(seed).permutation(len(rows))
            fitted, scored = np.split(order, [round(FITTED * len(rows))])
            learned, held_out = standardised(rows[fitted], rows[scored])
            for name in names:
                began = time.perf_counter()
                score, flagged = everyone[name](learned, seed)
                seconds[name].append(time.perf_counter() - began)
                scores = score(held_out)
                measured = roc_auc_score(labels[scored], scores), average_precision_score(labels[scored], scores)
                found[name].setdefault(file.stem, []).append(measured)
                if flagged is not None:
                    alarms.append(flagged(held_out)[labels[scored] == 0].mean())
        told = ", ".join(f"{name} {np.mean(found[name][file.stem], axis=0)[0]:.3f}" for name in names)
        print(f"{file.stem}: {told}", file=sys.stderr, flush=True)
    for place, title in enumerate(("Area under the ROC curve", "Average precision")):
        lines = [
            [file.stem, *(f"{np.mean([one[place] for one in found[name][file.stem]]):.3f}" for name in names)]
            for file in files
        ]
        means = {name: [np.mean([one[place] for one in found[name][file.stem]]) for file in files] for name in names}
        lines.append(["mean", *(f"{np.mean(means[name]):.3f}" for name in names)])
        print(table(f"{title}, mean of {arguments.seeds} splits", ["set", *names], lines))
    lines = [[name, f"{np.median(seconds[name]):.1f}", f"{max(seconds[name]):.1f}"] for name in names]
    print(table("Seconds to fit", ["", "median", "longest"], lines))
    if alarms:
        print(f"\nAlarms on usual rows of the scored 40%, stated at most 5%: {np.mean(alarms):.1%} (mean)")


if __name__ == "__main__":
    main()
