"""Images: many sizes in one fit, and which network suits images of one size.

Sizes (needs no data): pictures of 17×31 to 500×375 pixels, cut out of the two photographs that scikit-learn brings, are
written as a folder with one file that is damaged; a process of its own reads, fits, scores, reconstructs and generates,
and says how long each took and how much memory it ever held.

Networks: dense, convolutional and residual ones of a VAE with 32 units, on MNIST (`mnist.npz` in `--data`), on patches
of the photographs (learned from the left two thirds, measured on the right third) and on whatever else is given:
`--images NAME.npz:KEY` splits those at random. Each takes `--steps` steps; what is measured is the bound on the
log-probability of test images, in bits per value of a pixel.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import isthmus
from isthmus.files.reading import read
from machine import description
from tables import table

SMALLEST, LARGEST = (17, 31), (500, 375)
NETWORKS = ("dense", "convolutional", "residual")
UNITS, TEST_IMAGES, PATCH, PATCHES = 32, 500, 32, 5000


@cache
def photographs() -> list[np.ndarray]:
    return load_sample_images().images


def write_pictures(folder: Path, count: int, rng: np.random.Generator) -> None:
    """Pictures of both ends' sizes and of random ones between; and a file that is no picture."""
    sources = photographs()
    sizes = [SMALLEST, LARGEST, LARGEST[::-1]]
    ends = np.log([min(SMALLEST), max(LARGEST)])
    while len(sizes) < count:
        sizes.append(tuple(np.exp(rng.uniform(*ends, 2)).astype(int).clip(1, 427).tolist()))
    for number, (height, width) in enumerate(sizes):
        source = sources[number % len(sources)]
        tall, wide = (max(side, min(most, 200)) for side, most in zip((height, width), source.shape[:2], strict=True))
        tall, wide = min(tall, source.shape[0]), min(wide, source.shape[1])
        top, left = (rng.integers(whole - part + 1) for whole, part in zip(source.shape, (tall, wide), strict=False))
        cut = Image.fromarray(source[top : top + tall, left : left + wide])
        cut.resize((width, height), Image.Resampling.BOX).save(folder / f"{number:05}.png")
    (folder / "damaged.png").write_bytes(b"no picture")


def many_sizes(folder: Path, epochs: int) -> dict[str, object]:
    """Everything that is done with such a folder, by this process alone; seconds and the most memory it held."""
    seconds, began = {}, time.perf_counter()

    def ended(what: str) -> None:
        nonlocal began
        seconds[what] = time.perf_counter() - began
        began = time.perf_counter()

    source = read(folder)
    ended("read")
    model = isthmus.VAE(epochs=epochs, patience=None, random_state=0).fit(source.rows)
    ended("fit")
    scores = model.score_samples(source.rows)
    ended("score")
    back = model.reconstruct(source.rows)
    ended("reconstruct")
    new = model.sample(len(source.rows))
    ended("generate")
    model.score_pixels(source.rows[:64])
    ended("score 64 by pixel")
    sizes = [image.shape for image in source.rows]
    return {
        "seconds": seconds,
        "notes": [*source.notes, *model.domain_.notes()],
        "own_sizes": [image.shape for image in back] == sizes,
        "finite": bool(np.isfinite(scores).all()),
        "new_sizes": len({image.shape for image in new}),
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def sizes(count: int, epochs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), count, np.random.default_rng(0))
        command = [sys.executable, __file__, "--measure", folder, "--epochs", str(epochs)]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    rows = [[what, f"{taken:.1f} s"] for what, taken in answer["seconds"].items()]
    rows.append(["peak memory (goal 4 GB)", f"{answer['peak_memory'] / 1e9:.2f} GB"])
    rows.append(["all came back in their own sizes", str(answer["own_sizes"])])
    rows.append(["sizes among the new ones", str(answer["new_sizes"])])
    print(table(f"{count:,} pictures of 17×31 to 500×375 pixels, {epochs} epochs", ["", ""], rows))
    print("\n" + "\n".join(f"note: {note}" for note in answer["notes"]) + "\n")


def patches(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Squares of the photographs, at scales from 1 to 4, in PATCH × PATCH pixels: to learn from, and to measure on."""
    parts = []
    for first, last, count in ((0.0, 2 / 3, PATCHES), (2 / 3, 1.0, TEST_IMAGES)):
        made = np.empty((count, PATCH, PATCH, 3), np.uint8)
        for place in range(count):
            source = photographs()[place % 2]
            source = source[:, int(first * source.shape[1]) : int(last * source.shape[1])]
            side = int(PATCH * np.exp(rng.uniform(0, np.log(4))))
            top, left = rng.integers(source.shape[0] - side + 1), rng.integers(source.shape[1] - side + 1)
            square = Image.fromarray(source[top : top + side, left : left + side])
            made[place] = np.asarray(square.resize((PATCH, PATCH), Image.Resampling.BOX))
        parts.append(made)
    return parts[0], parts[1]


def networks(name: str, train: np.ndarray, test: np.ndarray, steps: int, seeds: int, kinds: list[str]) -> None:
    shown = []
    values = int(np.prod(train.shape[1:]))
    epochs = max(1, round(steps * 128 / len(train)))
    for network in kinds:
        found = []
        for seed in range(seeds):
            model = isthmus.VAE(UNITS, network=network, epochs=epochs, patience=None, random_state=seed)
            began = time.process_time()
            model.fit(train)
            taken = time.process_time() - began
            bits = -float(model.score_samples(test).mean()) / values / np.log(2)
            found.append((bits, taken, model.training_["parameters"]))
            print(name, network, seed, *found[-1], file=sys.stderr, flush=True)
        bits, taken, parameters = np.mean(found, axis=0)
        shown.append([network, f"{bits:.4f}", f"{np.std([each[0] for each in found]):.4f}", f"{taken:.0f} s"])
        shown[-1].append(f"{int(parameters):,}")
    shape = "×".join(map(str, train.shape[1:]))
    title = f"{name}: {len(train):,} images of {shape}, about {steps} steps of 128, {seeds} seeds"
    print(
        table(title, ["network", "bits per value, test", "± over seeds", "processor time", "parameters"], shown) + "\n"
    )


def split(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(images))
    held_out = min(TEST_IMAGES, len(images) // 5)
    return images[order[held_out:]], images[order[:held_out]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds mnist.npz")
    parser.add_argument("--only", choices=["sizes", "networks"])
    parser.add_argument("--pictures", type=int, default=1000, help="pictures of many sizes")
    parser.add_argument("--epochs", type=int, default=5, help="passes over the pictures of many sizes")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of each network")
    parser.add_argument("--rows", type=int, default=10_000, help="images of MNIST to learn from")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--images", action="append", default=[], metavar="FILE.npz:KEY", help="further images")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(many_sizes(arguments.measure, arguments.epochs)))
        return
    print(description("isthmus", "torch", "pillow") + "\n")
    if arguments.only != "networks":
        sizes(arguments.pictures, arguments.epochs)
    if arguments.only != "sizes":
        asked = arguments.steps, arguments.seeds, arguments.networks
        networks("patches of photographs", *patches(np.random.default_rng(0)), *asked)
        for data in arguments.images:
            networks(Path(data).stem, *split(read(data).rows), *asked)
        if arguments.data is not None:
            mnist = np.load(arguments.data / "mnist.npz")
            train, test = mnist["x_train"][: arguments.rows], mnist["x_test"][:TEST_IMAGES]
            networks("MNIST", train, test, *asked)


if __name__ == "__main__":
    main()
