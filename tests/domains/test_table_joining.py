"""Tables of one content in several types become one table, and those of several contents are refused by name."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from isthmus.core.errors import DataError
from isthmus.domains.table.joining import joined

DAY = dt.date(2024, 2, 3)
MOMENT = dt.datetime(2024, 2, 3, 4)
SPAN = dt.timedelta(hours=5)


def both(first: pa.Array, second: pa.Array) -> pa.ChunkedArray:
    return joined({"these": pa.table({"x": first}), "those": pa.table({"x": second})}).column("x")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (pa.array([1, 2]), pa.array([1, 2]), [1, 2, 1, 2]),
        (pa.array([1, None]), pa.array([0.5]), [1.0, None, 0.5]),
        (pa.array([1], pa.uint8()), pa.array([-300], pa.int16()), [1.0, -300.0]),
        (pa.array([Decimal("1.5")]), pa.array([2.5]), [1.5, 2.5]),
        (pa.array(["a"]), pa.array(["b", None], pa.large_string()), ["a", "b", None]),
        (pa.array(["a", "b"]).dictionary_encode(), pa.array(["c"]), ["a", "b", "c"]),
        (pa.array([7, 8]).dictionary_encode(), pa.array([9.0]), [7.0, 8.0, 9.0]),
        (pa.array([True]), pa.array([None, False]), [True, None, False]),
        (pa.array([DAY]), pa.array([MOMENT], pa.timestamp("s")), [dt.datetime(2024, 2, 3), MOMENT]),
        (pa.array([SPAN], pa.duration("s")), pa.array([SPAN], pa.duration("ms")), [SPAN, SPAN]),
        (pa.array([dt.time(4)], pa.time32("s")), pa.array([dt.time(5)], pa.time64("us")), [dt.time(4), dt.time(5)]),
        (pa.nulls(2), pa.array(["a"]), [None, None, "a"]),
        (pa.array(["a"]), pa.array([None], pa.float64()), ["a", None]),
        (pa.nulls(1), pa.array([None], pa.float64()), [None, None]),
    ],
)
def test_cells_stand_in_one_column(first: pa.Array, second: pa.Array, expected: list) -> None:
    assert both(first, second).to_pylist() == expected


def test_text_and_categories_become_categories() -> None:
    assert pa.types.is_dictionary(both(pa.array(["1"]), pa.array(["2"])).type)
    assert pa.types.is_dictionary(both(pa.array([1]).dictionary_encode(), pa.array([2])).type)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (pa.array([1]), pa.array(["a"]), ["numbers in these", "text in those"]),
        (pa.array([True]), pa.array([1]), ["true and false in these", "numbers in those"]),
        (pa.array([DAY]), pa.array([SPAN]), ["dates in these", "durations in those"]),
        (
            pa.array([MOMENT]),
            pa.array([MOMENT], pa.timestamp("us", "UTC")),
            ["dates in these", "dates with a time zone in those"],
        ),
        (pa.array([dt.time(4)]), pa.array([DAY]), ["times of day in these", "dates in those"]),
    ],
)
def test_cells_of_other_sorts_are_refused_by_name(first: pa.Array, second: pa.Array, words: list[str]) -> None:
    with pytest.raises(DataError) as refused:
        both(first, second)
    assert all(word in str(refused.value) for word in ["'x'", *words])


def test_columns_go_by_their_names() -> None:
    first, second = pa.table({"x": [1], "y": ["a"]}), pa.table({"y": ["b"], "x": [2]})
    assert joined({"these": first, "those": second}).to_pylist() == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]
    with pytest.raises(DataError, match="those: column 'y' is missing, which these have"):
        joined({"these": first, "those": second.drop_columns(["y"])})
    with pytest.raises(DataError, match="those: have a column 'z', which these lack"):
        joined({"these": first, "those": second.append_column("z", pa.array([0]))})
