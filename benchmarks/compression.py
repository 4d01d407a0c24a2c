"""Archives of tables beside general compressors, columnar files and error-bounded compressors, in one run.

    python benchmarks/compression.py --data DIR [--sets adult,diamonds] [--budget 60] [--tolerance 0.01]

DIR holds adult_train.parquet and adult_test.parquet, credit_default.parquet, diamonds.parquet, flights.parquet
(benchmarks/README.md says where they come from). Sizes are of real files; those of isthmus with the model inside.
pcodec, pysz and zfpy are measured where they are installed (benchmarks/peers/requirements/compression.txt).
"""

import argparse
import bz2
import importlib
import io
import lzma
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from isthmus.compression.archive import Options, chunks, codec_for, opened, write
from isthmus.files.writing import csv_bytes as written_csv
from machine import description

sys.path.append(str(Path(__file__).parents[1] / ".bench" / "compression"))

SETS = ("adult", "diamonds", "credit_default", "flights")
GOALS = {"adult": 235_000, "diamonds": 235_000, "credit_default": 540_000, "flights": 2_400_000}
MEGABYTE = 1e6


def table_of(folder: Path, name: str) -> pa.Table:
    if name == "adult":
        parts = [pyarrow.parquet.read_table(folder / f"adult_{part}.parquet") for part in ("train", "test")]
        return pa.concat_tables(parts).replace_schema_metadata(None)
    return pyarrow.parquet.read_table(folder / f"{name}.parquet").replace_schema_metadata(None)


GENERAL: dict[str, Callable[[bytes], int]] = {
    "xz -9e": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
    "zstd -19": lambda data: len(pa.Codec("zstd", 19).compress(data)),
    "bzip2 -9": lambda data: len(bz2.compress(data)),
    "brotli -11": lambda data: len(pa.Codec("brotli", 11).compress(data)),
}


def general(table: pa.Table) -> dict[str, int]:
    """Bytes of the CSV, whole and column by column, through each general compressor, and of Parquet."""
    whole, columns = written_csv(table), [written_csv(table.select([name])) for name in table.column_names]
    sizes = {f"{name} of the CSV": shrink(whole) for name, shrink in GENERAL.items()}
    sizes |= {f"{name} column by column": sum(map(shrink, columns)) for name, shrink in GENERAL.items()}
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream, compression="zstd", compression_level=19)
    return sizes | {"Parquet, zstd -19": len(stream.getvalue())}


def pcodec_bytes(table: pa.Table) -> int | None:
    """Numbers through pcodec, text as dictionary codes through zstd -19: the best that there is for columns today."""
    try:
        standalone: Any = importlib.import_module("pcodec").standalone
        settings = importlib.import_module("pcodec").ChunkConfig(compression_level=12)
    except ImportError:
        return None
    zstd, total = pa.Codec("zstd", 19), 0
    for column in table.columns:
        column = column.combine_chunks()
        missing = np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes()
        total += len(zstd.compress(missing)) if column.null_count else 0
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            total += len(standalone.simple_compress(column.drop_null().to_numpy(zero_copy_only=False), settings))
        else:
            coded = column.drop_null().dictionary_encode()
            total += len(zstd.compress("\n".join(map(str, coded.dictionary.to_pylist())).encode()))
            codes = coded.indices.to_numpy()
            width = np.uint8 if len(coded.dictionary) < 256 else np.uint16
            total += len(zstd.compress(codes.astype(width).tobytes()))
    return total


def archived(table: pa.Table, options: Options, csv_bytes: int) -> dict[str, Any]:
    """Size, seconds and speeds of one archive, and where its bytes went; the rows are checked to be the same."""
    began = time.perf_counter()
    codec = codec_for(table, table.num_rows, options)
    trained = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.isth"
        began = time.perf_counter()
        with path.open("wb") as stream:
            summary = write(stream, codec, chunks(table, options.chunk_rows), options=options)
        compressing = time.perf_counter() - began
        began = time.perf_counter()
        back = opened(path).read()
        decompressing = time.perf_counter() - began
        size = path.stat().st_size
    if options.tolerance is None and not back.equals(table.combine_chunks()):
        raise SystemExit("the rows that came back are others")
    return {
        "bytes": size,
        "model": summary.model_bytes,
        "spent": summary.spent,
        "training": trained,
        "compress": csv_bytes / compressing / MEGABYTE,
        "decompress": csv_bytes / decompressing / MEGABYTE,
        "rows": back,
    }


def own_entropy(column: pa.ChunkedArray) -> float:
    """Bytes of a column by its own frequencies, the list of its values not counted."""
    counts = pyarrow.compute.value_counts(column).field("counts").to_numpy()  # pyright: ignore
    return float((counts * np.log2(counts.sum() / counts)).sum() / 8)


def bounded(table: pa.Table, share: float, options: Options) -> list[list[str]]:
    """Numeric columns within a share of their range: isthmus beside SZ3 and ZFP, column by column."""
    numeric = [f.name for f in table.schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    table = table.select(numeric)
    columns = [table.column(name).to_numpy().astype(np.float64) for name in numeric]
    found = archived(table, Options(budget=options.budget / 3, tolerance=share), 1)
    back = [found["rows"].column(name).to_numpy().astype(np.float64) for name in numeric]
    broken = sum(
        int((np.abs(b - a)[~np.isnan(a)] > share * np.nanmax(np.append(a, -np.inf)) - share * np.nanmin(a)).sum())
        for a, b in zip(columns, back, strict=True)
    )
    filled = [np.ascontiguousarray(np.nan_to_num(column, nan=np.nanmean(column))) for column in columns]
    sizes = {"SZ3": _sz3(filled, share), "ZFP": _zfp(filled, share)}
    rows = [["isthmus, model inside", f"{found['bytes']:,}", "", f"{broken} over the bound"]]
    for name, size in sizes.items():
        ratio = f"{size / found['bytes']:.2f}×" if size else ""
        rows.append([name, f"{size:,}" if size else "not installed", ratio, ""])
    return rows


def _sz3(columns: list[np.ndarray], share: float) -> int | None:
    try:
        sz: Any = importlib.import_module("pysz")
    except ImportError:
        return None
    total = 0
    for column in columns:
        settings = sz.szConfig()
        settings.errorBoundMode, settings.absErrorBound = sz.szErrorBoundMode.ABS, share * float(np.ptp(column))
        if settings.absErrorBound:
            total += len(sz.sz.compress(column, settings)[0])
    return total


def _zfp(columns: list[np.ndarray], share: float) -> int | None:
    try:
        zfp: Any = importlib.import_module("zfpy")
    except ImportError:
        return None
    return sum(len(zfp.compress_numpy(c, tolerance=share * float(np.ptp(c)))) for c in columns if np.ptp(c))


def printed(headings: list[str], rows: list[list[str]]) -> None:
    for row in [headings, ["---"] * len(headings), *rows]:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--tolerance", type=float, default=0.01)
    given = parser.parse_args()
    options = Options(budget=given.budget)
    print(description(), "\n")
    for name in given.sets.split(","):
        table = table_of(given.data, name)
        csv_bytes = len(written_csv(table))
        found = archived(table, options, csv_bytes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"## {name}: {table.num_rows:,} rows, {csv_bytes:,} bytes as CSV\n")
        others = general(table) | {"pcodec, dictionaries through zstd": pcodec_bytes(table)}
        goal = "" if found["bytes"] <= GOALS[name] else ", missed"
        rows = [["isthmus, model inside", f"{found['bytes']:,}", "", f"{GOALS[name]:,}{goal}"]]
        for other, size in sorted(others.items(), key=lambda item: item[1] or np.inf):
            ratio = f"{size / found['bytes']:.2f}×" if size else ""
            rows.append([other, f"{size:,}" if size else "not installed", ratio, ""])
        printed(["what", "bytes", "isthmus is smaller by", "goal"], rows)
        print(
            f"Model {found['model']:,} bytes, made in {found['training']:.0f} s; compressing with its check "
            f"{found['compress']:.1f} MB/s, decompressing {found['decompress']:.1f} MB/s (of the CSV); "
            f"peak memory {peak:,.0f} MB.\n"
        )
        columns = [
            [column, f"{size:,.0f}", f"{own_entropy(table.column(column)):,.0f}"]
            for column, size in found["spent"].items()
        ]
        printed(["column", "bytes", "its own entropy, values not counted"], columns)
        printed(
            [f"within {given.tolerance:g} of the range", "bytes", "isthmus is smaller by", ""],
            bounded(table, given.tolerance, options),
        )


if __name__ == "__main__":
    main()
