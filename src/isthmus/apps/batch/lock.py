"""One run at a time writes to a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import DataError
from ...files.failures import shown

try:
    import fcntl
except ImportError:  # Windows has other locks, and none for folders
    fcntl = None


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """While this is entered, no other run writes to the folder, which is made if it is not there.

    The system ends the claim with the process, however that ends. Raises DataError where another run is at work.
    """
    try:
        out.mkdir(exist_ok=True)
    except OSError as failure:
        raise DataError(f"{shown(out)}: cannot be made ({failure.strerror}); choose another place") from failure
    if fcntl is None:
        yield
        return
    held = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{shown(out)}: another run is writing to it; wait for its end, or name a new folder"
            ) from None
        except OSError:  # a file system without locks: as it was before there was one
            pass
        yield
    finally:
        os.close(held)
