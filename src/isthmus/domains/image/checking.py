"""What pictures come as, and what they must be: one array of numbers, or one for each picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.errors import DataError
from ...core.rows import one_by_one

MOST_CHANNELS = 4
# Whole numbers of pictures of many sizes are held as 64-bit floats, exact up to here.
LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Pictures:
    """Pictures of sizes of their own, each (height, width, channels)."""

    each: list[np.ndarray]
    flat: bool  # whether they came without a dimension for channels
    dtype: np.dtype

    @property
    def channels(self) -> int:
        return self.each[0].shape[2]

    @property
    def sizes(self) -> np.ndarray:
        """Own heights and widths, (rows, 2)."""
        return np.array([picture.shape[:2] for picture in self.each])


def is_list_of_pictures(rows: Any) -> bool:
    """Whether these can be pictures one by one: a list, a tuple or an array of arrays of 2 or 3 dimensions."""
    if isinstance(rows, np.ndarray):
        return rows.dtype == object and rows.ndim == 1 and len(rows) > 0 and is_list_of_pictures(list(rows))
    many = isinstance(rows, list | tuple) and len(rows) > 0
    return many and all(isinstance(each, np.ndarray) and each.ndim in (2, 3) for each in rows)


def are_surely_pictures(rows: Any) -> bool:
    """Whether a list of arrays can be nothing else: series have at most two dimensions and all the same channels."""
    if not is_list_of_pictures(rows):
        return False
    return any(each.ndim == 3 for each in rows) or len({each.shape[1] for each in rows}) > 1


def indexed(rows: Any) -> Any:
    """Pictures one by one as an array of arrays, of which some can be picked; other rows as they are."""
    listed = is_list_of_pictures(rows) and not isinstance(rows, np.ndarray)
    return one_by_one(rows) if listed else rows


def pictures_of(rows: Sequence[np.ndarray]) -> Pictures:
    """Pictures one by one. Raises DataError, naming the picture and the pixel, for what cannot be modelled."""
    given = list(rows)
    flat = given[0].ndim == 2
    for place, picture in enumerate(given):
        if picture.dtype.kind not in "uifb":
            raise DataError(f"image {place}: holds {picture.dtype}; pixels are numbers")
        if not picture.size:
            raise DataError(f"image {place}: is empty, its shape is {picture.shape}; leave it out")
        if picture.shape[2:] != given[0].shape[2:]:
            raise DataError(
                f"image {place}: has the shape {picture.shape}, image 0 {given[0].shape}; give all of them the same "
                "channels"
            )
        _check_channels(picture.shape)
        _check_finite(picture, place)
    dtype = np.result_type(*given)
    shaped = [picture.reshape(*picture.shape[:2], -1) for picture in given]
    if dtype.kind in "ui" and dtype.itemsize == 8:
        _check_exact(shaped)
    return Pictures(shaped, flat, dtype)


def _check_exact(pictures: list[np.ndarray]) -> None:
    for place, picture in enumerate(pictures):
        if np.abs(picture.astype(np.float64)).max() > LARGEST_WHOLE:
            raise DataError(f"image {place}: whole numbers beyond 2⁵³ cannot be told apart as floats; give floats")


def checked(images: np.ndarray) -> np.ndarray:
    """The images, if they are an array of numbers with rows first."""
    if images.ndim not in (3, 4) or images.dtype.kind not in "uifb":
        raise DataError(
            f"images should be an array n×h×w or n×h×w×c of numbers; this one has shape {images.shape} and holds "
            f"{images.dtype}"
        )
    if 0 in images.shape:
        raise DataError(f"the array of images is empty: its shape is {images.shape}")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        place = np.argwhere(~np.isfinite(images))[0]
        raise DataError(f"image {place[0]}, pixel {tuple(int(i) for i in place[1:])}: the value is NaN or infinity")
    return images


def _check_channels(shape: tuple[int, ...]) -> None:
    if len(shape) == 3 and shape[2] > MOST_CHANNELS:
        raise DataError(f"images of shape {shape}: the last dimension should be at most {MOST_CHANNELS} channels")


def _check_finite(picture: np.ndarray, place: int) -> None:
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        pixel = tuple(int(i) for i in np.argwhere(~np.isfinite(picture))[0])
        raise DataError(f"image {place}, pixel {pixel}: the value is NaN or infinity")


def held_as(images: np.ndarray) -> type[np.generic]:
    """The smallest type that torch computes with and that holds these numbers exactly."""
    kind, size = images.dtype.kind, images.dtype.itemsize
    if kind == "f":
        return np.float32 if size <= 4 else np.float64
    if kind == "b" or images.dtype == np.uint8:
        return np.uint8
    bounds = np.iinfo(np.int32)
    return np.int32 if images.min() >= bounds.min and images.max() <= bounds.max else np.int64


def float_for(dtype: np.dtype) -> type[np.floating]:
    """The float that holds these numbers exactly, and NaN beyond a picture."""
    small = dtype.kind == "b" or (dtype.kind == "f" and dtype.itemsize <= 4)
    return np.float32 if small or (dtype.kind in "ui" and dtype.itemsize <= 2) else np.float64
