"""The same rows give the same results, whichever format they come in."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from isthmus.files.writing import write_table

from .conftest import succeed

ROWS = 60
SPELT_ALIKE = {
    "zip": np.tile(["01234", "02345", "10001"], ROWS // 3),
    "day": np.tile(["2020-01-01T05:00:00Z", "2020-01-02T05:00:00Z"], ROWS // 2),
    "sure": np.repeat(["true", "false"], ROWS // 2),
    "size": np.linspace(0.25, 9.0, ROWS),
}


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Texts that look like numbers, times and truths."""
    return pa.table(SPELT_ALIKE)


@pytest.fixture(scope="module")
def model(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_table(rows, folder / "rows.parquet")
    options = ("--model", "vae", "--latent", 2, "--epochs", 2, "--device", "cpu")
    succeed("fit", folder / "rows.parquet", *options, "--out", folder / "m.safetensors")
    return folder / "m.safetensors"


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".arrow"])
def test_text_that_looks_like_something_else_is_text_to_a_model_of_text(
    ending: str, rows: pa.Table, model: Path, tmp_path: Path
) -> None:
    scores = []
    for name in ("rows.parquet", f"rows{ending}"):
        write_table(rows, tmp_path / name)
        ended = succeed("score", model, tmp_path / name, "--out", tmp_path / "scores.parquet")
        assert ended.err == "", "nothing in these rows is new to the model"
        scores.append(parquet.read_table(tmp_path / "scores.parquet"))
    assert scores[0].equals(scores[1])


def test_times_in_a_csv_file_suit_rows_that_keep_them_as_text(rows: pa.Table, tmp_path: Path) -> None:
    dated = rows.select(["day", "size"])
    for name in ("rows.csv", "rows.parquet"):
        write_table(dated, tmp_path / name)
    options = ("--model", "vae", "--latent", 2, "--epochs", 2, "--device", "cpu")
    succeed("fit", tmp_path / "rows.csv", *options, "--out", tmp_path / "m.safetensors")
    for name in ("csv", "parquet"):
        succeed("encode", tmp_path / "m.safetensors", tmp_path / f"rows.{name}", "--out", tmp_path / f"{name}.npy")
    assert np.array_equal(np.load(tmp_path / "csv.npy"), np.load(tmp_path / "parquet.npy"))


@pytest.mark.usefixtures("compared_in_one_process")
def test_test_rows_are_read_as_the_training_rows_are(rows: pa.Table, tmp_path: Path) -> None:
    write_table(rows, tmp_path / "rows.parquet")
    write_table(rows, tmp_path / "rows.csv")
    options = ("--models", "pca", "--latent", 2, "--seeds", 1, "--json")
    errors = []
    for test in ("rows.parquet", "rows.csv"):
        out = tmp_path / f"report of {test}"
        ended = succeed("compare", tmp_path / "rows.parquet", "--test", tmp_path / test, *options, "--out", out)
        facts = json.loads(ended.out)
        assert "unseen" not in " ".join(facts["data"]["notes"])
        errors.append(facts["contenders"][0]["reconstruction"])
    assert errors[0] == errors[1]


def test_a_column_of_names_is_noted(tmp_path: Path) -> None:
    names = {"name": [f"person {row}" for row in range(ROWS)], "size": SPELT_ALIKE["size"]}
    write_table(pa.table(names), tmp_path / "rows.csv")
    options = ("--model", "ae", "--latent", 1, "--epochs", 1, "--device", "cpu")
    ended = succeed("fit", tmp_path / "rows.csv", *options, "--out", tmp_path / "m.safetensors")
    assert ended.err.startswith("isthmus: note: column 'name': no value occurs twice") and "--drop name" in ended.err
