"""How fast a fitted model works, beside the matrix products alone that it cannot do without; and how fast it starts.

    python benchmarks/inference.py [--rows 20000] [--repeats 5] [--threads 2] [--device cpu]

A VAE 784-400-20-400-784 over random black-and-white images: what they show does not matter, so no data is needed.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import isthmus
from isthmus.estimator import inference
from machine import Others, description, wait_for_calm
from rounds import Rounds, Spread
from tables import shown, table

SIDE, HIDDEN, LATENT_DIM = 28, 400, 20
FITTED_ROWS = 2_000
DRAWS = 16  # codes drawn for each row that is scored
ENCODE_GOAL, IMPORT_GOAL = 0.7, 0.15
IMPORT = "import time; began = time.perf_counter(); import isthmus; print(time.perf_counter() - began)"

Layers = list[tuple[int, int]]


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    print(f"Machine: {description('isthmus', 'torch')}; {given.threads} threads, device {given.device}")
    others = Others()
    print(rate_table(measured_rates(given), given))
    print(start_table(given))
    print(f"\nOther programs took {others.share():.0%} of the cores meanwhile.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000, help="rows encoded, decoded, scored and sampled")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--calm", type=float, default=0.1, help="others' share of the cores above which to wait first")
    return parser.parse_args()


def measured_rates(given: argparse.Namespace) -> Rounds[float]:
    """Rows per second of each job and of its products, in turn."""
    jobs = {**work(given), **products(given)}
    for do in jobs.values():  # once without a clock: memory is asked for, threads are started
        do()
    rounds = Rounds[float]()
    for number in range(given.repeats):
        wait_for_calm(given.calm)
        for name, do in jobs.items():
            rounds.note(name, number, given.rows / seconds(do, given.device))
    return rounds


def work(given: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """What a user calls, on arrays, and the same on tensors for those who hold them already."""
    images = np.random.default_rng(0).integers(0, 2, (given.rows, SIDE, SIDE), dtype=np.uint8)
    vae = isthmus.VAE(LATENT_DIM, hidden=(HIDDEN,), epochs=1, device=given.device, random_state=0)
    vae.fit(images[:FITTED_ROWS])
    codes = vae.transform(images)
    x, z = vae.domain_.tensors(images), torch.from_numpy(codes).float()
    return {
        "transform": lambda: vae.transform(images),
        "encode_tensors": lambda: vae.encode_tensors(x),
        "inverse_transform": lambda: vae.inverse_transform(codes),
        "decode_tensors": lambda: vae.decode_tensors(z),
        "score_samples": lambda: vae.score_samples(images, draws=DRAWS),
        "sample": lambda: vae.sample(given.rows),
    }


ENCODER: Layers = [(SIDE * SIDE, HIDDEN), (HIDDEN, 2 * LATENT_DIM)]
DECODER: Layers = [(LATENT_DIM, HIDDEN), (HIDDEN, SIDE * SIDE)]
# Of each job: its products.
NEEDS = {
    "transform": "encoder",
    "encode_tensors": "encoder",
    "inverse_transform": "decoder",
    "decode_tensors": "decoder",
    "score_samples": "scoring",
    "sample": "decoder",
}


def products(given: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """The matrix products of the encoder, of the decoder and of scoring, in the batches that inference takes."""
    batch, scored = inference.BATCH, inference.SCORING_BATCH
    encoder, decoder = (layers_alone(layers, batch, given.device) for layers in (ENCODER, DECODER))
    scored_encoder = layers_alone(ENCODER, scored, given.device)
    scored_decoder = layers_alone(DECODER, scored * DRAWS, given.device)

    def scoring() -> None:
        scored_encoder()
        scored_decoder()

    parts = {"encoder": (encoder, batch), "decoder": (decoder, batch), "scoring": (scoring, scored)}
    return {
        f"{name}, {precision}": repeated(do, -(-given.rows // size), precision)
        for name, (do, size) in parts.items()
        for precision in ("highest", "medium")
    }


def layers_alone(layers: Layers, batch: int, device: str) -> Callable[[], None]:
    """One batch's products, into memory that is there already."""
    made = [
        (torch.randn(batch, inputs, device=device), torch.randn(outputs, inputs, device=device).T)
        for inputs, outputs in layers
    ]
    results = [torch.empty(batch, outputs, device=device) for _, outputs in layers]

    def do() -> None:
        for (x, weights), result in zip(made, results, strict=True):
            torch.mm(x, weights, out=result)

    return do


@torch.no_grad()
def seconds(do: Callable[[], object], device: str) -> float:
    """How long it takes, until the device is done."""
    began = time.perf_counter()
    do()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def repeated(do: Callable[[], None], times: int, precision: str) -> Callable[[], None]:
    """`do` for every batch, with PyTorch's float32 products at this precision."""

    def all_batches() -> None:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(precision)
        for _ in range(times):
            do()
        torch.set_float32_matmul_precision(before)

    return all_batches


def rate_table(rounds: Rounds[float], given: argparse.Namespace) -> str:
    """Rates, and what share each is of the faster of its products' two rates."""
    rows = []
    for name, need in NEEDS.items():
        alone = max(("highest", "medium"), key=lambda precision: rounds.spread(f"{need}, {precision}", float).median)
        goal = f"≥ {ENCODE_GOAL:.0%}" if need == "encoder" else "–"
        rows.append(
            [
                name,
                shown(rounds.spread(name, float), "{:,.0f}"),
                shown(rounds.spread(f"{need}, {alone}", float), "{:,.0f}"),
                alone,
                shown(rounds.ratios(name, f"{need}, {alone}", float), "{:.0%}"),
                goal,
            ]
        )
    title = f"Inference, {given.rows:,} rows, {given.repeats} rounds: median (least … greatest)"
    return table(title, ["call", "rows/s", "its products alone, rows/s", "their precision", "share", "goal"], rows)


def start_table(given: argparse.Namespace) -> str:
    """How long a program waits before it can begin."""
    imports, helps = [], []
    wait_for_calm(given.calm)
    for _ in range(given.repeats):
        imports.append(float(output([sys.executable, "-c", IMPORT])))
        began = time.perf_counter()
        output([sys.executable, "-m", "isthmus", "--help"])
        helps.append(time.perf_counter() - began)
    rows = [
        ["import isthmus", shown(Spread.of(imports), "{:.3f}"), f"< {IMPORT_GOAL}"],
        ["isthmus --help, the whole program", shown(Spread.of(helps), "{:.3f}"), "–"],
    ]
    return table(f"Start, {given.repeats} times: median (least … greatest)", ["what", "seconds", "goal"], rows)


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
