"""Outliers in real tables, unsupervised: the detector beside PyOD's, area under the ROC curve and average precision.

`--data` holds sets of ADBench (Han et al., 2022, https://github.com/Minqi824/ADBench) as `.npz` files with `X` and `y`
(1 for outliers). A random 60% of all rows is fitted, outliers included, labels unseen; the other 40% is scored. Every
contender has one setting for all sets: its defaults. PyOD is measured if it is in .bench/anomaly: see the README.
A run can be ended at any time: what was measured stands in the file that `--keep` names, and is not measured again.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def measured(contender: Callable, file: Path, seed: int) -> dict[str, float]:
    """One contender on one split of one set."""
    data = np.load(file)
    rows, labels = data["X"].astype(np.float64), data["y"].astype(int)
    order = np.random.default_rng(seed).permutation(len(rows))
    fitted, scored = np.split(order, [round(FITTED * len(rows))])
    learned, held_out = standardised(rows[fitted], rows[scored])
    began = time.perf_counter()
    score, flagged = contender(learned, seed)
    seconds = time.perf_counter() - began
    scores = score(held_out)
    found = {
        "auroc": roc_auc_score(labels[scored], scores),
        "precision": average_precision_score(labels[scored], scores),
        "seconds": seconds,
    }
    if flagged is not None:
        found["alarms"] = flagged(held_out)[labels[scored] == 0].mean()
    return {name: float(value) for name, value in found.items()}


def kept(path: Path | None) -> list[dict[str, Any]]:
    """What earlier runs measured, one JSON object a line."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_set(results: list[dict[str, Any]], sets: list[str], names: list[str], measure: str) -> list[list[str]]:
    """Mean ± deviation over splits for each set, and the mean of the sets ± the deviation of that mean over splits."""

    def told(values: list[float]) -> str:
        if not values:
            return "–"
        spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
        return f"{np.mean(values):.3f}{spread}"

    def values(name: str, own: str) -> dict[int, float]:
        return {r["seed"]: r[measure] for r in results if r["name"] == name and r["set"] == own}

    lines = [[own, *(told(list(values(name, own).values())) for name in names)] for own in sets]
    means = []
    for name in names:
        found = [values(name, own) for own in sets]
        whole = set.intersection(*(set(each) for each in found))  # splits of which every set was measured
        means.append(told([float(np.mean([each[seed] for each in found])) for seed in sorted(whole)]))
    return [*lines, ["mean", *means]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of .npz files with X and y")
    parser.add_argument("--seeds", type=int, default=10, help="splits (10)")
    parser.add_argument("--sets", default="", help="names of sets, with commas between (all)")
    parser.add_argument("--only", default="", help="contenders, with commas between (all)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where results are kept, and found by the next run")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    files = sorted(arguments.data.glob("*.npz"))
    if arguments.sets:
        files = [file for file in files if file.stem in arguments.sets.split(",")]
    everyone = contenders()
    names = arguments.only.split(",") if arguments.only else list(everyone)
    results = kept(arguments.keep)
    done = {(result["name"], result["set"], result["seed"]) for result in results}
    # All sets of one split before the next: a run that is ended early has means over all sets.
    for seed in range(arguments.seeds):
        for file in files:
            for name in names:
                if (name, file.stem, seed) in done:
                    continue
                result = {"name": name, "set": file.stem, "seed": seed} | measured(everyone[name], file, seed)
                results.append(result)
                if arguments.keep is not None:
                    with arguments.keep.open("a", encoding="utf-8") as opened:
                        opened.write(json.dumps(result) + "\n")
                print(f"{file.stem}, split {seed}: {name} {result['auroc']:.3f}", file=sys.stderr, flush=True)
    print(description("isthmus", "torch", "scikit-learn", "pyod"))
    sets = [file.stem for file in files]
    results = [result for result in results if result["seed"] < arguments.seeds and result["set"] in sets]
    for measure, title in (("auroc", "Area under the ROC curve"), ("precision", "Average precision")):
        print(table(f"{title}, mean ± deviation over splits", ["set", *names], by_set(results, sets, names, measure)))
    lines = []
    for name in names:
        own = [result for result in results if result["name"] == name]
        splits = len({result["seed"] for result in own})
        seconds = [result["seconds"] for result in own]
        lines.append([name, str(splits), f"{np.median(seconds):.1f}", f"{max(seconds):.1f}"])
    print(table("Splits, and seconds to fit", ["", "splits", "median", "longest"], lines))
    alarms = [result["alarms"] for result in results if "alarms" in result]
    if alarms:
        print(f"\nAlarms on usual rows of the scored 40%, stated at most 5%: {np.mean(alarms):.1%} (mean)")


if __name__ == "__main__":
    main()
