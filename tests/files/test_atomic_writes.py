"""Whole files or none."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from isthmus.core.errors import DataError
from isthmus.files.atomic import replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "rows.bin"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == path.parent, "a rename is one step only within a file system"
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["rows.bin"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_everything_as_it_was(tmp_path, failure, existed):
    path = tmp_path / "rows.bin"
    if existed:
        path.write_bytes(b"old")
    with pytest.raises(failure), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise failure
    assert names(tmp_path) == (["rows.bin"] if existed else [])
    assert not existed or path.read_bytes() == b"old"


def test_a_failure_before_anything_is_written(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "rows.bin"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_folder_is_written_as_one(tmp_path):
    with replacing(tmp_path / "images") as temporary:
        (temporary / "below").mkdir(parents=True)
        (temporary / "below" / "a").write_text("a")
        assert names(tmp_path) == [temporary.name]
    assert (tmp_path / "images" / "below" / "a").read_text() == "a"
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "more") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("a")
        raise ZeroDivisionError
    assert names(tmp_path) == ["images"]


def test_a_folder_that_holds_something_is_not_replaced(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine").write_text("mine")
    for make, complaint in {"mkdir": "holds files already; name a new folder", "touch": "is a folder"}.items():
        with pytest.raises(DataError, match=f"images: {complaint}"), replacing(tmp_path / "images") as temporary:
            getattr(temporary, make)()
    assert names(tmp_path) == ["images"] and names(tmp_path / "images") == ["mine"]
    with pytest.raises(DataError, match="is a file"), replacing(tmp_path / "images" / "mine") as temporary:
        temporary.mkdir()
    assert (tmp_path / "images" / "mine").read_text() == "mine"


def test_the_name_of_the_temporary_file_is_not_told(tmp_path):
    """What fails within has the temporary path in its message; nobody would know that name."""
    with pytest.raises(DataError) as caught, replacing(tmp_path / "rows.bin") as temporary:
        temporary.mkdir()
        temporary.write_bytes(b"a folder cannot be written to")
    assert str(caught.value) == f"{tmp_path / 'rows.bin'}: cannot be written (Is a directory); choose another place"


def test_what_was_written_reaches_the_disk_before_the_old_file_goes(tmp_path, monkeypatch):
    path = tmp_path / "rows.bin"
    events = []
    sync, replace = os.fsync, os.rename

    def fsync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def rename(self, target):
        events.append("replace")
        replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(path), "replace", rename)
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert events == ["file", "replace", "folder"]


WRITER = """
import sys
from isthmus.files.atomic import replacing
for number in range(1, 1_000_000):
    with replacing(sys.argv[1]) as temporary, temporary.open("wb") as stream:
        for _ in range(64):
            stream.write(b"%8d" % number * 512)
            stream.flush()
    print(number, flush=True)
"""


def test_kill_9_leaves_a_whole_file(tmp_path):
    """Killed at ten moments of its rewriting, the file is always all of one version."""
    path = tmp_path / "rows.bin"
    for attempt in range(10):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()  # It has written once, and now writes again and again.
            time.sleep(0.003 * attempt)
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == 64 * 512 * 8
        assert content == content[:8] * (64 * 512)


MID_WRITE = """
import os, signal, sys
from isthmus.files.atomic import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_in_mid_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.bin"
    path.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", MID_WRITE, str(path)]).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert all(name.startswith(".") for name in names(tmp_path) if name != "rows.bin"), "what is left is hidden"


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "rows.bin").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "store" / "rows.bin")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "store" / "rows.bin").read_bytes() == b"new"


def test_new_files_have_the_permissions_that_the_user_wants_for_new_files(tmp_path):
    mask = os.umask(0o027)
    try:
        with replacing(tmp_path / "rows.bin") as temporary:
            temporary.write_bytes(b"new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "rows.bin").stat().st_mode) == 0o640


def test_long_names_work(tmp_path):
    path = tmp_path / ("ü" * 120 + ".bin")  # 244 bytes of the 255 that a name may have
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for place, complaint in (
        ("no/rows.bin", "does not exist"),
        ("file/rows.bin", "does not exist"),
        ("pipe", "neither"),
    ):
        with pytest.raises(DataError, match=complaint) as caught, replacing(tmp_path / place):
            pytest.fail("the block must not run")
        assert str(caught.value).startswith(f"{tmp_path}/{place}: ") and "\n" not in str(caught.value)


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(DataError, match="No space left"), replacing(tmp_path / "rows.bin") as temporary:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []
