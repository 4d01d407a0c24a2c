"""Sparse matrices from and to files; what claims too much, is damaged or would be unpickled is refused."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from isthmus.core.errors import DataError
from isthmus.files import limits
from isthmus.files.reading import read
from isthmus.files.writing import write_rows

DENSE = np.array([[0, 3, 0, 1], [0, 0, 0, 0], [7, 0, 0, 2]])
MATRIX = scipy.sparse.csr_matrix(DENSE)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_npz_of_every_format(tmp_path, form, kind):
    given = getattr(scipy.sparse, f"{form}_{kind}")(DENSE)
    scipy.sparse.save_npz(tmp_path / "counts.npz", given)
    source = read(tmp_path / "counts.npz")
    assert source.name == "counts" and source.rows.format == "csr" and source.rows.dtype == DENSE.dtype
    np.testing.assert_array_equal(source.rows.toarray(), DENSE)


@pytest.mark.parametrize(
    "text",
    [
        "%%MatrixMarket matrix coordinate integer general\n3 4 4\n1 2 3\n1 4 1\n3 1 7\n3 4 2\n",
        "%%MatrixMarket matrix coordinate real general\n% a comment\n3 4 4\n1 2 3.0\n1 4 1\n3 1 7\n3 4 2e0\n",
        "%%MatrixMarket matrix array integer general\n3 4\n0\n0\n7\n3\n0\n0\n0\n0\n0\n1\n0\n2\n",
    ],
    ids=["integer", "real", "dense"],
)
def test_matrix_market(tmp_path, text):
    (tmp_path / "counts.mtx").write_text(text)
    np.testing.assert_array_equal(read(tmp_path / "counts.mtx").rows.toarray(), DENSE)


@pytest.mark.parametrize("ending", [".npz", ".mtx"])
def test_written_rows_are_read_again(tmp_path, ending):
    write_rows(MATRIX, tmp_path / f"rows{ending}")
    assert (read(tmp_path / f"rows{ending}").rows != MATRIX).nnz == 0
    if ending == ".npz":
        assert (scipy.sparse.load_npz(tmp_path / "rows.npz") != MATRIX).nnz == 0


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"\.npz or \.mtx"):
        write_rows(MATRIX, tmp_path / "rows.csv")
    assert not list(tmp_path.iterdir())


def saved(path, **changes):
    """A sparse .npz with some of its arrays replaced, or left out where None."""
    stream = io.BytesIO()
    scipy.sparse.save_npz(stream, MATRIX)
    stream.seek(0)
    parts = dict(np.load(stream).items()) | changes
    np.savez(path, **{name: array for name, array in parts.items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": np.array(b"lil")}, "'lil'"),
        ({"indices": None}, "lacks indices"),
        ({"indices": np.array([1, 3, 0, 9], np.int32)}, "cannot be read"),
        ({"indptr": np.array([0, 2, 9, 4], np.int32)}, "cannot be read"),
        ({"indptr": np.array([0, 2], np.int32)}, "cannot be read"),
        ({"data": np.array([1, 2, 3, None], object)}, "Python objects"),
        ({"data": np.array([1, 2, 3, 4j])}, "complex"),
        ({"shape": np.array([3, 0])}, "cannot be read|one at least"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path, changes, said):
    saved(tmp_path / "counts.npz", **changes)
    with pytest.raises(DataError, match=said) as raised:
        read(tmp_path / "counts.npz")
    assert "\n" not in str(raised.value) and "counts.npz" in str(raised.value)


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    saved(tmp_path / "counts.npz", format=np.array(Trap(), object))
    with pytest.raises(DataError, match="Python objects"):
        read(tmp_path / "counts.npz")


def test_every_flipped_byte_is_an_error_or_leaves_a_matrix(tmp_path):
    saved(tmp_path / "counts.npz")
    whole = (tmp_path / "counts.npz").read_bytes()
    for place in range(0, len(whole), 11):
        (tmp_path / "bad.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with contextlib.suppress(DataError):
            assert read(tmp_path / "bad.npz").rows.shape[0] > 0


def test_claims_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", 10**6)
    (tmp_path / "wide.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n3 4 999999999\n1 1 1\n")
    with pytest.raises(DataError, match="limit"):
        read(tmp_path / "wide.mtx")
    saved(tmp_path / "long.npz", data=np.zeros(10**6))
    with pytest.raises(DataError, match="limit"):
        read(tmp_path / "long.npz")


@pytest.mark.parametrize(
    "text",
    [
        "%%MatrixMarket matrix coordinate integer general\n3 4 4\n1 2 3\n",
        "%%MatrixMarket matrix coordinate integer general\n3 4 1\n9 2 3\n",
        "%%MatrixMarket matrix coordinate integer general\n",
        "1,2,3\n",
        "%%MatrixMarket matrix coordinate complex general\n3 4 1\n1 2 3 4\n",
    ],
    ids=["cut short", "outside", "header only", "something else", "complex"],
)
def test_a_damaged_matrix_market_file(tmp_path, text):
    (tmp_path / "counts.mtx").write_text(text)
    with pytest.raises(DataError, match=r"counts\.mtx") as raised:
        read(tmp_path / "counts.mtx")
    assert "\n" not in str(raised.value)


def test_a_file_cut_short(tmp_path):
    scipy.sparse.save_npz(tmp_path / "counts.npz", MATRIX)
    whole = (tmp_path / "counts.npz").read_bytes()
    (tmp_path / "counts.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged or cut short"):
        read(tmp_path / "counts.npz")
    assert zipfile.is_zipfile(io.BytesIO(whole))
