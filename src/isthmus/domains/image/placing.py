"""Pictures onto the canvas and off it again, and from one size to another in their own type."""

import math

import numpy as np
import torch
from torch import Tensor

from .checking import Pictures, float_for
from .sizes import SIZE_NUMBERS, Canvas, resized


def placed(given: Pictures, canvas: Canvas, dtype: np.dtype) -> Tensor:
    """Pictures as rows: own height and width, then the canvas with the picture in its corner, NaN beyond it. In the
    float that holds numbers of `dtype`, and of the pictures' own type, exactly."""
    held_in = np.promote_types(float_for(dtype), float_for(given.dtype))
    numbers = np.full((len(given.each), SIZE_NUMBERS + math.prod(canvas.event)), np.nan, held_in)
    numbers[:, :SIZE_NUMBERS] = given.sizes
    planes = numbers[:, SIZE_NUMBERS:].reshape(-1, *canvas.event)
    extents = canvas.extents(torch.from_numpy(given.sizes)).long().tolist()
    for plane, picture, (tall, wide) in zip(planes, given.each, extents, strict=True):
        plane[:, :tall, :wide] = whole(resized(picture, tall, wide), given.dtype).transpose(2, 0, 1)
    return torch.from_numpy(numbers)


def taken(tensor: Tensor, canvas: Canvas, dtype: np.dtype, beyond: float) -> list[np.ndarray]:
    """The pictures of such rows in their own sizes, (height, width, channels) of `dtype`; a missing pixel is
    `beyond`."""
    sizes, pixels = canvas.split(tensor.detach().cpu())
    own = sizes.double().nan_to_num(1.0).round().clamp(min=1.0)
    planes = pixels.nan_to_num(beyond).unflatten(-1, canvas.event).permute(0, 2, 3, 1).numpy()
    sides = zip(own.long().tolist(), canvas.extents(own).long().tolist(), strict=True)
    return [
        np.ascontiguousarray(cast(resized(plane[:tall, :wide], *size), dtype))
        for plane, (size, (tall, wide)) in zip(planes, sides, strict=True)
    ]


def all_resized(images: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Images of one size in another, in their own type."""
    if images.shape[1:] == shape:
        return images
    others = [resized(each.reshape(*each.shape[:2], -1), *shape[:2]) for each in images]
    return cast(np.stack(others).reshape(-1, *shape), images.dtype)


def whole(picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What was reduced, in whole numbers if the picture's own are."""
    return picture if dtype.kind == "f" or picture.dtype.kind != "f" else np.rint(picture)


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers as the type that was fitted; whole numbers are the nearest that it holds."""
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind in "ui" and values.dtype.kind == "f":
        bounds = np.iinfo(dtype)
        values = np.clip(np.round(values), bounds.min, bounds.max)
    return values.astype(dtype)
