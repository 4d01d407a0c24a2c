"""Whole files or none: a write that fails or is killed leaves what was there before."""

import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from ..core.errors import DataError
from .failures import reason, shown

# Of a file's name, what the name of its unfinished file repeats, and the random part of that.
LONGEST_NAME = 40
TOKEN_BYTES = 6


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file (or make a folder) at; it takes the place of `path` at the end.

    What was written is on the disk before it takes that place, and it does so in one step: who reads `path` finds the
    old file or the new one, also after a crash. If the block raises, `path` is as it was and nothing else is left.
    A folder takes the place of nothing or of an empty folder only. Raises DataError if the place cannot be written.
    """
    final = Path(os.path.realpath(path))  # A link stays a link: the file that it points to is replaced.
    with _unwritable_named(path):
        _check_place(final, path)
        temporary = final.with_name(f"{_beginning(final)}{secrets.token_hex(TOKEN_BYTES)}.partial")
        try:
            yield temporary
            _flush_tree(temporary)
            _check_replaceable(final, temporary.is_dir(), path)
            temporary.replace(final)
        except BaseException:
            _remove(temporary)
            raise
        if os.name == "posix":  # Elsewhere a folder cannot be opened, and the rename is flushed with the file.
            _flush(final.parent, os.O_RDONLY)


def remove_leftovers(path: str | Path) -> None:
    """Delete what processes that were killed while they wrote `path` left beside it; nobody may be writing it now."""
    final = Path(os.path.realpath(path))
    for entry in final.parent.glob(f"{glob.escape(_beginning(final))}{'?' * 2 * TOKEN_BYTES}.partial"):
        _remove(entry)


def _beginning(final: Path) -> str:
    """How the names of unfinished files begin: short, since a long name plus a suffix may be too long for the file
    system, and of long names each with a beginning of its own."""
    name = final.name
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{sha256(os.fsencode(name)).hexdigest()[:8]}"
    return f".{name}."


@contextmanager
def _unwritable_named(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        # The system's own words: the whole message names the temporary file, which nobody asked for.
        why = failure.strerror or reason(failure)
        raise DataError(f"{shown(path)}: cannot be written ({why}); choose another place") from failure


def _check_place(final: Path, path: str | Path) -> None:
    if not final.parent.is_dir():
        raise DataError(f"{shown(path)}: its folder {shown(final.parent)} does not exist; make it first")
    mode = final.stat().st_mode if final.exists() else stat.S_IFREG
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise DataError(f"{shown(path)}: is neither a file nor a folder, so it cannot be replaced; name a file")


def _check_replaceable(final: Path, by_folder: bool, path: str | Path) -> None:
    if final.is_dir() and not by_folder:
        raise DataError(f"{shown(path)}: is a folder; name a file")
    if final.is_dir() and any(final.iterdir()):
        raise DataError(f"{shown(path)}: holds files already; name a new folder, or an empty one")
    if final.is_file() and by_folder:
        raise DataError(f"{shown(path)}: is a file; name a folder")


def _flush_tree(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _flush_tree(inner)
        if os.name == "posix":
            _flush(path, os.O_RDONLY)
    else:
        _flush(path, os.O_RDWR)


def _flush(path: Path, mode: int) -> None:
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
