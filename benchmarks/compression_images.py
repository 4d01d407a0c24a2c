"""What archives of images cost and how fast they are: MNIST, eight bits a pixel and one.

    python benchmarks/compression_images.py --data DIR [--budget 600] [--sets grey,drawn,threshold] [--all]

DIR holds mnist.npz. The codec learns from the 60,000 training images; what is coded is the 10,000 test images, in real
bytes, decoded again and compared. `drawn` are pixels drawn once at random, black with the probability of their grey
(Salakhutdinov and Murray, 2008), `threshold` those of 128 or more. `--all` also codes all 70,000 images with a codec
that learned from all of them, and adds its own bytes.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isthmus.compression.images.codec import ImagesCodec
from machine import description

BINARY_SEED = 1
CHUNK = 10_000

SETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey": lambda images: images,
    "drawn": lambda images: (np.random.default_rng(BINARY_SEED).random(images.shape) * 255 < images).astype(np.uint8),
    "threshold": lambda images: (images >= 128).astype(np.uint8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of mnist.npz")
    parser.add_argument("--budget", type=float, default=600, help="seconds of training for each set")
    parser.add_argument("--sets", type=lambda names: names.split(","), default=list(SETS), help=f"of {[*SETS]}")
    parser.add_argument("--all", action="store_true", help="also all 70,000 images, the codec's own bytes among them")
    given = parser.parse_args()
    unknown = set(given.sets) - set(SETS)
    if unknown:
        parser.error(f"--sets: no {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    data = np.load(given.data / "mnist.npz")
    whole = np.concatenate([data["x_train"], data["x_test"]])
    print(f"Machine: {description('isthmus', 'torch')}\n")
    print("| set | bits/pixel | with the codec | encode MB/s | decode MB/s | codec bytes | seconds of training |")
    print("|---|---|---|---|---|---|---|")
    for name in given.sets:
        images = SETS[name](whole)
        print(measured(f"{name}, test", images[:60_000], images[60_000:], given.budget), flush=True)
        if given.all:
            print(measured(f"{name}, all", images, images, given.budget), flush=True)


def measured(name: str, learned: np.ndarray, coded: np.ndarray, budget: float) -> str:
    """A row of the table. Raises AssertionError where images do not come back."""
    started = time.perf_counter()
    codec = ImagesCodec.fit(learned, budget)
    training = time.perf_counter() - started
    parameters = codec.parameters()
    reader = ImagesCodec.restored(codec.settings(), parameters)
    size, encoding, decoding = 0, 0.0, 0.0
    for start in range(0, len(coded), CHUNK):
        rows = coded[start : start + CHUNK]
        started = time.perf_counter()
        chunk = codec.encode(rows)
        encoding += time.perf_counter() - started
        started = time.perf_counter()
        decoded = reader.decode(chunk, len(rows))
        decoding += time.perf_counter() - started
        assert (decoded == rows).all()
        size += len(chunk)
    figures = [
        name,
        f"{8 * size / coded.size:.4f}",
        f"{8 * (size + len(parameters)) / coded.size:.4f}",
        f"{coded.size / encoding / 1e6:.2f}",
        f"{coded.size / decoding / 1e6:.2f}",
        f"{len(parameters):,}",
        f"{training:.0f}",
    ]
    return f"| {' | '.join(figures)} |"


if __name__ == "__main__":
    main()
