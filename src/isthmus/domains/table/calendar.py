"""Calendar parts of dates: what returns each year, week or day.

Days count from 1970-01-01. Everything is whole numbers in floats, of NumPy or of torch alike; NaN stays NaN.
"""

from typing import Any, Literal

import numpy as np
import pyarrow as pa

Part = Literal["month", "weekday", "hour"]
# How many values each part has.
VALUES: dict[Part, int] = {"month": 12, "weekday": 7, "hour": 24}
# Days that a part takes to come back. It is worth telling where it has come back at least once.
CYCLES: dict[Part, int] = {"month": 366, "weekday": 7, "hour": 1}
TICKS_A_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
# 1970-01-01 was a Thursday; 0000-03-01, from which the days of a leap cycle count, was so many days before it.
FIRST_WEEKDAY, MARCH_OF_YEAR_0 = 3, 719_468


def ticks_a_day(type_: pa.DataType) -> int:
    """How many ticks of a date's type make a day; 0 for times of day and durations, which have no calendar."""
    if pa.types.is_timestamp(type_):
        return TICKS_A_DAY[type_.unit]
    return 1 if pa.types.is_date32(type_) else TICKS_A_DAY["ms"] if pa.types.is_date64(type_) else 0


def meaningful_parts(ticks: np.ndarray, day: int) -> list[Part]:
    """The parts that differ among observed dates and have come back, given ticks (rows,), so many a day."""
    if not day:
        return []
    span = (int(ticks.max()) - int(ticks.min())) / day
    days, rest = ticks // day, ticks % day
    found: list[Part] = []
    for name, cycle in CYCLES.items():
        values = part(name, days.astype(np.float64), rest / day)
        if span >= 2 * cycle and values.min() < values.max():
            found.append(name)
    return found


def part(name: Part, days: Any, rest: Any) -> Any:
    """A part, counted from 0 (January, Monday, midnight), of whole days and the rest of a day, from 0 to 1."""
    if name == "hour":
        # Hours are never a rounding error before they begin.
        return (rest * 24 + 1e-6) // 1
    return (days + FIRST_WEEKDAY) % 7 if name == "weekday" else _month(days)


def _month(days: Any) -> Any:
    """The Gregorian calendar's month. Its years begin in March, so that leap days come last; 400 years are a cycle
    (Hinnant, 2013, https://howardhinnant.github.io/date_algorithms.html)."""
    day = (days + MARCH_OF_YEAR_0) % 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day_of_year = day - (365 * year + year // 4 - year // 100)
    return ((5 * day_of_year + 2) // 153 + 2) % 12
