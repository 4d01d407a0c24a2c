"""Readers fail with many classes of error and messages of many lines; here they become one `DataError` of one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import DataError

_LONGEST = 240


def shown(path: str | Path) -> str:
    """The path as text that prints on one line of any terminal, whatever bytes its name is made of."""
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def reason(failure: BaseException) -> str:
    """What a library said went wrong, on one line."""
    # Arrow prefixes and repeats the path; the first 240 characters hold what a reader can use.
    text = shown(" ".join(str(failure).split())) or type(failure).__name__
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@contextmanager
def damage_named(path: str | Path, kind: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes a DataError that names the file; `kind` says what it was read as."""
    try:
        yield
    except DataError:
        raise
    except PermissionError:
        raise DataError(f"{shown(path)}: no permission to read it; change its permissions or copy it") from None
    except MemoryError as failure:
        raise DataError(f"{shown(path)}: does not fit in this computer's memory; give a part of it") from failure
    # Damaged bytes raise OSError, ValueError, KeyError, SyntaxError, struct.error, zlib.error and more, by reader.
    except Exception as failure:
        remedy = "it may be damaged or cut short; make or copy it anew"
        raise DataError(f"{shown(path)}: cannot be read as {kind} ({reason(failure)}); {remedy}") from failure
