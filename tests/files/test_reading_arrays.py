"""NumPy's files: which array is taken, what becomes a label, and that nothing is unpickled."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from isthmus.core.errors import DataError
from isthmus.files import limits
from isthmus.files.reading import read

PIXELS = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", ">i4", "float16", "float32", ">f8", "longdouble"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_numeric_type_keep_their_values(tmp_path, dtype, order):
    array = np.asarray(np.arange(6).reshape(2, 3) % 2, dtype=dtype, order=order)
    np.save(tmp_path / "rows.npy", array)
    np.savez(tmp_path / "rows.npz", array)
    for name in ("rows.npy", "rows.npz"):
        rows = read(tmp_path / name).rows
        np.testing.assert_array_equal(rows, array)
        assert rows.dtype.isnative and rows.dtype.itemsize <= 8 and rows.dtype.kind == array.dtype.kind


def test_the_array_is_named_after_a_colon_or_as_part(tmp_path):
    np.savez(tmp_path / "set.npz", x_train=PIXELS, x_test=PIXELS[:2] + 100)
    for source in (read(f"{tmp_path}/set.npz:x_test"), read(tmp_path / "set.npz", part="x_test")):
        np.testing.assert_array_equal(source.rows, PIXELS[:2] + 100)
        assert source.name == "set-x_test"


@pytest.mark.parametrize("usual", ["x", "X", "data", "images", "x_train", "X_train"])
def test_among_several_arrays_the_usual_name_is_taken(tmp_path, usual):
    np.savez_compressed(tmp_path / "set.npz", aside=np.zeros((9, 2)), **{usual: PIXELS})
    source = read(tmp_path / "set.npz")
    np.testing.assert_array_equal(source.rows, PIXELS)
    assert source.name == "set"


def test_a_colon_may_be_part_of_a_file_name(tmp_path):
    (tmp_path / "rows:1.csv").write_text("a\n1\n")
    assert read(f"{tmp_path}/rows:1.csv").rows.to_pydict() == {"a": [1]}


def test_labels_are_vectors_of_as_many_values(tmp_path):
    train, test = np.array([0, 1, 2]), np.array([5, 6])
    words = np.array(["a", "b", "c"])
    np.savez(tmp_path / "set.npz", x_train=PIXELS, x_test=PIXELS[:2], y_train=train, y_test=test, words=words, one=7)
    labels = read(tmp_path / "set.npz").labels
    assert set(labels) == {"y_train", "words", "target", "y"}
    np.testing.assert_array_equal(labels["y_train"], train)
    np.testing.assert_array_equal(labels["target"], train)
    np.testing.assert_array_equal(labels["words"], words)
    np.testing.assert_array_equal(read(f"{tmp_path}/set.npz:x_test").labels["y"], test)


@pytest.mark.parametrize(
    ("rows", "label"), [("X_test", "y_test"), ("x", "y"), ("train_images", "train_labels"), ("data", "labels")]
)
def test_the_labels_of_an_array_are_also_called_target(tmp_path, rows, label):
    # Labels of shape (n, 1), as some collections store them, are vectors too.
    np.savez(tmp_path / "set.npz", **{rows: PIXELS, label: np.array([[3], [1], [4]])})
    np.testing.assert_array_equal(read(tmp_path / "set.npz", part=rows).labels["target"], [3, 1, 4])


def test_an_array_that_is_called_target_keeps_its_name(tmp_path):
    np.savez(tmp_path / "set.npz", x=PIXELS, y=np.array([1, 2, 3]), target=np.array([7, 8, 9]))
    np.testing.assert_array_equal(read(tmp_path / "set.npz").labels["target"], [7, 8, 9])


class Marker:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a data file ran')",))


@pytest.mark.parametrize("pickled", [np.array([[Marker()]], dtype=object), Marker()])
def test_nothing_is_unpickled(tmp_path, pickled):
    stream = io.BytesIO()
    if isinstance(pickled, np.ndarray):
        np.save(stream, pickled, allow_pickle=True)
    else:
        pickle.dump(pickled, stream)
    (tmp_path / "rows.npy").write_bytes(stream.getvalue())
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue())
    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(DataError):
            read(tmp_path / name)


def header_only(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(64)


@pytest.mark.parametrize(("shape", "complaint"), [((2**20, 2**10), "cut short"), ((2**30, 2**20), "limit")])
def test_sizes_that_an_array_only_claims_are_not_allocated(tmp_path, shape, complaint):
    (tmp_path / "rows.npy").write_bytes(header_only(shape))
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        archive.writestr("x.npy", header_only(shape))
    for name in ("rows.npy", "rows.npz"):
        with pytest.raises(DataError, match=complaint):
            read(tmp_path / name)


def test_a_small_archive_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros((1000, 1000)))
    assert (tmp_path / "zeros.npz").stat().st_size < 20_000
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", 7_999_999)
    with pytest.raises(DataError, match="the limit is"):
        read(tmp_path / "zeros.npz")


@pytest.mark.slow
def test_flipped_bits_in_an_npz_array_are_noticed(tmp_path):
    """The archive's checksum covers the array: what is read is right, or nothing is read."""
    path = tmp_path / "set.npz"
    array = np.random.default_rng(0).normal(size=(20, 5))
    np.savez_compressed(path, x=array)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        compressed = archive.getinfo("x.npy").compress_size
    start = whole.index(b"x.npy") + 5 + 20  # after the local header, whose extra field has 20 bytes
    unnoticed = 0
    for position in range(start, start + compressed):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            np.testing.assert_array_equal(read(path).rows, array)
            unnoticed += 1
        except DataError:
            pass
    assert unnoticed <= 2, "only the padding of the compressed stream's last byte carries no data"
