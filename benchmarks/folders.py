"""What a row costs when folders of Parquet are encoded, decoded, scored and generated: rows a second, and memory.

    python benchmarks/folders.py --table FILE.parquet [--drop COLUMN,…] [--copies 4] [--engines local,ray] [--out DIR]

The table is written as a folder of files of 131,072 rows, several times over. Each command runs twice, on a part of the
folder and on all of it: the difference of their times is that of the rows alone, without starting Python or Ray.
`busy` are seconds of processors, without waiting and without what else the machine does; for Ray, whose workers are
nobody's children, they are not known. `memory` is the most that the process took, in MiB, for the part and for
the whole.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

FILE_ROWS = 2**17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--drop", default="", help="columns that the model does not see")
    parser.add_argument("--rows", type=int, help="take only about so many of the table's rows, evenly spread")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--engines", default="local")
    parser.add_argument("--commands", default="encode,decode,score,generate")
    parser.add_argument("--out", type=Path, help="where to work; a temporary folder otherwise")
    given = parser.parse_args()
    work = given.out or Path(tempfile.mkdtemp())
    table = parquet.read_table(given.table).replace_schema_metadata(None)
    if given.rows:
        table = table.take(list(range(0, len(table), max(1, len(table) // given.rows))))
    rows = {name: split(table, work / name, copies) for name, copies in (("part", 1), ("whole", given.copies))}
    model = work / "m.safetensors"
    fit = ["fit", work / "part", "--model", "vae", "--latent", 8, "--epochs", 1, "--device", "cpu", "--out", model]
    isthmus(*fit, *(["--drop", given.drop] if given.drop else []))
    size = sum(path.stat().st_size for path in (work / "whole").iterdir())
    columns = parquet.read_schema(work / "whole" / "0000.parquet").names
    print(f"{rows['whole']:,} rows, {len(columns)} columns, {size / rows['whole']:.1f} bytes a row in Parquet")
    for engine in given.engines.split(","):
        for command in given.commands.split(","):
            found = {name: measured(command, engine, model, work, name, rows[name]) for name in rows}
            more = rows["whole"] - rows["part"]
            result = {"engine": engine, "command": command, "memory": [found[name]["memory"] for name in rows]}
            for kind in ("seconds",) if engine == "ray" else ("seconds", "busy"):
                taken = found["whole"][kind] - found["part"][kind]
                result[f"rows_per_{kind}"] = round(more / taken)
            print(json.dumps(result | {"start": round(found["part"]["seconds"], 1)}), flush=True)
    if given.out is None:
        shutil.rmtree(work)


def split(table: pa.Table, folder: Path, copies: int) -> int:
    """The table, so many times, as a folder of files; how many rows that is."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = pa.concat_tables([table] * copies)
    for number, start in enumerate(range(0, len(whole), FILE_ROWS)):
        parquet.write_table(whole.slice(start, FILE_ROWS), folder / f"{number:04}.parquet")
    return len(whole)


def measured(command: str, engine: str, model: Path, work: Path, name: str, rows: int) -> dict[str, float]:
    """One command on one folder."""
    out = work / f"{command}-{name}"
    shutil.rmtree(out, ignore_errors=True)
    codes = work / f"encode-{name}"
    source: list[Any] = {"decode": [codes], "generate": ["-n", rows]}.get(command, [work / name])
    began = time.perf_counter()
    memory, busy = isthmus(command, model, *source, "--engine", engine, "--out", out)
    return {"seconds": time.perf_counter() - began, "busy": busy, "memory": memory}


def isthmus(*words: object) -> tuple[float, float]:
    """Run a command; MiB of memory and seconds of processors that it took."""
    command = [sys.executable, "-m", "isthmus", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: isthmus {' '.join(map(str, words))}")
    return round(used.ru_maxrss / 1024), used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
