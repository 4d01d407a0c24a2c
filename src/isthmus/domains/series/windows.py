"""Long recordings cut into windows of one length, and what was found of windows put back together."""

from typing import Any

import numpy as np

from ...core.errors import DataError, OptionError


def windows(recording: Any, length: int, stride: int | None = None) -> np.ndarray:
    """A recording (steps,) or (steps, channels) as windows (n, length) or (n, length, channels), `stride` steps apart.

    Without `stride` they do not overlap. The last window ends where the recording ends, so that every step is in one:
    it may overlap the one before it by more. `join_windows` puts them together again.
    Raises DataError for a recording that is no array of numbers or shorter than a window, OptionError for a length or a
    stride below 1, or a stride that would leave steps out.
    """
    values = np.asarray(recording)
    if values.ndim not in (1, 2) or values.dtype.kind not in "buif":
        raise DataError(
            f"a recording is an array of numbers (steps,) or (steps, channels); this one has shape {values.shape} and "
            f"holds {values.dtype}"
        )
    return values[_starts(len(values), length, stride)[:, None] + np.arange(length)]


def join_windows(values: Any, steps: int, stride: int | None = None) -> np.ndarray:
    """What windows say of each step, (n, length, …) → (steps, …): the mean of all windows that hold it.

    `steps` is the recording's length, `stride` what the windows were cut with. NaN says nothing; a step of which no
    window says anything is NaN. Where all windows agree, as those of `windows` do, the result is exact.
    Raises DataError if these are not the windows of such a recording.
    """
    parts = np.asarray(values)
    if parts.ndim < 2 or parts.dtype.kind not in "buif":
        raise DataError(f"windows are an array of numbers (n, length, …); this one has shape {parts.shape}")
    length = parts.shape[1]
    starts = _starts(steps, length, stride)
    if len(starts) != len(parts):
        raise DataError(
            f"{len(parts)} windows of {length} steps; a recording of {steps} steps has {len(starts)}: give its own "
            "length and stride"
        )
    dtype = parts.dtype if parts.dtype.kind == "f" else np.dtype(np.float64)
    shape = (steps, *parts.shape[2:])
    # first + mean(value − first), which is `first` to the last bit where all are equal; a mean of equals need not be.
    first, beyond, count = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    for start, part in zip(starts, parts.astype(np.float64), strict=True):
        place = slice(start, start + length)
        said = ~np.isnan(part)
        new = said & (count[place] == 0)
        first[place][new] = part[new]
        beyond[place] += np.where(said, part - first[place], 0.0)
        count[place] += said
    return (first + beyond / np.maximum(count, 1)).astype(dtype)


def _starts(steps: int, length: int, stride: int | None) -> np.ndarray:
    """At which step each window begins."""
    stride = length if stride is None else stride
    for name, value in (("length", length), ("stride", stride)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise OptionError(f"{name}={value!r}: should be a whole number of steps, at least 1")
    if stride > length:
        raise OptionError(f"stride={stride}: beyond the length of a window, {length}, steps would be left out")
    if steps < length:
        raise DataError(f"a recording of {steps} steps is shorter than a window of {length}; give a shorter length")
    starts = np.arange(0, steps - length + 1, stride)
    return starts if starts[-1] == steps - length else np.append(starts, steps - length)
