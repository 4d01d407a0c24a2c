"""Rows of several parts in files: put together by order or by the images' names, and written as they are read."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from isthmus.core.errors import DataError
from isthmus.core.parts import Parts
from isthmus.files.reading import read
from isthmus.files.writing import write_rows

PHOTOS = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)


@pytest.fixture
def places(tmp_path):
    """Photos a … e, and a table of them that stands in another order."""
    (tmp_path / "photos").mkdir()
    for name, pixels in zip("abcde", PHOTOS, strict=True):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    frame = pd.DataFrame(
        {"file_name": [f"{name}.png" for name in "dbeca"], "x": [3.0, 1.0, 4.0, 2.0, 0.0], "y": list("vwxyz")}
    )
    frame.to_csv(tmp_path / "r.csv", index=False)
    return tmp_path


def test_a_table_that_names_its_images_has_them_in_its_order(places):
    source = read(f"photo={places}/photos,reading={places}/r.csv")
    assert isinstance(source.rows, Parts)
    assert source.rows["reading"].column_names == ["x", "y"]
    np.testing.assert_array_equal(source.rows["photo"], PHOTOS[[3, 1, 4, 2, 0]])
    assert source.row_ids == ["d.png", "b.png", "e.png", "c.png", "a.png"]


def test_parts_without_names_belong_together_in_their_order(places):
    np.save(places / "beats.npy", np.ones((5, 7, 2)))
    rows = read(f"photo={places}/photos,beat={places}/beats.npy").rows
    np.testing.assert_array_equal(rows["photo"], PHOTOS)
    assert rows["beat"].shape == (5, 7, 2)


def test_columns_are_dropped_from_the_part_that_has_them(places):
    data = f"photo={places}/photos,reading={places}/r.csv"
    assert read(data, drop=["y"]).rows["reading"].column_names == ["x"]
    assert list(read(data, drop=["y", "x"]).rows) == ["photo"]
    with pytest.raises(DataError, match="no part has a column 'z'"):
        read(data, drop=["z"])


def test_what_is_written_is_read(tmp_path):
    rows = Parts(
        {"photo": PHOTOS, "cells": pa.table({"x": [1.5, 2.0, 3.0, 4.0, 5.0]}), "wave": np.ones((5, 2, 3), np.float32)}
    )
    write_rows(rows, tmp_path / "new")
    back = read(f"photo={tmp_path}/new/photo,cells={tmp_path}/new/cells.csv,wave={tmp_path}/new/wave.npy").rows
    np.testing.assert_array_equal(back["photo"], PHOTOS)
    assert back["cells"].equals(rows["cells"])
    np.testing.assert_array_equal(back["wave"], rows["wave"])
    with pytest.raises(DataError, match="written as a folder"):
        write_rows(rows, tmp_path / "new.csv")


def test_images_of_sizes_of_their_own_are_a_folder(tmp_path):
    images = [PHOTOS[0], PHOTOS[1, :2], PHOTOS[2, :, :3]]
    write_rows(Parts({"photo": images, "cells": pa.table({"x": [1.5, 2.0, 3.0]})}), tmp_path / "new")
    back = read(f"photo={tmp_path}/new/photo,cells={tmp_path}/new/cells.csv").rows["photo"]
    for own, other in zip(images, back, strict=True):
        np.testing.assert_array_equal(own, other[..., 0])


def test_a_failed_part_leaves_no_folder(tmp_path):
    rows = Parts({"photo": PHOTOS, "cells": pa.table({"x": pa.array([[1], [2], [3], [4], [5]])})})
    with pytest.raises(DataError):
        write_rows(rows, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_that_name_is_a_file(tmp_path):
    path = tmp_path / "a=b,c=d.csv"
    path.write_text("x\n1\n2\n")
    assert read(str(path)).rows.column_names == ["x"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("photo={0}/photos,photo={0}/r.csv", "names a part twice"),
        ("photo={0}/photos,reading={0}/nix.csv", "nix.csv: no such file"),
        ("photo={0}/photos,reading=penguins", "part 'reading' has 344 rows, and 'photo' has 5"),
        ("photo={0}/photos,reading={0}/wrong.csv", "row 1 has the image 'z.png', and there is no such file"),
    ],
)
def test_what_does_not_go_together_is_refused(places, data, said):
    (places / "wrong.csv").write_text("file_name,x\na.png,1\nz.png,2\n")
    with pytest.raises(DataError, match=said):
        read(data.format(places))
