"""The data sets that come with the package are what their papers say."""

import hashlib

import numpy as np
import pyarrow.compute as pc
import pytest

from isthmus.core.errors import DataError
from isthmus.files import bundled
from isthmus.files.reading import bundled_names, read


def test_names():
    assert bundled_names() == ["digits", "penguins"]
    with pytest.raises(DataError, match="digits, penguins"):
        bundled.read_bundled("iris")


def test_digits():
    source = read("digits")
    assert source.name == "digits" and source.rows.shape == (1797, 8, 8) and source.rows.dtype == np.uint8
    assert (source.rows.min(), source.rows.max(), int(source.rows.sum())) == (0, 16, 561718)
    assert np.bincount(source.labels["target"]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    digest = hashlib.sha256(source.rows.tobytes()).hexdigest()
    assert digest == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"


def test_penguins():
    table = read("penguins").rows
    assert table.shape == (344, 8)
    assert {name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)} == {
        "species": "string",
        "island": "string",
        "bill_length_mm": "double",
        "bill_depth_mm": "double",
        "flipper_length_mm": "int64",
        "body_mass_g": "int64",
        "sex": "string",
        "year": "int64",
    }
    # Counts as published: Gorman, Williams and Fraser (2014); Horst, Hill and Gorman (2020).
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(table.column("species")).to_pylist()}
    assert counts == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    missing = {name: table.column(name).null_count for name in table.column_names if table.column(name).null_count}
    assert missing == {"bill_length_mm": 2, "bill_depth_mm": 2, "flipper_length_mm": 2, "body_mass_g": 2, "sex": 11}
    digest = hashlib.sha256((bundled._DATA / "penguins.csv").read_bytes()).hexdigest()
    assert digest == "f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"


def test_a_bundled_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    """`compare digits --out digits` must work a second time."""
    (tmp_path / "digits").mkdir()
    (tmp_path / "penguins").write_text("")
    monkeypatch.chdir(tmp_path)
    assert len(read("digits").rows) == 1797
    with pytest.raises(DataError, match="neither images"):
        read("./digits")
