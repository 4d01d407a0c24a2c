"""`isthmus fit` on rows that stay in their files."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import isthmus
from isthmus.files import limits

from .conftest import run, succeed

OPTIONS = ("--model", "vae", "--latent", 2, "--set", "hidden=16,", "--device", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    path = tmp_path / "rows"
    path.mkdir()
    for number in range(3):
        columns = {"a": generator.normal(size=200), "b": generator.poisson(4, 200), "name": ["x", "y"] * 100}
        pyarrow.parquet.write_table(pa.table(columns), path / f"{number}.parquet", row_group_size=50)
    return path


def test_rows_stream_on_demand(folder, tmp_path):
    out = tmp_path / "m.safetensors"
    ended = succeed("fit", folder, *OPTIONS, "--epochs", 2, "--drop", "name", "--stream", "--json", "--out", out)
    assert "600 rows stay in their files" in ended.err
    assert json.loads(ended.out)["rows"] == 540
    assert isthmus.load(out).domain_.column_names == ["a", "b"]
    assert list(tmp_path.glob("*.checkpoint*")) == []
    succeed("score", out, folder, "--out", tmp_path / "scores.csv")


def test_rows_larger_than_memory_stream_by_themselves(folder, tmp_path, monkeypatch):
    ended = succeed("fit", folder, *OPTIONS, "--epochs", 1, "--out", tmp_path / "m.safetensors")
    assert "stay in their files" not in ended.err
    monkeypatch.setattr("isthmus.files.streaming.STREAMED_BYTES", 1000)
    ended = succeed("fit", folder, *OPTIONS, "--epochs", 1, "--out", tmp_path / "m.safetensors")
    assert "600 rows stay in their files" in ended.err


@pytest.mark.parametrize("ending", [".arrow", ".npy"])
@pytest.mark.parametrize("how", [(), ("--stream",)])
def test_folders_of_other_files_are_fitted(tmp_path, ending, how):
    path = tmp_path / "rows"
    path.mkdir()
    for number in range(2):
        rows = np.random.default_rng(number).normal(size=(100, 3))
        if ending == ".npy":
            np.save(path / f"{number}.npy", rows)
        else:
            pyarrow.feather.write_feather(pa.table({"a": rows[:, 0], "b": rows[:, 1]}), path / f"{number}.arrow")
    ended = succeed("fit", path, *OPTIONS, "--epochs", 1, *how, "--json", "--out", tmp_path / "m.safetensors")
    assert json.loads(ended.out)["rows"] == 180


def test_a_streamed_fit_is_resumed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.training.run.Plan.checkpoint_seconds", 0.0)
    command = ("fit", folder, *OPTIONS, "--epochs", 4, "--stream", "--out")
    succeed(*command, tmp_path / "whole.safetensors")
    original = isthmus.VAE.fit

    def interrupted(self, *arguments, **options):
        def stop(record, plan):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

        return original(self, *arguments, **options, observers=(stop,))

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(isthmus.VAE, "fit", interrupted)
        run(*command, tmp_path / "parted.safetensors")
    assert ended.value.code == 130
    assert (tmp_path / "parted.safetensors.checkpoint").exists()
    succeed(*command, tmp_path / "parted.safetensors", "--resume")
    rows = pa.table({"a": [0.0, 1.0], "b": [3, 5], "name": ["x", "y"]})
    whole, parted = (isthmus.load(tmp_path / f"{name}.safetensors") for name in ("whole", "parted"))
    assert np.array_equal(whole.transform(rows), parted.transform(rows))


@pytest.mark.parametrize(
    ("data", "words"),
    [("penguins", "read it whole"), ("no such", "no such file"), ("a.csv", "write the rows as Parquet")],
)
def test_what_cannot_be_streamed_gets_one_line_and_leaves_nothing(tmp_path, data, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("a\n1\n")
    ended = run("fit", data, *OPTIONS, "--stream", "--out", "m.safetensors")
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert words in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_damage_ends_in_one_line_and_leaves_no_model(folder, tmp_path):
    whole = bytearray((folder / "1.parquet").read_bytes())
    whole[4:60] = bytes(56)
    (folder / "1.parquet").write_bytes(whole)
    ended = run("fit", folder, *OPTIONS, "--stream", "--epochs", 1, "--out", tmp_path / "m.safetensors")
    assert ended.status == 2
    assert "1.parquet" in ended.err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_a_comparison_of_too_many_rows_says_what_can_be_done(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", 1000)
    ended = run("compare", folder, "--out", tmp_path / "answers")
    assert ended.status == 2
    assert "give a part of the rows; fit reads Parquet, Arrow and .npy files of any size" in ended.err
