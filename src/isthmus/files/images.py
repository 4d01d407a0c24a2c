"""Reads a folder of images, of one size or of many."""

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
# Of files that cannot be read, so many are named.
MOST_NAMED = 5


def read_images(folder: Path, files: list[Path]) -> Source:
    """The images in the order given. Of one size they are one array (n, height, width), or (n, height, width, channels)
    where there are several channels; of many sizes an array of arrays (height, width, channels).

    All get the channels that the richest needs: a colour image makes all of them colour, three channels. Transparent
    pixels are put on white, unless every image has some: then opacity is kept as a fourth channel. Values are uint8,
    and uint16 where every image is grey in 16 bits; otherwise 16 bits become 8. Rotations noted by a camera are carried
    out. Files that cannot be read are left out and named in a note.
    Raises DataError, naming the first file, if none is left, and if the images are larger than memory should hold.
    """
    reading = _Reading(folder)
    for path in files:
        reading.size_of(path)
    check_bytes(folder, reading.claimed)
    images = [reading.pixels_of(path) for path in files]
    read = [path for path, image in zip(files, images, strict=True) if image is not None]
    if not read:
        raise reading.failures[files[0]]
    rows = _joined(folder, [image for image in images if image is not None], reading)
    ids = [shown(path.relative_to(folder).as_posix()) for path in read]
    return Source(folder.resolve().name, rows, _folder_labels(folder, read), ids, reading.notes())


class _Reading:
    """What was found of a folder's files so far."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.claimed = 0  # pixels, by what files say of themselves
        self.failures: dict[Path, DataError] = {}
        self.decisions: dict[str, int] = {}

    def size_of(self, path: Path) -> None:
        """Look at what a file says of itself; nothing is decoded."""
        try:
            with _opened(path) as image:
                self.claimed += image.width * image.height
        except DataError as failure:
            self.failures[path] = failure

    def pixels_of(self, path: Path) -> np.ndarray | None:
        """One image: (height, width) if it is grey, uint8 or uint16, else (height, width, 3), or 4 if some of it is
        transparent; None if it cannot be read."""
        if path in self.failures:
            return None
        try:
            with _opened(path) as image:
                return self._pixels(image)
        except DataError as failure:
            self.failures[path] = failure
            return None

    def _pixels(self, image: Image.Image) -> np.ndarray:
        if getattr(image, "n_frames", 1) > 1:
            self.note("with several frames, of which the first was taken")
            image.seek(0)
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            return np.asarray(upright).astype(np.uint16)
        if upright.has_transparency_data:
            pixels = np.asarray(upright.convert("RGBA"))
            return pixels if (pixels[..., 3] < 255).any() else _without_colour(pixels[..., :3])
        return _without_colour(np.asarray(upright.convert("L" if upright.mode in ("1", "L") else "RGB")))

    def note(self, what: str, count: int = 1) -> None:
        self.decisions[what] = self.decisions.get(what, 0) + count

    def notes(self) -> tuple[str, ...]:
        notes = [f"images {what}: {count}" for what, count in self.decisions.items()]
        if self.failures:
            names = [shown(path.relative_to(self.folder).as_posix()) for path in self.failures]
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            listed = ", ".join(names[:MOST_NAMED]) + more
            notes.append(f"images left out because they cannot be read: {len(names)} ({listed})")
        return tuple(notes)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image that is small enough, of a kind that is read. Whatever goes wrong inside is a DataError of one line."""
    if not path.stat().st_size:
        raise DataError(f"{shown(path)}: is empty (0 bytes); remove it or copy it anew")
    with damage_named(path, "an image"), _quiet(), Image.open(path, formats=_DECODERS) as image:
        if image.width * image.height > MAXIMUM_PIXELS:
            size = f"{image.width}×{image.height}"
            raise DataError(f"{shown(path)}: claims {size} pixels, more than {MAXIMUM_PIXELS:,}; make it smaller")
        if image.mode in ("I", "F"):
            raise DataError(f"{shown(path)}: has 32 bits per pixel; save it with 8 bits per channel")
        yield image


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


def _joined(folder: Path, images: list[np.ndarray], reading: _Reading) -> np.ndarray:
    """Images with as many channels and the same type each; the list is emptied on the way, so that no more memory is
    taken than for one copy."""
    wide = all(image.dtype == np.uint16 for image in images)
    channels = _channels(images)
    size = images[0].shape[:2]
    alike = all(image.shape[:2] == size for image in images)
    if alike:
        shape = (len(images), *size, channels) if channels > 1 else (len(images), *size)
        check_bytes(folder, math.prod(shape) * images[0].dtype.itemsize)
        rows = np.empty(shape, np.uint16 if wide else np.uint8)
    else:
        check_bytes(folder, sum(math.prod(image.shape[:2]) * channels * image.dtype.itemsize for image in images))
        rows = np.empty(len(images), dtype=object)
    for place in range(len(images)):
        image = _with_channels(_narrowed(images[place], wide, reading), channels, reading)
        rows[place] = image[..., 0] if alike and channels == 1 else np.ascontiguousarray(image)
        images[place] = np.empty(0)
    return rows


def _channels(images: list[np.ndarray]) -> int:
    """The channels that all images get: opacity stays one only if all of them have it."""
    own = [image.shape[2] if image.ndim == 3 else 1 for image in images]
    if all(channels == 4 for channels in own):
        return 4
    return 3 if any(_without_colour(_on_white(image)).ndim == 3 for image in images if image.ndim == 3) else 1


def _narrowed(image: np.ndarray, wide: bool, reading: _Reading) -> np.ndarray:
    if image.dtype != np.uint16 or wide:
        return image
    reading.note("with 16 bits per pixel, of which the upper 8 were kept")
    return (image >> 8).astype(np.uint8)


def _with_channels(image: np.ndarray, channels: int, reading: _Reading) -> np.ndarray:
    """(height, width, channels)."""
    if image.ndim == 3 and image.shape[2] == 4 and channels < 4:
        reading.note("with transparency, put on white")
        image = _on_white(image)
    if image.ndim == 2:
        image = image[:, :, None]
    return image[:, :, :1] if channels == 1 else np.broadcast_to(image, (*image.shape[:2], channels))


def _on_white(image: np.ndarray) -> np.ndarray:
    """A transparent image on white; others as they are."""
    if image.ndim == 2 or image.shape[2] < 4:
        return image
    picture = Image.fromarray(image)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture))[..., :3]


def _folder_labels(folder: Path, files: list[Path]) -> dict[str, np.ndarray]:
    """The name of each image's own folder, where the images lie in several: the usual way to store classes."""
    parents = [shown(path.parent.relative_to(folder).as_posix()) for path in files]
    return {"folder": np.array(parents)} if len(set(parents)) > 1 and "." not in parents else {}
