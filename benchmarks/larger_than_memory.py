"""Train on Parquet files of two sizes and see whether memory grows with them.

    python benchmarks/larger_than_memory.py FOLDER [--gigabytes 2 20] [--compiled]

writes synthetic tables of these sizes into FOLDER, one after another, trains a VAE on each for one pass by the command
line in a process of its own, and prints rows, seconds and the most memory that the process held (its resident set, as
the system counts it). Each table is deleted again, unless --keep. A long training compiles its steps, which takes
memory of its own whatever the data: --compiled lets short ones do so too.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

GIGABYTE = 10**9
FILE_ROWS = 1_000_000
GROUP_ROWS = 250_000
NUMBERS, COUNTS, FLAGS = 30, 6, 2
CATEGORIES = ("city", "product", "channel", "plan")
FACTORS = 6
OPTIONS = ("--set", "hidden=64,64", "--set", "batch_size=4096", "--latent", "8", "--seed", "0", "--device", "cpu")


@dataclass(frozen=True)
class Measured:
    """One training: `seconds` of the whole command, `training_seconds` of the pass itself."""

    gigabytes: float
    unpacked_gigabytes: float
    rows: int
    seconds: float
    training_seconds: float
    peak_bytes: int


def table(rows: int, seed: int) -> pa.Table:
    """Rows of a few hidden factors, in columns of all kinds, some cells missing; about 250 bytes a row in Parquet."""
    generator = np.random.default_rng(seed)
    loadings = np.random.default_rng(0).normal(size=(FACTORS, NUMBERS)).astype(np.float32)
    factors = generator.standard_normal((rows, FACTORS), dtype=np.float32)
    numbers = factors @ loadings + generator.standard_normal((rows, NUMBERS), dtype=np.float32)
    columns: dict[str, pa.Array] = {}
    for index in range(NUMBERS):
        missing = generator.random(rows, dtype=np.float32) < 0.05 if index % 5 == 0 else None
        columns[f"number_{index}"] = pa.array(numbers[:, index].astype(np.float64), mask=missing)
    for index in range(COUNTS):
        columns[f"count_{index}"] = pa.array(generator.poisson(np.exp(1 + factors[:, index] / 2)))
    for index in range(FLAGS):
        columns[f"flag_{index}"] = pa.array(factors[:, index] + generator.standard_normal(rows) > 1)
    for index, name in enumerate(CATEGORIES):
        codes = np.clip(np.abs(factors[:, index]) * 4 + generator.random(rows) * 3, 0, 11).astype(np.int32)
        names = pa.array([f"{name} {code}" for code in range(12)])
        columns[name] = pa.DictionaryArray.from_arrays(codes, names).dictionary_decode()
    days = 18_000 + (factors[:, 0] * 300).astype(np.int32)
    columns["day"] = pa.array(days, pa.date32())
    return pa.table(columns)


def write(folder: Path, gigabytes: float) -> None:
    """Files of a million rows until they take this much of the disk."""
    folder.mkdir(parents=True)
    written, number = 0, 0
    while written < gigabytes * GIGABYTE:
        path = folder / f"part-{number:05d}.parquet"
        with pyarrow.parquet.ParquetWriter(path, table(2, 0).schema) as writer:
            for group in range(FILE_ROWS // GROUP_ROWS):
                writer.write_table(table(GROUP_ROWS, number * FILE_ROWS + group))
        written += path.stat().st_size
        number += 1


def ran(command: list[str]) -> tuple[dict[str, Any], float, int]:
    """What a command prints as JSON, the seconds that it took, and the most bytes that its process held."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: status {process.returncode}")
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return json.loads(printed), time.perf_counter() - began, peak_bytes


def measure(folder: Path, compiled: bool) -> Measured:
    """One pass over the files of a folder, by `isthmus fit` in a process of its own."""
    files = list(folder.glob("*.parquet"))
    groups = [pyarrow.parquet.read_metadata(path) for path in files]
    unpacked = sum(each.row_group(group).total_byte_size for each in groups for group in range(each.num_row_groups))
    model = folder.with_suffix(".safetensors")
    command = [sys.executable, "-m", "isthmus", "fit", folder, "--model", "vae", "--epochs", "1", "--out", model]
    command += ["--set", "compiled=true"] if compiled else []
    facts, seconds, peak_bytes = ran([*map(str, command), *OPTIONS, "--stream", "--json"])
    model.unlink()
    return Measured(
        sum(path.stat().st_size for path in files) / GIGABYTE,
        unpacked / GIGABYTE,
        sum(each.num_rows for each in groups),
        seconds,
        facts["seconds"],
        peak_bytes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Does memory grow with the data?")
    parser.add_argument("folder", type=Path, help="where there is room for the largest table")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[2, 20], help="sizes of the Parquet files")
    parser.add_argument("--keep", action="store_true", help="leave the tables there, and take those that are there")
    parser.add_argument("--compiled", action="store_true", help="compile the steps however few there are")
    given = parser.parse_args()
    print("Parquet GB  unpacked GB         rows  seconds  training s  rows/s in training  peak memory MB", flush=True)
    for gigabytes in given.gigabytes:
        folder = given.folder / f"{gigabytes:g}-gigabytes"
        if not (given.keep and folder.exists()):
            write(folder, gigabytes)
        found = measure(folder, given.compiled)
        if not given.keep:
            shutil.rmtree(folder)
        print(
            f"{found.gigabytes:10.1f} {found.unpacked_gigabytes:12.1f} {found.rows:12,} {found.seconds:8.0f} "
            f"{found.training_seconds:11.0f} {found.rows / found.training_seconds:19,.0f} "
            f"{found.peak_bytes / 10**6:15,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
