"""Archives decoded on other processors, and damaged archives: how many come back wrong, and what refusing them costs.

    python benchmarks/archive_robustness.py --archives 1000 --damages 20000

Archives of made-up tables, arrays and images are written in one process and decoded in others, which have as many
threads and such vector instructions as their environment says. Then bits of a few archives are flipped, overwritten and
cut off at random; each must end in one line that names the place.
"""

import argparse
import io
import os
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.compression.archive import Archive, Options, chunks, codec_for, write
from isthmus.core.errors import ArchiveError

ENVIRONMENTS = [
    {"OMP_NUM_THREADS": "1"},
    {"OMP_NUM_THREADS": "2"},
    {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Haswell"},
    {"OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "SkylakeX"},
    {"OMP_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX"},
]
CHUNK_ROWS = (1, 7, 256)
MEMORY = 3 * 2**30
PLACES = (
    r"(its (beginning|header|model|end|index)|chunk \d+( \(.*\))?|what follows .*) is damaged|not an archive|version"
)


def made_up(seed: int) -> Any:
    """A small table; every tenth time images, every twentieth an array."""
    random = np.random.default_rng(seed)
    rows = int(random.integers(1, 60))
    if seed % 10 == 0:
        return (random.integers(0, 3, (rows, 5, 6)) * 60).astype(np.uint8)
    if seed % 20 == 1:
        return random.normal(size=(rows, 2, 3)).astype(random.choice(["f2", "f4", "f8"]))
    return pa.table({f"c{index}": _column(random, rows) for index in range(int(random.integers(1, 6)))})


def _column(random: np.random.Generator, rows: int) -> pa.Array:
    whole = random.integers(-5, 50, rows)
    values: Any = [
        whole,
        np.cumsum(random.integers(0, 4, rows)),
        random.integers(-(2**63), 2**63 - 1, rows),
        np.round(random.normal(size=rows) * 10, 2),
        random.normal(size=rows),
        random.normal(size=rows).astype("f4"),
        np.where(whole > 20, np.nan, -0.0),
        random.choice(["a", "b", "ü", ""], rows),
        np.array([f"{number * 7919}" for number in whole]),
        whole > 20,
    ][int(random.integers(10))]
    mask = random.random(rows) < (0.2 if random.random() < 0.4 else 0)
    return pa.array(values, mask=mask)


def archived(rows: Any, chunk_rows: int, images: bool = False) -> tuple[bytes, str]:
    """(the archive, the SHA-256 of the rows in canonical form)"""
    options = Options(budget=0.0, chunk_rows=chunk_rows, verify=False)
    if images:
        from isthmus.compression.images.codec import ImagesCodec

        codec: Any = ImagesCodec.fit(rows, steps=1)
    else:
        codec = codec_for(rows, len(rows), options)
    stream = io.BytesIO()
    write(stream, codec, chunks(rows, chunk_rows), options=options)
    return stream.getvalue(), sha256(codec.canonical(rows)).hexdigest()


def latent_archive() -> tuple[bytes, str]:
    from isthmus import VAE

    rows = np.random.default_rng(0).normal(size=(200, 4)).round(2)
    data = VAE(latent_dim=2, epochs=2).fit(rows).compress(rows)
    return data, digest_of(data)


def digest_of(data: bytes) -> str:
    archive = Archive(io.BytesIO(data), "a.isth")
    return sha256(archive.codec.canonical(archive.read())).hexdigest()


def decode_all(path: str) -> None:
    """In a child: how many archives of a file come back wrong."""
    wrong = 0
    for data, digest in pickle.loads(Path(path).read_bytes()):  # what this program wrote itself
        try:
            wrong += digest_of(data) != digest
        except ArchiveError:
            wrong += 1
    print(wrong)


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    broken = bytearray(data)
    at = int(random.integers(0, len(data)))
    match int(random.integers(4)):
        case 0:
            broken[at] ^= 1 << int(random.integers(8))
        case 1:
            del broken[at:]
        case 2:
            size = min(int(random.integers(1, 60)), len(data) - at)
            broken[at : at + size] = random.bytes(size)
        case _:
            size = int(random.integers(1, 60))
            if random.random() < 0.5:
                del broken[at : at + size]
            else:
                broken[at:at] = random.bytes(size)
    return bytes(broken)


def damage_all(path: str, count: int) -> None:
    """In a child with little memory: what becomes of damaged archives."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    random, outcomes, slowest = np.random.default_rng(0), Counter[str](), 0.0
    held = pickle.loads(Path(path).read_bytes())  # what this program wrote itself
    for trial in range(count):
        data, digest = held[trial % len(held)]
        broken = damaged(data, random)
        began = time.perf_counter()
        try:
            outcome = "the same rows" if digest_of(broken) == digest else "SILENTLY WRONG"
        except ArchiveError as error:
            outcome = "refused" if re.search(PLACES, str(error)) and "\n" not in str(error) else "REFUSED BADLY"
        except BaseException as error:
            outcome = f"CRASH {type(error).__name__}"
        slowest = max(slowest, time.perf_counter() - began)
        outcomes["unchanged" if broken == data else outcome] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = ", ".join(f"{outcome}: {number:,}" for outcome, number in sorted(outcomes.items()))
    print(f"{shown}; slowest {slowest:.2f} s, peak {peak:,.0f} MB")


def child(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], env={**os.environ, **environment}, capture_output=True, text=True
    )
    return done.stdout.strip() if not done.returncode else f"ended with {done.returncode}: {done.stderr[-200:]}"


def report(archives: int, damages: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        held = [
            archived(made_up(seed), CHUNK_ROWS[seed % len(CHUNK_ROWS)], images=seed % 10 == 0)
            for seed in range(archives)
        ]
        yield f"{archives:,} archives written in {time.perf_counter() - began:.0f} s; come back wrong in a process with"
        path = Path(folder) / "archives"
        path.write_bytes(pickle.dumps(held))
        for environment in ENVIRONMENTS:
            wrong = child(environment, "--decode", str(path))
            yield f"  {' '.join(f'{name}={value}' for name, value in environment.items()):90} {wrong}"
        kinds = {
            "table": [archived(made_up(seed), 7) for seed in (3, 5)],
            "array": [archived(made_up(1), 7)],
            "images": [archived(made_up(10), 7, images=True)],
            "latent": [latent_archive()],
        }
        yield f"{damages:,} damages"
        for kind, few in kinds.items():
            path.write_bytes(pickle.dumps(few))
            yield f"  {kind:8} {child({}, '--damage', str(path), '--damages', str(damages // len(kinds)))}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=int, default=1000)
    parser.add_argument("--damages", type=int, default=20_000)
    parser.add_argument("--decode", help=argparse.SUPPRESS)
    parser.add_argument("--damage", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.decode:
        decode_all(given.decode)
    elif given.damage:
        damage_all(given.damage, given.damages)
    else:
        for line in report(given.archives, given.damages):
            print(line, flush=True)


if __name__ == "__main__":
    main()
