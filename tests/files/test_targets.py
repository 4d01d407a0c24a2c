"""Targets come out of the rows, and only they."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from isthmus.core.errors import DataError
from isthmus.files.reading import Source, read
from isthmus.files.target import drop, labelled

TABLE = Source(
    "birds",
    pa.table(
        {
            "mass": [1.5, None, 3.0],
            "kind": pa.array(["a", "b", None]).dictionary_encode(),
            "count": [1, 2, None],
            "tame": [True, False, True],
            "day": [datetime.date(2020, 1, day) for day in (1, 2, 3)],
        }
    ),
)
ARRAY = Source("digits", np.zeros((3, 2, 2)), {"target": np.array([4, 5, 6])})


def test_a_column_is_taken_out_of_a_table():
    rows, target = labelled(TABLE, "kind")
    assert rows.column_names == ["mass", "count", "tame", "day"]
    assert target.tolist() == ["a", "b", None]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("mass", np.array([1.5, np.nan, 3.0])),
        ("count", np.array([1.0, 2.0, np.nan])),
        ("tame", np.array([True, False, True])),
        ("day", np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[D]")),
    ],
)
def test_values_have_the_type_of_their_column(column, values):
    target = labelled(TABLE, column)[1]
    np.testing.assert_array_equal(target, values)
    assert target.dtype == values.dtype


def test_labels_beside_an_array():
    rows, target = labelled(ARRAY, "target")
    assert rows is ARRAY.rows
    np.testing.assert_array_equal(target, [4, 5, 6])


def test_columns_are_dropped():
    assert drop(TABLE, ["day", "mass", "day"]).rows.column_names == ["kind", "count", "tame"]
    assert drop(TABLE, []) == TABLE
    assert drop(ARRAY, []) is ARRAY


@pytest.mark.parametrize(
    ("attempt", "complaint"),
    [
        (lambda: labelled(TABLE, "Kind"), "birds: has no column 'Kind'; it has 'mass', 'kind', 'count', 'tame', 'day'"),
        (lambda: labelled(ARRAY, "y"), "digits: no labels are called 'y'; it has 'target'"),
        (lambda: labelled(Source("rows", np.zeros((3, 2))), "y"), "rows: no labels are called 'y'; it has none"),
        (lambda: drop(TABLE, ["mass", "x"]), "birds: has no column 'x'"),
        (lambda: drop(ARRAY, ["x0"]), "digits: an array has no columns by name"),
        (lambda: labelled(Source("one", pa.table({"y": [1]})), "y"), "one: without 'y' no column is left"),
    ],
)
def test_mistakes_are_named(attempt, complaint):
    with pytest.raises(DataError) as caught:
        attempt()
    assert str(caught.value).startswith(complaint)


def test_penguins_lose_their_species():
    rows, species = labelled(read("penguins"), "species")
    assert rows.num_columns == 7 and set(species) == {"Adelie", "Gentoo", "Chinstrap"}
