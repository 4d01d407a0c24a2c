"""Archives written by an earlier version still open, and give the same rows.

`python tests/compression/test_golden_archives.py` writes those that are missing: a new kind, or a new version of the
format. Those that are there are never written again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from isthmus.compression.archive import Options, chunks, codec_for, opened, write
from isthmus.compression.codec import Codec
from isthmus.files.reading import read

FOLDER = Path(__file__).parents[1] / "golden" / "archives"


def table() -> pa.Table:
    """Every kind of column, from whole-number arithmetic alone, so that it is the same everywhere."""
    place = np.arange(400)
    mixed = place * 2654435761 % 1009
    return pa.table(
        {
            "sorted": pa.array(1_600_000_000 + place * 3 + mixed % 3, pa.timestamp("s")),
            "word": pa.array(np.array(["ash", "beech", "oak", "Łęg"])[mixed % 7 % 4], mask=mixed % 11 == 0),
            "whole": pa.array(mixed % 300),
            "double": pa.array(mixed % 300 * 2 + 5),
            "decimal": pa.array(mixed / 100),
            "bits": pa.array(1 / (mixed + 3.0)),
            "special": pa.array(np.where(mixed % 50 == 0, -0.0, np.where(mixed % 50 == 1, np.nan, mixed % 5 / 2))),
            "wide": pa.array((mixed.astype(np.uint64) * np.uint64(18_000_000_000_000_000)), pa.uint64()),
            "category": pa.array(["b", "a"] * 200).dictionary_encode(),
            "text": pa.array([f"row {n}: {'x' * (n % 5)}" for n in mixed.tolist()]),
            "nothing": pa.nulls(400),
            "repeated": pa.array(mixed % 13 * 77_777_777_777 + mixed % 2),
        }
    )


def images() -> np.ndarray:
    """Thirty images of 12 × 10 pixels: discs on a slope."""
    row, column = np.mgrid[0:12, 0:10]
    discs = [((row - 3 - n % 5) ** 2 + (column - 2 - n % 6) ** 2 < 9) * 120 + row * n % 40 for n in range(30)]
    return np.array(discs, np.uint8)


def penguins() -> pa.Table:
    return read("penguins").rows


def array() -> np.ndarray:
    return (np.arange(60).reshape(5, 3, 4) ** 2).astype(np.float32)


ROWS: dict[str, Callable[[], Any]] = {"table": table, "images": images, "array": array, "latent": penguins}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, pa.Table):
        return one.equals(other) or (
            one.drop_columns(["special"]).equals(other.drop_columns(["special"]))
            and (
                one.column("special").to_numpy().view(np.int64) == other.column("special").to_numpy().view(np.int64)
            ).all()
        )
    return one.dtype == other.dtype and np.array_equal(one, other)


@pytest.mark.parametrize("name", ROWS)
def test_opens_and_gives_its_rows(name: str) -> None:
    archive = opened(FOLDER / f"{name}-1.isth")
    assert archive.codec.kind == name
    assert same(archive.read(), ROWS[name]())


def _codec(name: str, rows: Any) -> Codec:
    if name == "images":  # so few would be packed
        from isthmus.compression.images.codec import ImagesCodec

        return ImagesCodec.fit(rows, steps=200)
    if name != "latent":
        return codec_for(rows, len(rows), Options(budget=5.0))
    import isthmus
    from isthmus.compression.latent.codec import LatentCodec

    model = isthmus.VAE(latent_dim=3, hidden=(16,), epochs=20, random_state=0).fit(rows)
    return LatentCodec.from_model(model.model_, model.domain_, model.domain_.tensors(rows), len(rows))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, made in ROWS.items():
        path = FOLDER / f"{name}-1.isth"
        if not path.exists():
            with path.open("wb") as stream:
                write(stream, _codec(name, made()), chunks(made(), 150))
