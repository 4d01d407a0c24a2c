"""How fast a VAE trains: isthmus beside Pythae, Keras, JAX and the usual PyTorch loop.

    python benchmarks/speed.py --data DIR [--network dense|convolutional|both] [--repeats 5] [--only isthmus,jax]

All see the same 0/1 pixels, train the same network with Adam at the same rate and batch size, on the same number of
cores, each in a process and an environment of its own (`make bench-peers`). README.md beside this file says more.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contenders import CONTENDERS, Answer, Contender, SkippedError, run
from machine import Others, description, wait_for_calm
from rounds import Rounds, Spread, steady_rate, turns
from tables import shown, table

OURS = "isthmus"
ENVIRONMENTS = Path(__file__).parent.parent / ".bench"
# Rows and epochs of a measurement: enough that an epoch is long beside the clock's grain and the machine's hiccups.
ROWS = {"dense": 59_904, "convolutional": 6_400}
EPOCHS = {"dense": 4, "convolutional": 3}
# A test −ELBO in nats, of pixels cut at one half, that every contender reaches within a few epochs of these rows.
GOALS = {"dense": 95.0, "convolutional": 130.0}
MOST_EPOCHS_TO_GOAL = 30
# A contender this much slower than isthmus is measured once: five of its rounds would be most of the hour.
HOPELESS = 10
MOST_TRIES = 3
RATE_COLUMNS = [
    "contender",
    "rows/s",
    "µs a step",
    "isthmus is faster by",
    "first epoch, s",
    "peak memory, MB",
    "test −ELBO",
    "others' share of the cores",
    "versions",
]
THRESHOLD = 127  # grey values above are white


def main() -> None:
    given = arguments()
    contenders = [contender for contender in CONTENDERS if given.only is None or contender.name in given.only]
    networks = ["dense", "convolutional"] if given.network == "both" else [given.network]
    print(f"Machine: {description('isthmus', 'torch')}; {given.threads} threads, device {given.device}")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for network in networks:
            pixels = Path(folder) / f"{network}.npz"
            write_pixels(given.data, pixels, whole_batches(given.rows or ROWS[network], given.batch))
            rates, left = measure_rates(contenders, network, pixels, given)
            print(rate_table(rates, network, given))
            goals = Rounds[Answer]()
            if given.goal_repeats:
                goals, _ = measure_time_to_goal(left, network, pixels, given)
                print(goal_table(goals, network, given))
            results[network] = {"rates": rates.results, "time to goal": goals.results}
    if given.out is not None:
        given.out.write_text(json.dumps(results, indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mnist.npz")
    parser.add_argument("--network", choices=["dense", "convolutional", "both"], default="both")
    parser.add_argument("--only", type=lambda names: names.split(","), help="names of contenders, with commas")
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which rates are measured")
    parser.add_argument("--epochs", type=int, help=f"epochs of a measurement (default: {EPOCHS})")
    parser.add_argument("--rows", type=int, help=f"training rows (default: {ROWS})")
    parser.add_argument("--batch", type=int, default=128, help="rows a step")
    parser.add_argument("--goal", type=float, help=f"test −ELBO in nats whose time is measured (default: {GOALS})")
    parser.add_argument("--goal-repeats", type=int, default=1, help="rounds of that; 0 leaves it out")
    parser.add_argument("--threads", type=int, default=2, help="cores that each contender gets")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--calm", type=float, default=0.1, help="others' share of the cores above which to wait, and to measure again"
    )
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="folder of the peers' environments")
    parser.add_argument("--out", type=Path, help="write every answer to this JSON file")
    given = parser.parse_args()
    known = [contender.name for contender in CONTENDERS]
    unknown = set(given.only or known) - set(known)
    if unknown:
        parser.error(f"--only: no contender {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return given


def write_pixels(data: Path, target: Path, rows: int) -> None:
    """MNIST, black or white, flattened, once for all contenders."""
    with np.load(data / "mnist.npz") as arrays:
        train, test = (
            (arrays[name] > THRESHOLD).astype(np.uint8).reshape(len(arrays[name]), -1) for name in ("x_train", "x_test")
        )
    np.savez(target, train=train[:rows], test=test)


def whole_batches(rows: int, batch: int) -> int:
    """The rows of the batches that are full: libraries differ in what they do with the rest."""
    return max(1, rows // batch) * batch


def measure_rates(
    contenders: Sequence[Contender], network: str, pixels: Path, given: argparse.Namespace
) -> tuple[Rounds[Answer], list[Contender]]:
    """Every contender once a round, for a few epochs."""
    epochs = given.epochs or EPOCHS[network]
    return measured(contenders, given.repeats, [*common(network, pixels, given), "--epochs", str(epochs)], given)


def measure_time_to_goal(
    contenders: Sequence[Contender], network: str, pixels: Path, given: argparse.Namespace
) -> tuple[Rounds[Answer], list[Contender]]:
    """Every contender until the test −ELBO is low enough; the test images are part of every epoch here."""
    goal = given.goal or GOALS[network]
    asked = [*common(network, pixels, given), "--epochs", str(MOST_EPOCHS_TO_GOAL), "--goal", str(goal)]
    return measured(contenders, given.goal_repeats, asked, given)


def common(network: str, pixels: Path, given: argparse.Namespace) -> list[str]:
    settings = {
        "pixels": pixels,
        "network": network,
        "batch": given.batch,
        "threads": given.threads,
        "device": given.device,
    }
    return [argument for name, value in settings.items() for argument in (f"--{name}", str(value))]


def measured(
    contenders: Sequence[Contender], repeats: int, asked: Sequence[str], given: argparse.Namespace
) -> tuple[Rounds[Answer], list[Contender]]:
    """Rounds in which every contender runs once, and who is left at the end: who fails or is hopelessly slow is not."""
    by_name = {contender.name: contender for contender in contenders}
    rounds, out = Rounds[Answer](), set[str]()
    for number, name in turns(list(by_name), repeats):
        if number == 1:
            out |= hopeless(rounds, out)
        if name in out:
            continue
        try:
            answer = calm_run(by_name[name], [*asked, "--seed", str(number)], given)
        except SkippedError as reason:
            print(f"{name} is skipped: {reason}", flush=True)
            out.add(name)
            continue
        rounds.note(name, number, answer)
        print(f"round {number + 1} of {repeats}: {name} {rate(answer):,.0f} rows/s", file=sys.stderr, flush=True)
    return rounds, [contender for contender in contenders if contender.name not in out]


def calm_run(contender: Contender, asked: Sequence[str], given: argparse.Namespace) -> Answer:
    """Run a contender; again, a few times at most, where other programs took more of the cores than is allowed."""
    calmest: Answer | None = None
    for _ in range(MOST_TRIES):
        wait_for_calm(given.calm)
        began, others = time.perf_counter(), Others()
        answer = run(contender, asked, given.environments, given.threads, given.device)
        answer["program_seconds"], answer["others"] = time.perf_counter() - began, others.share()
        if calmest is None or answer["others"] < calmest["others"]:
            calmest = answer
        if calmest["others"] <= given.calm:
            break
        print(f"{contender.name}: others took {answer['others']:.0%} of the cores", file=sys.stderr, flush=True)
    assert calmest is not None
    return calmest


def hopeless(rounds: Rounds[Answer], out: set[str]) -> set[str]:
    """Those that the first round has shown to be too slow to be repeated."""
    if OURS not in rounds.results:
        return set()
    ours = rounds.spread(OURS, rate).median
    slow = {name for name in rounds.results if name not in out and rounds.spread(name, rate).median * HOPELESS < ours}
    for name in sorted(slow):
        print(f"{name} is measured once: more than {HOPELESS} times slower than {OURS}", flush=True)
    return slow


def rate(answer: Answer) -> float:
    return steady_rate(answer["rows_per_second"])


def rate_table(rounds: Rounds[Answer], network: str, given: argparse.Namespace) -> str:
    """The contenders in the order in which they are declared."""
    rows = []
    for name in ordered(rounds):
        speeds = rounds.spread(name, rate)
        versions = next(iter(rounds.results[name].values()))["versions"]
        rows.append(
            [
                name,
                shown(speeds, "{:,.0f}"),
                f"{given.batch / speeds.median * 1e6:,.0f}",
                shown(rounds.ratios(OURS, name, rate) if name != OURS else None, "{:.2f}×"),
                f"{rounds.spread(name, lambda answer: answer['epoch_seconds'][0]).median:.1f}",
                f"{rounds.spread(name, lambda answer: answer['peak_memory'] / 1e6).median:,.0f}",
                f"{rounds.spread(name, lambda answer: answer['negative_elbo'][-1]).median:.1f}",
                f"{rounds.spread(name, lambda answer: answer['others']).median:.0%}",
                ", ".join(f"{package} {number}" for package, number in versions.items()),
            ]
        )
    title = f"Rates, {network} network, batches of {given.batch}, {given.repeats} rounds: median (least … greatest)"
    return table(
        title,
        RATE_COLUMNS,
        rows,
    )


def goal_table(rounds: Rounds[Answer], network: str, given: argparse.Namespace) -> str:
    """The times to the goal; who never reached it says where it ended."""
    rows = []
    for name in ordered(rounds):
        answers = list(rounds.results[name].values())
        if any(answer["seconds_to_goal"] is None for answer in answers):
            best = min(min(answer["negative_elbo"]) for answer in answers)
            rows.append([name, f"not in {MOST_EPOCHS_TO_GOAL} epochs: {best:.1f} nats", "–", "–", "–"])
            continue
        rows.append(
            [
                name,
                shown(rounds.spread(name, to_goal), "{:.1f}"),
                f"{rounds.spread(name, lambda answer: len(answer['epoch_seconds'])).median:g}",
                shown(sooner(rounds, name), "{:.2f}×"),
                f"{rounds.spread(name, lambda answer: answer['program_seconds']).median:.0f}",
            ]
        )
    title = (
        f"Time to a test −ELBO of {given.goal or GOALS[network]:g} nats, {network} network, batches of {given.batch}, "
        f"rounds: {given.goal_repeats}; compilation and the test after each epoch are part of it"
    )
    return table(title, ["contender", "seconds", "epochs", "isthmus is sooner by", "the whole program, s"], rows)


def to_goal(answer: Answer) -> float:
    return answer["seconds_to_goal"]


def sooner(rounds: Rounds[Answer], name: str) -> Spread | None:
    """How many times isthmus' seconds the other took; None for itself, and where isthmus did not get there."""
    ours: list[Any] = list(rounds.results.get(OURS, {}).values())
    if name == OURS or any(answer["seconds_to_goal"] is None for answer in ours):
        return None
    return rounds.ratios(name, OURS, to_goal)


def ordered(rounds: Rounds[Answer]) -> list[str]:
    return [contender.name for contender in CONTENDERS if contender.name in rounds.results]


if __name__ == "__main__":
    main()
