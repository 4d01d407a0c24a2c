"""The most memory that fitting, generating and scoring tables take: a real one, a wide one and a long one.

    python benchmarks/table_memory.py FOLDER --data DIR [--tables flights,wide] [--epochs 1]

DIR holds flights.parquet (benchmarks/README.md says where it comes from); FOLDER is where tables and models are
written, and deleted again. `flights` is fitted, 100,000 rows are generated and `--scored` rows scored, by the default
VAE, and as `flights_generative` by one whose columns depend on one another, with a flow of codes. `wide` has 1,000
columns and 50,000 rows, `long` 5 columns and 10 million rows; both are made at random and streamed. Every command is a
process of its own.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from larger_than_memory import ran
from machine import description
from tables import table

GOAL_BYTES = 3 * 10**9
FLIGHTS_ROWS, NEW_ROWS = 300_000, 100_000
WIDE_ROWS, WIDE_COLUMNS = 50_000, 1_000
LONG_ROWS, LONG_COLUMNS = 10_000_000, 5
GROUP_ROWS = 10_000
FLIGHTS: dict[str, tuple[str, ...]] = {
    "flights": (),
    "flights_generative": ("--set", "likelihood=autoregressive", "--set", "prior=flow_matching"),
}

COLUMNS = ("table", "command", "rows", "seconds", "peak memory, MB", f"below {GOAL_BYTES / 10**9:g} GB")
Row = tuple[str, ...]


def flights(data: Path, place: Path) -> None:
    """The first 300,000 flights. Their year is one for all, and so nothing to learn; hours are times, not text."""
    rows = pyarrow.parquet.read_table(data / "flights.parquet").slice(0, FLIGHTS_ROWS).drop(["year"])
    hours = pc.utf8_slice_codeunits(rows.column("time_hour"), 0, 19).cast(pa.timestamp("s"))
    rows = rows.set_column(rows.column_names.index("time_hour"), "time_hour", hours)
    pyarrow.parquet.write_table(rows.replace_schema_metadata(None), place)


def made(rows: int, columns: int, place: Path) -> None:
    """Rows of a few hidden factors: half of the columns numbers, half counts."""
    draws = np.random.default_rng(0)
    loadings = draws.normal(size=(4, columns)).astype(np.float32)
    group_rows = max(GROUP_ROWS, 10**6 // columns)
    writer = None
    for first in range(0, rows, group_rows):
        count = min(group_rows, rows - first)
        noise = draws.standard_normal((count, columns), dtype=np.float32)
        cells = draws.standard_normal((count, 4), dtype=np.float32) @ loadings + noise
        names = {f"x{c}": cells[:, c] if c % 2 else np.floor(10 * np.exp(cells[:, c] / 3)) for c in range(columns)}
        group = pa.table(names)
        writer = writer or pyarrow.parquet.ParquetWriter(place, group.schema)
        writer.write_table(group)
    assert writer is not None
    writer.close()


def measured(name: str, file: Path, epochs: int, scored: int, *options: str) -> list[Row]:
    """Fit, generate and score by the command line."""
    model, out = file.with_suffix(".safetensors"), file.with_name("out.parquet")
    few = file.with_name("scored.parquet")
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).slice(0, scored), few)
    fit = ["fit", str(file), "--model", "vae", "--epochs", str(epochs), "--set", "batch_size=512", *options]
    commands = {
        "fit": [*fit, "--seed", "0", "--device", "cpu", "--out", str(model)],
        "generate": ["generate", str(model), "-n", str(NEW_ROWS), "--out", str(out)],
        "score": ["score", str(model), str(few), "--out", str(out)],
    }
    rows = []
    for what, command in commands.items():
        _, seconds, peak = ran([sys.executable, "-m", "isthmus", *command, "--json"])
        count = {"fit": FLIGHTS_ROWS, "generate": NEW_ROWS, "score": scored}[what]
        rows.append(row(name, what, count, seconds, peak))
    return rows


def streamed(name: str, file: Path, epochs: int) -> list[Row]:
    """A fit to rows that stay in their file."""
    model = file.with_suffix(".safetensors")
    command = ["fit", str(file), "--stream", "--model", "vae", "--epochs", str(epochs), "--set", "batch_size=4096"]
    _, seconds, peak = ran(
        [sys.executable, "-m", "isthmus", *command, "--seed", "0", "--device", "cpu", "--out", str(model), "--json"]
    )
    return [row(name, "fit, streamed", pyarrow.parquet.read_metadata(file).num_rows, seconds, peak)]


def row(name: str, what: str, rows: int, seconds: float, peak: int) -> Row:
    made = (name, what, f"{rows:,}", f"{seconds:.0f}", f"{peak / 10**6:,.0f}", "yes" if peak < GOAL_BYTES else "no")
    print(*made, file=sys.stderr, flush=True)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description="How much memory do tables take?")
    parser.add_argument("folder", type=Path, help="where there is room for the tables")
    parser.add_argument("--data", type=Path, help="the folder with flights.parquet")
    parser.add_argument("--tables", default="flights,flights_generative,wide,long", help="which of them")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the rows")
    parser.add_argument("--scored", type=int, default=FLIGHTS_ROWS, help="how many flights are scored")
    given = parser.parse_args()
    chosen = given.tables.split(",")
    if set(FLIGHTS).intersection(chosen) and given.data is None:
        parser.error("flights need --data DIR, the folder with flights.parquet")
    given.folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        file = Path(folder) / "rows.parquet"
        for name in [name for name in FLIGHTS if name in chosen]:
            flights(given.data, file)
            rows += measured(name, file, given.epochs, given.scored, *FLIGHTS[name])
        if "wide" in chosen:
            made(WIDE_ROWS, WIDE_COLUMNS, file)
            rows += streamed(f"{WIDE_COLUMNS:,} columns", file, given.epochs)
        if "long" in chosen:
            made(LONG_ROWS, LONG_COLUMNS, file)
            rows += streamed(f"{LONG_COLUMNS} columns", file, given.epochs)
    print(description("torch", "pyarrow"), table(f"Epochs: {given.epochs}", COLUMNS, rows), sep="\n")


if __name__ == "__main__":
    main()
