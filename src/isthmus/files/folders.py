"""What is in a folder."""

from collections.abc import Iterator
from pathlib import Path

from ..core.errors import DataError
from .failures import damage_named, shown
from .images import IMAGE_ENDINGS

PARQUET, ARROW, ARRAYS, IMAGES = "Parquet files", "Arrow files", "NumPy arrays", "images"
KINDS = {".parquet": PARQUET, ".arrow": ARROW, ".feather": ARROW, ".npy": ARRAYS} | dict.fromkeys(IMAGE_ENDINGS, IMAGES)


def files_of_one_kind(folder: Path) -> tuple[str, list[Path], int]:
    """What the rows of a folder lie in, the files that hold them by name, and how many other files there are.

    Raises DataError for a folder of several kinds, and of none. Arrays beside images may be their labels: they are
    others.
    """
    files = list(files_below(folder))
    found = {kind: [path for path in files if KINDS.get(path.suffix.lower()) == kind] for kind in KINDS.values()}
    kinds = [kind for kind, paths in found.items() if paths]
    if IMAGES in kinds and ARRAYS in kinds:
        kinds.remove(ARRAYS)
    if len(kinds) > 1:
        raise DataError(f"{shown(folder)}: holds both {kinds[1]} and {kinds[0]}; give a folder of one kind")
    if not kinds:
        endings = ", ".join(IMAGE_ENDINGS)
        raise DataError(f"{shown(folder)}: holds neither images ({endings}) nor Parquet, Arrow or .npy files")
    (kind,) = kinds
    return kind, found[kind], len(files) - len(found[kind])


def refuse_partitions(folder: Path, files: list[Path]) -> None:
    """Raise DataError if the names of folders below hold a column, as Hive writes it: it would be lost."""
    for path in files:
        if any("=" in part for part in path.relative_to(folder).parts[:-1]):
            raise DataError(
                f"{shown(path)}: is part of a partitioned data set, whose folder names hold a column; "
                "write it as one file or as files in one folder"
            )


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files in the folder and those below, by name; links are followed, but not in circles."""
    with damage_named(folder, "a folder"):
        here, entries = folder.resolve(), sorted(folder.iterdir())
    for entry in entries:
        # What programs leave behind for themselves: .DS_Store, __MACOSX, _SUCCESS, our own _manifest.json.
        if entry.name.startswith((".", "__MACOSX", "_SUCCESS", "_manifest")):
            continue
        if entry.is_dir() and entry.resolve() not in {here, *above}:
            yield from files_below(entry, above | {here})
        elif entry.is_file():
            yield entry
