"""Reads a folder of images, all of one size, as an array of bytes."""

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..core.errors import DataError
from .failures import damage_named, shown
from .limits import MAXIMUM_PIXELS, check_bytes
from .source import Source

# Pillow logs what it also raises; without a handler Python would print it beside our one line.
logging.getLogger("PIL").addHandler(logging.NullHandler())

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Only the decoders of these endings: Pillow knows dozens more, and each is a way in for a hostile file.
_DECODERS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")


def read_images(folder: Path, files: list[Path]) -> Source:
    """The images in the order given: (n, height, width) if all are grey, else (n, height, width, 3); uint8.

    Transparent pixels are put on white, rotations noted by a camera are carried out, 16 bits become 8.
    Raises DataError naming the file if one is damaged, too large, or of another size than the first.
    """
    decisions: dict[str, int] = {}
    first = _pixels(files[0], decisions)
    rows = _allocate(folder, len(files), first.shape[:2], first.ndim == 3)
    rows[0] = first
    for position, path in enumerate(files[1:], 1):
        pixels = _pixels(path, decisions)
        if pixels.shape[:2] != first.shape[:2]:
            raise DataError(
                f"{shown(path)}: is {_size(pixels)} pixels but {shown(files[0])} is {_size(first)}; "
                "resize the images to one size"
            )
        if pixels.ndim == 3 and rows.ndim == 3:
            grey, rows = rows, _allocate(folder, len(files), first.shape[:2], colour=True)
            rows[:position] = grey[:position, :, :, None]
        rows[position] = pixels if pixels.ndim + 1 == rows.ndim else pixels[:, :, None]
    ids = [shown(path.relative_to(folder).as_posix()) for path in files]
    notes = tuple(f"images {what}: {count}" for what, count in decisions.items())
    return Source(folder.resolve().name, rows, _folder_labels(folder, files), ids, notes)


def _pixels(path: Path, decisions: dict[str, int]) -> np.ndarray:
    """One image: (height, width) if it is grey, else (height, width, 3)."""

    def note(what: str) -> None:
        decisions[what] = decisions.get(what, 0) + 1

    if not path.stat().st_size:
        raise DataError(f"{shown(path)}: is empty (0 bytes); remove it or copy it anew")
    with damage_named(path, "an image"), _quiet(), Image.open(path, formats=_DECODERS) as image:
        if image.width * image.height > MAXIMUM_PIXELS:
            size = f"{image.width}×{image.height}"
            raise DataError(f"{shown(path)}: claims {size} pixels, more than {MAXIMUM_PIXELS:,}; make it smaller")
        if getattr(image, "n_frames", 1) > 1:
            note("with several frames, of which the first was taken")
            image.seek(0)
        if image.mode in ("I", "F"):
            raise DataError(f"{shown(path)}: has 32 bits per pixel; save it with 8 bits per channel")
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            note("with 16 bits per pixel, of which the upper 8 were kept")
            return (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            if upright.getchannel("A").getextrema() != (255, 255):
                note("with transparency, put on white")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        return _without_colour(np.asarray(upright.convert("L" if upright.mode in ("1", "L") else "RGB")))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: sizes are checked here, and odd metadata does not change a pixel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _without_colour(pixels: np.ndarray) -> np.ndarray:
    """A colour image whose channels are equal, as a grey one."""
    if pixels.ndim == 3 and (pixels == pixels[:, :, :1]).all():
        return pixels[:, :, 0]
    return pixels


def _allocate(folder: Path, count: int, size: tuple[int, ...], colour: bool) -> np.ndarray:
    shape = (count, *size, 3) if colour else (count, *size)
    check_bytes(folder, math.prod(shape))
    return np.empty(shape, np.uint8)


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"


def _folder_labels(folder: Path, files: list[Path]) -> dict[str, np.ndarray]:
    """The name of each image's own folder, where the images lie in several: the usual way to store classes."""
    parents = [shown(path.parent.relative_to(folder).as_posix()) for path in files]
    return {"folder": np.array(parents)} if len(set(parents)) > 1 and "." not in parents else {}
