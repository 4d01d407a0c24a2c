"""One pass over rows, a few at a time, tells what fitting to all of them would, but for the scales of numbers."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import domains
from isthmus.core.errors import DataError
from isthmus.domains.table import survey as surveys
from isthmus.domains.table.columns import CategoryColumn, Quantity

WHOLE = st.integers(-1000, 1000)
CELLS = {
    "number": (st.floats(-1e6, 1e6), pa.float64()),
    "whole numbers told as real ones": (WHOLE.map(float), pa.float64()),
    "now and then not whole": (st.one_of(WHOLE.map(float), WHOLE.map(float), st.just(0.5)), pa.float32()),
    "decimal": (WHOLE.map(lambda n: n / 4), pa.float64()),
    "integer": (WHOLE, pa.int16()),
    "boolean": (st.booleans(), pa.bool_()),
    "text": (st.sampled_from(["ü", "b", "c", "long" * 9]), pa.string()),
    "category": (st.sampled_from(["x", "y", "z"]), pa.dictionary(pa.int8(), pa.string())),
    "date": (st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)), pa.date32()),
    "day": (
        st.integers(0, 3000).map(lambda day: datetime.datetime(2000, 1, 1) + datetime.timedelta(days=day)),
        pa.timestamp("us"),
    ),
    "hour": (
        st.integers(0, 99).map(lambda hours: datetime.datetime(2000, 1, 1, 5) + datetime.timedelta(hours=12 * hours)),
        pa.timestamp("ns"),
    ),
    "empty": (st.none(), pa.float64()),
}


@st.composite
def tables(draw):
    rows = draw(st.integers(3, 40))
    names = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4, unique=True))
    missing = draw(st.sets(st.sampled_from(names)))
    columns = []
    for name in names:
        cells, type_ = CELLS[name]
        values = st.one_of(cells, st.none()) if name in missing else cells
        columns.append(pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), type_))
    return pa.table(columns, names=names)


def parts_of(rows, size: int):
    for first in range(0, len(rows), size):
        yield first, rows.slice(first, size) if isinstance(rows, pa.Table) else rows[first : first + size]


def surveyed(name: str, rows, size: int):
    """The survey of rows in parts of this size, and the domain fitted to the first two rows and the witnesses."""
    kind = domains.find(name)
    survey = kind.survey()
    for first, part in parts_of(rows, size):
        survey.add(part, first)
    parts = [rows[:2], survey.witnesses()]
    joined = pa.concat_tables(parts) if isinstance(rows, pa.Table) else np.concatenate(parts)
    return survey, survey.refined(kind.fit(joined, strict=False))


def ends(column: Quantity) -> list:
    return column.cells(np.array([column.low, column.high])).to_pylist()


@settings(deadline=None, max_examples=150)
@given(tables(), st.integers(1, 50))
def test_a_tables_schema_is_that_of_all_rows(table, size):
    exact = domains.find("table").fit(table, strict=False)
    survey, found = surveyed("table", table, size)
    assert len(survey.witnesses()) <= 20 * table.num_columns
    for theirs, ours in zip(exact.columns, found.columns, strict=True):
        assert (ours.kind, ours.name, ours.type, ours.has_missing) == (
            theirs.kind,
            theirs.name,
            theirs.type,
            theirs.has_missing,
        )
        if isinstance(theirs, Quantity):
            assert ends(ours) == ends(theirs)
            assert getattr(ours, "unit", 1) == getattr(theirs, "unit", 1)
        if isinstance(theirs, CategoryColumn):
            assert (ours.values, ours.counts, ours.identifier) == (theirs.values, theirs.counts, theirs.identifier)
            assert theirs.dictionary is None or set(ours.dictionary) >= set(theirs.values)
    # Whatever the scales are, rows come back as they were; real numbers that were not in the sample, nearly so.
    for theirs, ours in zip(table.columns, found.rows(found.tensors(table)).columns, strict=True):
        for cell, back in zip(theirs.to_pylist(), ours.to_pylist(), strict=True):
            assert back == (pytest.approx(cell, rel=1e-9, abs=1e-9) if isinstance(cell, float) else cell)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0, 3, 9, 200]), min_size=3, max_size=12),
    st.integers(1, 5),
    st.sampled_from(["u1", "i4"]),
)
def test_an_images_schema_is_that_of_all_rows(shades, size, dtype):
    images = np.array(shades, dtype)[:, None, None].repeat(2, 1).repeat(2, 2)
    images[0, 0, 0] = 0
    exact = domains.find("image").fit(images, strict=False)
    survey, found = surveyed("image", images, size)
    assert found.schema() == exact.schema()
    assert len(survey.witnesses()) <= 3


def test_a_matrix_is_surveyed_as_a_table():
    matrix = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    matrix[40, 1] = 99
    _, found = surveyed("table", matrix, 7)
    assert ends(found.columns[1])[1] == 99
    assert np.array_equal(found.rows(found.tensors(matrix)), matrix)


def test_outliers_of_all_rows_make_a_heavy_tail():
    cells = np.random.default_rng(0).normal(size=5000)
    cells[4321] = 1e9
    survey = domains.find("table").survey()
    for first, part in parts_of(pa.table({"a": cells}), 100):
        survey.add(part, first)
    sample = pa.table({"a": cells[:1000]})
    found = domains.find("table").fit(pa.concat_tables([sample, survey.witnesses()]))
    assert found.columns[0].scale.heavy
    assert 0.5 < found.columns[0].scale.width * 2.0 ** found.columns[0].exponent < 3


def test_too_many_categories_are_those_of_the_sample(monkeypatch):
    monkeypatch.setattr(surveys, "MOST_COUNTED", 50)
    table = pa.table({"name": [f"n{row % 300}" for row in range(900)], "few": ["a", "b", "c"] * 300})
    _, found = surveyed("table", table, 100)
    name, few = found.columns
    assert name.has_missing and not name.identifier
    assert len(name.values) < 20
    assert np.isnan(name.numbers(pa.array(["n299"]))).all()  # unseen: as missing
    assert few.counts == [300, 300, 300]
    identifiers = pa.table({"name": [f"n{row}" for row in range(900)]})
    survey = domains.find("table").survey()
    for first, part in parts_of(identifiers, 100):
        survey.add(part, first)
    assert survey.refined(domains.find("table").fit(identifiers.slice(0, 60))).columns[0].identifier


def test_infinity_is_named_by_its_row():
    survey = domains.find("table").survey()
    survey.add(pa.table({"a": [1.0, 2.0]}), 0)
    with pytest.raises(DataError, match="column 'a', row 3: the value is infinity"):
        survey.add(pa.table({"a": [1.0, float("inf")]}), 2)


def test_cells_that_cannot_be_modelled_are_refused_before_the_pass():
    with pytest.raises(DataError, match="column 'a' holds list"):
        domains.find("table").survey().add(pa.table({"a": [[1], [2]]}), 0)


def test_rows_that_show_nothing_any_more_are_left():
    """Each slice has a new greatest number; what was kept of those before would grow with the stream."""
    survey = domains.find("table").survey()
    for start in range(0, 500, 10):
        survey.add(pa.table({"rising": np.arange(start, start + 10), "still": np.zeros(10)}), start)
    kept = survey.witnesses()
    assert kept.column("rising").to_pylist() == [0, 499]
