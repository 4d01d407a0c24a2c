"""Archives of tables: whatever the reader accepts comes back bit for bit, and damage is always noticed."""

import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.compression import archive
from isthmus.compression.archive import Archive, Options, chunks, codec_for, write
from isthmus.core.errors import ArchiveError, DataError

UNTRAINED = Options(budget=0.0)


def archived(table: pa.Table, options: Options = UNTRAINED) -> bytes:
    stream = io.BytesIO()
    write(stream, codec_for(table, table.num_rows, options), chunks(table, options.chunk_rows), options=options)
    return stream.getvalue()


def restored(data: bytes, *rows: int) -> pa.Table:
    return Archive(io.BytesIO(data), "a.isth").read(*rows)


def assert_same(one: pa.Table, other: pa.Table) -> None:
    """Equal schema, missing cells and bits: NaN equals NaN of the same bits, 0.0 is not -0.0."""
    assert one.schema.equals(other.schema)
    for name in one.schema.names:
        a, b = (pa.concat_arrays(t.column(name).chunks or [pa.array([], t.column(name).type)]) for t in (one, other))
        if pa.types.is_floating(a.type):
            width = f"i{a.type.bit_width // 8}"
            bits = [each.fill_null(0).to_numpy(zero_copy_only=False).view(width) for each in (a, b)]
            np.testing.assert_array_equal(*bits)
            assert a.is_null(nan_is_null=False).equals(b.is_null(nan_is_null=False))
        else:
            assert a.equals(b), name


def floats(width: int) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.floats(width=width),
        st.integers(-1000, 1000).map(lambda n: n / 10),
        st.sampled_from([0.0, -0.0, float("nan"), float("inf")]),
    )


CELLS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3)),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.bool_(): st.booleans(),
    pa.float64(): floats(64),
    pa.float32(): floats(32),
    pa.string(): st.one_of(st.text(max_size=6), st.sampled_from(["a", "b", ""])),
    pa.large_string(): st.text(max_size=3),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("s", "UTC"): st.integers(-(2**40), 2**40),
    pa.duration("ns"): st.integers(-(2**62), 2**62),
    pa.time64("us"): st.times(),
    pa.decimal128(30, 2): st.decimals(-(10**25), 10**25, places=2),
    pa.null(): st.none(),
    pa.dictionary(pa.int8(), pa.string()): st.sampled_from(["x", "y", "ü"]),
}


@st.composite
def tables(draw: Callable[..., Any]) -> pa.Table:
    rows = draw(st.sampled_from([0, 1, 2, 7, 40]))
    columns = {}
    for index in range(draw(st.integers(1, 5))):
        type_ = draw(st.sampled_from(list(CELLS)))
        cells = CELLS[type_]
        if draw(st.booleans()):
            cells = st.one_of(st.none(), cells)
        columns[f"c{index}"] = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), type_)
    return pa.table(columns)


@settings(deadline=None, max_examples=75, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables(), st.sampled_from([3, 16, 65536]))
def test_any_table_comes_back_bit_for_bit(table: pa.Table, chunk_rows: int) -> None:
    data = archived(table, Options(budget=0.0, chunk_rows=chunk_rows))
    assert_same(restored(data), table)


def orders(rows: int = 3000, seed: int = 0) -> pa.Table:
    """A table with what tables have: sorted times, sums of columns, functions of columns, repeats, missing cells."""
    random = np.random.default_rng(seed)
    when = np.cumsum(random.integers(0, 3, rows)) + 1_700_000_000
    city = random.choice(["Ghent", "Lyon", "Pau", "Łódź"], rows, p=[0.6, 0.2, 0.1, 0.1])
    country = np.where(city == "Ghent", "BE", np.where(city == "Łódź", "PL", "FR"))
    price = np.round(random.lognormal(3, 1, rows), 2)
    pieces = random.integers(1, 9, rows)
    customer = random.integers(0, 400, rows) * 7919
    return pa.table(
        {
            "when": pa.array(when, pa.timestamp("s")),
            "city": pa.array(city, mask=random.random(rows) < 0.05),
            "country": pa.array(country),
            "price": pa.array(price),
            "pieces": pa.array(pieces),
            "total": pa.array(np.round(price * pieces, 2)),
            "customer": pa.array(customer),
            "ratio": pa.array(random.normal(size=rows)),
            "constant": pa.array(["same"] * rows),
        }
    )


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return orders()


@pytest.fixture(scope="module")
def data(table: pa.Table) -> bytes:
    return archived(table, Options(budget=3.0, chunk_rows=1000))


def test_any_range_of_rows_is_read_alone(table: pa.Table, data: bytes) -> None:
    for start, stop in ((0, 3000), (0, 1), (999, 1001), (2999, 3000), (100, 100), (0, 0)):
        assert_same(restored(data, start, stop), table.slice(start, stop - start))


def test_is_smaller_than_general_compressors_make_it(table: pa.Table) -> None:
    import lzma

    import pyarrow.csv

    stream = io.BytesIO()
    pyarrow.csv.write_csv(table, stream)
    general = len(lzma.compress(stream.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    assert len(archived(table, Options(budget=5.0))) < general


def test_columns_that_others_determine_cost_next_to_nothing(table: pa.Table) -> None:
    codec = codec_for(table, table.num_rows, Options(budget=5.0))
    codec.encode(table)
    spent = codec.spent  # pyright: ignore[reportAttributeAccessIssue]
    assert spent["constant"] < 20
    assert spent["country"] + spent["city"] < 900  # alone, they have entropies of 490 and 700 bytes
    assert spent["when"] < 3000 * np.log2(3) / 8 + 60  # 0, 1 or 2 seconds from row to row


def test_the_same_rows_in_other_chunks_are_the_same_rows(table: pa.Table) -> None:
    for chunk_rows in (1, 7, 32):
        small = table.slice(0, 40)
        assert_same(restored(archived(small, Options(budget=0.0, chunk_rows=chunk_rows))), small)


def test_a_model_codes_rows_that_it_was_not_made_from(table: pa.Table) -> None:
    """Unseen words, numbers out of range, more decimals than before, -0.0 and NaN."""
    codec = codec_for(table, table.num_rows, Options(budget=1.0))
    other = orders(500, seed=1)
    odd = other.set_column(1, "city", pa.array(["Oslo", None] * 250)).set_column(
        3, "price", pa.array([1e300, -0.0, float("nan"), 1 / 3, -5.25] * 100)
    )
    assert_same(codec.decode(codec.encode(odd), 500), odd)
    with pytest.raises(DataError, match="columns"):
        codec.encode(other.drop_columns(["city"]))


def test_a_model_may_lie_in_another_archive(table: pa.Table, data: bytes) -> None:
    first = Archive(io.BytesIO(data), "first.isth")
    stream = io.BytesIO()
    other = orders(500, seed=2)
    write(stream, first.codec, [other], model_inside=False)
    assert len(stream.getvalue()) < len(data) / 3
    assert_same(Archive(io.BytesIO(stream.getvalue()), "second.isth", first).read(), other)
    with pytest.raises(ArchiveError, match="no model inside"):
        Archive(io.BytesIO(stream.getvalue()), "second.isth")
    with pytest.raises(ArchiveError, match="another model"):
        Archive(io.BytesIO(stream.getvalue()), "second.isth", Archive(io.BytesIO(archived(other)), "third.isth"))


def test_every_damage_is_refused_in_one_line_that_names_the_place(data: bytes) -> None:
    random = np.random.default_rng(0)
    for trial in range(120):
        broken = bytearray(data)
        if trial % 3 == 0:
            broken = broken[: random.integers(0, len(data))]
        elif trial % 3 == 1:
            broken[random.integers(0, len(data))] ^= 1 << random.integers(0, 8)
        else:
            start = random.integers(0, len(data))
            broken[start : start + 50] = random.bytes(min(50, len(data) - start))
        if broken == data:
            continue
        with pytest.raises(ArchiveError, match=r"^a\.isth: .*(damaged|not an archive|version)") as caught:
            restored(bytes(broken))
        assert "\n" not in str(caught.value)


def test_a_chunk_that_is_damaged_is_named_and_the_others_can_be_read(table: pa.Table, data: bytes) -> None:
    whole = Archive(io.BytesIO(data), "a.isth")
    broken = bytearray(data)
    broken[whole.reader.entries[1].offset + 100] ^= 1
    with pytest.raises(ArchiveError, match=r"chunk 1 \(rows 1,000 to 2,000\)"):
        restored(bytes(broken))
    assert_same(restored(bytes(broken), 0, 1000), table.slice(0, 1000))


def test_payloads_with_right_checksums_and_wrong_bits_are_refused(table: pa.Table, monkeypatch: Any) -> None:
    """Whoever forges checksums meets the digests, and the codec's own checks."""
    small = table.slice(0, 200)
    codec = codec_for(small, 200, UNTRAINED)
    honest = codec.encode
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(40):
        forged = bytearray(honest(small))
        forged[random.integers(0, len(forged))] ^= 1 << random.integers(0, 8)
        monkeypatch.setattr(codec, "encode", lambda rows, forged=forged: bytes(forged))
        stream = io.BytesIO()
        write(stream, codec, [small], options=Options(verify=False))
        try:
            assert_same(restored(stream.getvalue()), small)  # a bit that nothing depends on
        except ArchiveError as error:
            assert "chunk 0" in str(error)
            refused += 1
    assert refused > 30


def test_writing_verifies_itself(table: pa.Table, monkeypatch: Any) -> None:
    small = table.slice(0, 50)
    codec = codec_for(small, 50, UNTRAINED)
    honest = codec.encode
    monkeypatch.setattr(codec, "encode", lambda rows: honest(rows.take(list(range(49, -1, -1)))))
    with pytest.raises(ArchiveError, match="do not come back"):
        write(io.BytesIO(), codec, [small])


def test_arrays_come_back() -> None:
    for array in (np.arange(24.0).reshape(2, 3, 4), np.array([1 + 2j]), np.zeros((0, 5), np.float16), np.arange(5) > 2):
        stream = io.BytesIO()
        write(stream, codec_for(array, len(array), UNTRAINED), chunks(array, 1))
        back = Archive(io.BytesIO(stream.getvalue()), "a.isth").read()
        assert back.dtype == array.dtype and back.shape == array.shape
        np.testing.assert_array_equal(back, array)


def test_kinds_are_a_closed_list() -> None:
    with pytest.raises(KeyError):
        archive.codec_named("os")


def test_decimals_beyond_64_bits_are_kept() -> None:
    table = pa.table({"d": pa.array([Decimal(10**36), None, Decimal(-1)], pa.decimal128(38, 0))})
    assert_same(restored(archived(table)), table)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(st.none(), floats(64), st.floats(-1e3, 1e3)), min_size=2, max_size=60),
    st.sampled_from([1e-1, 1e-2, 1e-4]),
)
def test_no_number_is_off_by_more_than_the_tolerance(values: list[float | None], tolerance: float) -> None:
    table = pa.table({"x": pa.array(values, pa.float64()), "n": pa.array(range(len(values)), pa.int64())})
    back = restored(archived(table, Options(budget=0.0, tolerance=tolerance)))
    for name in ("x", "n"):
        before, after = (
            np.array([np.nan if v is None else v for v in t.column(name).to_pylist()]) for t in (table, back)
        )
        assert [v is None for v in back.column(name).to_pylist()] == [v is None for v in table.column(name).to_pylist()]
        finite = np.isfinite(before)
        np.testing.assert_array_equal(before[~finite], after[~finite])
        extent = np.ptp(before[finite]) if finite.any() else 0.0
        assert (np.abs(after[finite] - before[finite]) <= tolerance * extent).all()


def test_a_tolerance_saves_bytes(table: pa.Table) -> None:
    exact, near = (archived(table, Options(budget=0.0, tolerance=t)) for t in (None, {"ratio": 0.01}))
    assert len(near) < len(exact) - 3000 * 5  # of 52 bits a number, no more than 12 are left
    with pytest.raises(DataError, match="'nothing'"):
        archived(table, Options(tolerance={"nothing": 0.1}))


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "matrix", "images"])
def test_python_gives_back_the_container_that_it_was_given(kind: str, table: pa.Table) -> None:
    import pandas
    import polars

    import isthmus

    small = table.slice(0, 100)
    rows: Any = {
        "pandas": small.to_pandas,
        "polars": lambda: polars.from_arrow(small),
        "arrow": lambda: small,
        "matrix": lambda: np.arange(300, dtype=np.int16).reshape(100, 3) % 7,
        "images": lambda: np.arange(600, dtype=np.uint8).reshape(6, 10, 10),
    }[kind]()
    archive = isthmus.compress(rows, budget=0.2)
    back, some = isthmus.decompress(archive), isthmus.decompress(archive, 2, 5)
    assert type(back) is type(rows) and len(some) == 3
    if kind == "pandas":
        pandas.testing.assert_frame_equal(back, rows)
    elif kind in ("polars", "arrow"):
        assert back.equals(rows)
    else:
        assert back.dtype == rows.dtype
        np.testing.assert_array_equal(back, rows)
        np.testing.assert_array_equal(some, rows[2:5])


@pytest.mark.parametrize("values", [100, 126, 127, 128, 129, 200, 253, 300])
def test_columns_of_any_number_of_values_come_back(values: int) -> None:
    """Symbols of missing cells follow those of the values, whichever whole number that takes."""
    numbers = np.random.default_rng(0).permutation(np.arange(1200) % values)
    table = pa.table({"a": pa.array(numbers, mask=numbers == 3), "b": pa.array(numbers * 3 + 1)})
    assert_same(restored(archived(table)), table)
