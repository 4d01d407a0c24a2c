"""Fitting to rows that stay in their files: as good as to rows in memory, and no more memory for more rows."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import isthmus
from isthmus.core.errors import DataError
from isthmus.estimator import sampling
from isthmus.training.streaming import StreamedBatches

OPTIONS = {"latent_dim": 2, "hidden": (16,), "epochs": 6, "random_state": 0, "device": "cpu"}


def table(rows: int, seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    factor = generator.normal(size=rows)
    return pa.table(
        {
            "a": factor + 0.1 * generator.normal(size=rows),
            "b": pa.array(2 - factor, mask=generator.random(rows) < 0.1),
            "count": generator.poisson(3, rows),
            "kind": np.array(["x", "y", "z"])[(factor > 0) + (factor > 1).astype(int)],
        }
    )


def folder_of(path: Path, whole: pa.Table, files: int = 3, group: int = 100) -> Path:
    path.mkdir()
    size = -(-whole.num_rows // files)
    for number in range(files):
        part = whole.slice(number * size, size)
        pyarrow.parquet.write_table(part, path / f"{number}.parquet", row_group_size=group, write_page_checksum=True)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("streams") / "rows", table(1500))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("isthmus")]


def test_a_stream_teaches_as_much_as_its_rows(folder):
    """The held-out rows differ, and so does the order: what both say of rows that neither has seen must agree."""
    streamed = isthmus.VAE(**OPTIONS).fit(isthmus.stream(folder))
    resident = isthmus.VAE(**OPTIONS).fit(table(1500))
    assert streamed.domain_.schema() == resident.domain_.schema()
    assert streamed.training_["rows"] == resident.training_["rows"] == 1350
    assert streamed.n_features_in_ == 4
    assert list(streamed.feature_names_in_) == ["a", "b", "count", "kind"]
    others = table(800, seed=1)
    scores = [model.score(others) for model in (streamed, resident)]
    untrained = isthmus.VAE(**OPTIONS | {"epochs": 1, "learning_rate": 1e-6}).fit(others).score(others)
    gained = scores[1] - untrained
    assert gained > 0.5
    assert abs(scores[0] - scores[1]) < 0.2 * gained
    assert streamed.transform(others).shape == (800, 2)
    assert 0.9 < np.mean(streamed.predict(others) == 1) < 1


def test_the_same_seed_gives_the_same_model(folder):
    first, second = (isthmus.Autoencoder(**OPTIONS).fit(isthmus.stream(folder)) for _ in range(2))
    assert np.array_equal(first.transform(table(50)), second.transform(table(50)))
    assert first.offset_ == second.offset_


def test_a_sample_of_more_rows_than_it_holds(folder, monkeypatch):
    monkeypatch.setattr(sampling, "MOST_ROWS", 300)
    model = isthmus.Autoencoder(**OPTIONS).fit(isthmus.stream(folder))
    columns = {column.name: column for column in model.domain_.columns}
    exact = {column.name: column for column in isthmus.VAE(**OPTIONS | {"epochs": 1}).fit(table(1500)).domain_.columns}
    assert columns["kind"].counts == exact["kind"].counts
    for name in ("a", "b", "count"):
        ends = [np.array([column.low, column.high]) for column in (columns[name], exact[name])]
        assert columns[name].values_of(ends[0]) == pytest.approx(exact[name].values_of(ends[1]))
        assert columns[name].has_missing == exact[name].has_missing
    # A tenth of all rows is held out: as many as half of the sample.
    assert model.training_["rows"] == 1500 - 150


def test_held_out_rows_are_never_trained_on(folder, monkeypatch):
    seen: set[float] = set()
    original = StreamedBatches.epoch

    def watched(self, size, randomness):
        for batch in original(self, size, randomness):
            seen.update(batch[:, 0].tolist())
            yield batch

    held_out: list[np.ndarray] = []
    monkeypatch.setattr(StreamedBatches, "epoch", watched)
    monkeypatch.setattr(StreamedBatches, "close", lambda self: held_out.append(self.held_out))
    model = isthmus.VAE(**OPTIONS | {"epochs": 2}).fit(isthmus.stream(folder))
    x = model.domain_.tensors(table(1500))[:, 0].float().numpy()
    assert len(held_out[0]) == 150
    assert seen == set(x.tolist()) - set(x[held_out[0]].tolist())


def test_images_and_matrices_stream_too(tmp_path):
    generator = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", generator.integers(0, 255, (300, 6, 6), np.uint8))
    images = isthmus.VAE(**OPTIONS).fit(isthmus.stream(tmp_path / "images.npy"))
    assert images.domain_.name == "image"
    assert images.sample(3).shape == (3, 6, 6)
    np.save(tmp_path / "matrix.npy", generator.normal(size=(300, 5)))
    matrix = isthmus.VAE(**OPTIONS).fit(isthmus.stream(tmp_path / "matrix.npy"))
    assert matrix.sample(3).shape == (3, 5)
    assert matrix.domain_.name == "table"


def test_a_size_is_chosen_on_a_sample(folder):
    model = isthmus.VAE(**OPTIONS | {"latent_dim": "auto", "epochs": 3}).fit(isthmus.stream(folder))
    (chosen,) = (entry["latent_dim"] for entry in model.size_search_ if entry["chosen"])
    assert model.latent_dim_ == chosen
    assert model.training_["rows"] == 1350


def test_a_resumed_fit_ends_as_the_uninterrupted_one(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.training.run.Plan.checkpoint_seconds", 0.0)

    def stop(record, plan):
        if record["epoch"] == 3:
            raise KeyboardInterrupt

    stream = isthmus.stream(folder)
    whole = isthmus.VAE(**OPTIONS).fit(stream)
    parted = isthmus.VAE(**OPTIONS).fit(stream, checkpoint=tmp_path / "c", observers=(stop,))
    assert parted.training_["interrupted"]
    resumed = isthmus.VAE(**OPTIONS).fit(isthmus.stream(folder), checkpoint=tmp_path / "c")
    assert len(resumed.history_) == 6
    for name, weights in whole.model_.state_dict().items():
        assert (weights == resumed.model_.state_dict()[name]).all(), name
    assert not threads()


def test_a_checkpoint_of_other_files_is_refused(folder, tmp_path):
    def stop(record, plan):
        raise KeyboardInterrupt

    isthmus.VAE(**OPTIONS).fit(isthmus.stream(folder), checkpoint=tmp_path / "c", observers=(stop,))
    other = folder_of(tmp_path / "other", table(1500, seed=7))
    with pytest.raises(isthmus.errors.ModelFileError, match="its data differs"):
        isthmus.VAE(**OPTIONS).fit(isthmus.stream(other), checkpoint=tmp_path / "c")


@pytest.mark.parametrize("method", ["transform", "score_samples", "predict", "reconstruct", "partial_fit"])
def test_other_methods_say_what_to_do(folder, method):
    model = isthmus.VAE(**OPTIONS | {"epochs": 1}).fit(table(100))
    stream = isthmus.stream(folder)
    with pytest.raises(DataError, match=r"only fit\(\) takes a stream whole; .*for rows in stream"):
        getattr(model, method)(stream)
    assert sum(len(model.transform(rows)) for rows in stream) == 1500


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        isthmus.VAE(**OPTIONS).fit(isthmus.stream(path))
    assert "\n" not in str(caught.value)
    assert not threads()
    return str(caught.value)


def test_rows_that_cannot_be_learned_from_are_named(tmp_path, monkeypatch):
    assert "one row" in refusal(folder_of(tmp_path / "one", table(1), files=1))
    whole = table(900)
    infinite = whole.set_column(0, "a", pa.array([*whole["a"].to_pylist()[:-1], float("inf")]))
    message = refusal(folder_of(tmp_path / "infinite", infinite))
    assert "2.parquet: column 'a', row 299: the value is infinity" in message
    monkeypatch.setattr(sampling, "MOST_ROWS", 100)
    constant = whole.append_column("same", pa.array([7] * 900))
    assert "column 'same' has one value" in refusal(folder_of(tmp_path / "constant", constant))
    np.save(tmp_path / "gap.npy", np.array([[1.0, 2.0], [3.0, np.nan], [4.0, 5.0]]))
    assert "gap.npy: row 1 holds NaN" in refusal(tmp_path / "gap.npy")
    with pytest.raises(DataError, match="does not suit"):
        isthmus.VAE(data="image").fit(isthmus.stream(tmp_path / "constant"))


def test_a_file_that_breaks_during_training_ends_it_in_one_line(tmp_path):
    path = folder_of(tmp_path / "rows", table(1500))

    def damage(record, plan):
        whole = bytearray((path / "1.parquet").read_bytes())
        whole[200:600] = bytes(400)
        (path / "1.parquet").write_bytes(whole)

    with pytest.raises(DataError, match=r"1\.parquet: cannot be read as Parquet") as caught:
        isthmus.VAE(**OPTIONS).fit(isthmus.stream(path), observers=(damage,))
    assert "\n" not in str(caught.value)
    assert not threads()


PEAK = """
import resource, sys
import isthmus
from isthmus.estimator import sampling
from isthmus.training import streaming
# Smaller than both folders, as what is held is smaller than data larger than memory.
sampling.MOST_ROWS, streaming.BUFFER_BYTES = 20_000, 8 * 2**20
model = isthmus.VAE(2, hidden=(8,), epochs=1, batch_size=8192, random_state=0, device="cpu")
model.fit(isthmus.stream(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """50 MB of Parquet files and 200 MB: held whole, the difference would be several times what is allowed."""
    columns = {f"x{index}": np.random.default_rng(index).normal(size=25_000) for index in range(50)}
    file = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.table(columns), file, row_group_size=25_000, use_dictionary=False)
    peaks = []
    for files in (5, 20):
        folder = tmp_path / str(files)
        folder.mkdir()
        for number in range(files):
            (folder / f"{number}.parquet").hardlink_to(file)
        ended = subprocess.run([sys.executable, "-c", PEAK, folder], capture_output=True, text=True, check=True)
        peaks.append(int(ended.stdout))
    assert peaks[1] < 1.1 * peaks[0]
