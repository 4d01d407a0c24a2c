"""How time and memory grow: with rows, with features, and with models in a sweep.

    python benchmarks/growth.py [--ladder rows,features,models] [--most 10000000]

Every point is a process of its own, so that its peak of memory is its own. The data are random numbers.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from machine import Others, description, wait_for_calm
from peers.contract import peak_memory
from tables import table

LADDERS = {
    "rows": [10**power for power in range(3, 8)],
    "features": [10**power for power in range(1, 5)],
    "models": [2**power for power in range(8)],
}
TITLES = {
    "rows": "Growth with rows: fit of a VAE 10-64-8, batches of 1,024, one epoch",
    "features": "Growth with features: fit of a VAE features-64-8 to 2,000 rows, batches of 128, one epoch",
    "models": "Growth with models in a sweep: VAEs 64-128-8, 1,797 rows, batches of 128, ten epochs",
}
LONGEST_SECONDS = 1800

Point = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ladder", type=lambda names: names.split(","), default=list(LADDERS), help=f"of {[*LADDERS]}")
    parser.add_argument("--most", type=int, help="the highest step of every ladder")
    parser.add_argument("--calm", type=float, default=0.1, help="others' share of the cores above which to wait first")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)  # what a child process is asked for
    given = parser.parse_args()
    if given.point is not None:
        print(json.dumps(measured(given.point[0], int(given.point[1]))))
        return
    unknown = set(given.ladder) - set(LADDERS)
    if unknown:
        parser.error(f"--ladder: no {', '.join(sorted(unknown))}; there are {', '.join(LADDERS)}")
    print(f"Machine: {description('isthmus', 'torch')}")
    for name in given.ladder:
        print(climbed(name, given.most, given.calm), flush=True)


def climbed(name: str, most: int | None, calm: float) -> str:
    """The table of one ladder, up to `most` or to the first step that fails."""
    rows, word = [], ""
    for size in LADDERS[name]:
        if most is not None and size > most:
            break
        wait_for_calm(calm)
        others = Others()
        point, word = in_own_process(name, size)
        if point is None:
            break
        rows.append(
            [
                f"{size:,}",
                f"{point['seconds']:.2f}",
                f"{point['seconds'] / size * 1e6:,.0f}",
                f"{point['peak_memory'] / 1e6:,.0f}",
                f"{point['data'] / 1e6:,.1f}",
                f"{others.share():.0%}",
            ]
        )
    columns = [
        name,
        "seconds",
        f"µs for each of the {name}",
        "peak memory, MB",
        "data, MB",
        "others' share of the cores",
    ]
    return (table(TITLES[name], columns, rows) if rows else "") + (f"\n\n{word}" if word else "")


def in_own_process(name: str, size: int) -> tuple[Point | None, str]:
    """A point, or why there is none."""
    command = [sys.executable, __file__, "--point", name, str(size)]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        return None, f"{name}, {size:,}: not done after {LONGEST_SECONDS} s"
    if finished.returncode == 0:
        return json.loads(finished.stdout.strip().splitlines()[-1]), ""
    last = finished.stderr.strip().splitlines()[-1:] or [f"ended with status {finished.returncode}"]
    return None, f"{name}, {size:,}: {last[0]}"


def measured(name: str, size: int) -> Point:
    """Seconds of one fit, everything that is imported or made before it left out of them; memory with everything."""
    prepare = {"rows": with_rows, "features": with_features, "models": with_models}[name]
    fit, data = prepare(size)
    began = time.perf_counter()
    fit()
    return {"seconds": time.perf_counter() - began, "peak_memory": peak_memory(), "data": data}


def with_rows(rows: int) -> tuple[Callable[[], object], int]:
    return one_fit(numbers(rows, 10), batch_size=1024)


def with_features(features: int) -> tuple[Callable[[], object], int]:
    return one_fit(numbers(2_000, features), batch_size=128)


def one_fit(data: np.ndarray, batch_size: int) -> tuple[Callable[[], object], int]:
    """What is measured, and the bytes of the data."""
    import isthmus

    vae = isthmus.VAE(8, hidden=(64,), epochs=1, batch_size=batch_size, validation_fraction=0, random_state=0)
    return lambda: vae.fit(data), data.nbytes


def with_models(models: int) -> tuple[Callable[[], object], int]:
    """Many models of one family in one step: other seeds and learning rates, else alike."""
    import torch
    from sklearn.datasets import load_digits

    from isthmus.domains.image import Image
    from isthmus.estimator.fitting import Fitting
    from isthmus.estimator.public import public_class
    from isthmus.training.run import Plan
    from isthmus.training.sweep import sweep
    from isthmus.variants.vae import VAE

    images = load_digits().images.astype("uint8")
    domain = Image.fit(images)
    x = domain.tensors(images)
    shared, own = public_class("vae")(8, hidden=(128,))._options()
    made = [Fitting(VAE, domain, shared, own, seed, torch.device("cpu")).build(8) for seed in range(models)]
    plans = [Plan(10, 128, 1e-3 * (1 + place % 4), seed=place) for place in range(models)]
    return lambda: sweep(made, x, None, plans, domain.draw), x.nbytes


def numbers(rows: int, features: int) -> np.ndarray:
    """Standard normal, float32, mixed from four hidden numbers a row so that there is something to learn."""
    generator = np.random.default_rng(0)
    loadings = generator.standard_normal((4, features), dtype=np.float32) / 2
    data = generator.standard_normal((rows, 4), dtype=np.float32) @ loadings
    data += generator.standard_normal(data.shape, dtype=np.float32)
    return data


if __name__ == "__main__":
    main()
