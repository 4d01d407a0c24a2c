"""What every kind of archive is made of: a codec, which turns rows into bytes and back, some at a time."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

MOST_CHUNK_ROWS = 2**20

Rows = Any  # a pyarrow.Table, an array of images: what `kind` says


class Codec(ABC):
    """Rows of one kind ↔ the bytes of one chunk. All it has learned is `settings` and `parameters`, which the archive
    keeps; from them alone another machine makes the same codec, which decodes the same rows.

    Decoding may compute only what is the same everywhere: whole numbers, whatever carries them (compression/exact.py),
    and single + − × ÷ √ of float64, element by element, which IEEE 754 rounds in one way (latent/curves.py).
    """

    kind: ClassVar[str]
    # Bytes that each column has taken in the chunks encoded so far, by its name, where rows have columns.
    spent: dict[str, float] = {}  # noqa: RUF012 - codecs that count replace it

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a reader must know, as JSON: schema, plan, sizes."""

    @abstractmethod
    def parameters(self) -> bytes:
        """What was learned: weights, dictionaries, tables; already compressed."""

    @classmethod
    @abstractmethod
    def restored(cls, settings: dict[str, Any], parameters: bytes) -> "Codec":
        """The codec of those settings and parameters. Raises KeyError, TypeError or ValueError where they are not."""

    @property
    def most_rows(self) -> int:
        """How many rows a chunk may have, so that decoding one takes no more time and memory than a reader has."""
        return MOST_CHUNK_ROWS

    @abstractmethod
    def encode(self, rows: Rows) -> bytes:
        """Rows → one chunk. Raises DataError, naming the place, for rows that are not of this kind."""

    def rounded(self, rows: Rows) -> Rows:
        """Rows as they will come back: as they are, unless the codec was made with a tolerance."""
        return rows

    @abstractmethod
    def decode(self, chunk: bytes, count: int) -> Rows:
        """One chunk → its `count` rows. Raises ValueError where the bytes cannot be what `encode` gave; may return
        wrong rows then, too, which the archive's digests find out."""

    @abstractmethod
    def canonical(self, rows: Rows) -> bytes:
        """Rows as bytes, the same for the same rows on every machine: what the archive's digests are taken of."""

    @abstractmethod
    def joined(self, parts: list[Rows]) -> Rows:
        """Rows of several chunks, one after another; no parts give no rows."""

    @abstractmethod
    def part(self, rows: Rows, start: int, stop: int) -> Rows:
        """The rows from `start` to before `stop`."""
