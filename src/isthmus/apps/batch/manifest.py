"""What a run over a folder is: written first, so that a run that was ended goes on and another one is refused."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ... import __version__
from ...core.errors import DataError
from ...files.atomic import replacing
from ...files.failures import shown

# Readers of a folder of Parquet pass over names that begin like this.
NAME = "_manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class InputFile:
    """A file that is read: its name below the folder, its bytes, its rows, and the SHA-256 of its own description."""

    name: str
    size: int
    rows: int
    footer: str


@dataclass(frozen=True)
class Part:
    """Rows that become one file: those of `row_groups` of an input file, or new ones, drawn with `seed`.

    `first_row` is the number of its first row among all, from 0.
    """

    number: int
    first_row: int
    rows: int
    file: str | None = None
    row_groups: tuple[int, ...] = ()
    seed: int | None = None

    @property
    def name(self) -> str:
        """The file's name; sorted by name, the files hold the rows in their order."""
        return f"part-{self.number:08}.parquet"


@dataclass(frozen=True)
class Manifest:
    """A command, the model's SHA-256, options, input files, and the parts in the order of their rows."""

    command: str
    model: str
    options: dict[str, Any]
    files: tuple[InputFile, ...]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Of all parts."""
        return sum(part.rows for part in self.parts)

    @cached_property
    def identity(self) -> str:
        """A SHA-256 over everything: parts carry it, so that those of another run are told from its own."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()

    def described(self) -> dict[str, Any]:
        """As JSON."""
        # Through JSON's own types, so that what is written and read again compares equal.
        return json.loads(json.dumps({"format": FORMAT, "isthmus": __version__, "rows": self.rows, **asdict(self)}))

    def claim(self, out: Path) -> None:
        """Make the folder this run's own: write the manifest there, or find it there already.

        What a killed run left unfinished is removed. Raises DataError if the folder holds something else.
        """
        place = out / NAME
        if not place.exists():
            if out.is_dir() and any(entry for entry in out.iterdir() if not _is_partial(entry)):
                raise DataError(f"{shown(out)}: holds files already; name a new folder, or an empty one")
            out.mkdir(exist_ok=True)
            with replacing(place) as temporary:
                temporary.write_text(json.dumps(self.described(), indent=1), encoding="utf-8")
        else:
            for difference in self._differences(place):
                raise DataError(
                    f"{shown(out)}: was begun with {difference}; name a new folder, or repeat the first command"
                )
        for entry in out.iterdir():
            if _is_partial(entry):
                entry.unlink(missing_ok=True)

    def withdraw(self, out: Path) -> None:
        """Leave no folder behind in which there is no part; to be called by the run that has claimed it."""
        if all(entry.name == NAME or _is_partial(entry) for entry in out.iterdir()):
            for entry in out.iterdir():
                entry.unlink(missing_ok=True)
            out.rmdir()

    def _differences(self, place: Path) -> Iterator[str]:
        """In words, how the run of a manifest that was written differs from this one."""
        try:
            begun = json.loads(place.read_text(encoding="utf-8"))
            files = {file["name"]: file for file in begun["files"]}
        except (OSError, ValueError, LookupError, TypeError) as failure:
            raise DataError(
                f"{shown(place)}: cannot be read, so what the folder holds is not known; name a new folder"
            ) from failure
        own = self.described()
        if begun == own:
            return
        if begun.get("isthmus") != own["isthmus"]:
            yield f"isthmus {begun.get('isthmus')}, and this is {own['isthmus']}"
        if begun.get("command") != own["command"]:
            yield f"another command, {begun.get('command')}"
        if begun.get("model") != own["model"]:
            yield f"another model (SHA-256 {str(begun.get('model'))[:12]}…, now {self.model[:12]}…)"
        for file in own["files"]:
            if files.pop(file["name"], None) != file:
                yield f"other input: {shown(file['name'])} is new or has changed"
        for name in files:
            yield f"other input: {shown(name)} is no longer there"
        yield "other options, or parts cut otherwise"


def _is_partial(entry: Path) -> bool:
    """Whether this is a file that was being written when its process was killed."""
    return entry.name.startswith(".") and entry.suffix == ".partial"
