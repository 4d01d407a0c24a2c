"""A model file gives the same bits anywhere, or is refused in one line; it never runs anything."""

import json
import math
import pickle
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save as as_safetensors

import isthmus
from isthmus import variants
from isthmus.core.errors import DataError, ModelFileError
from isthmus.files.tensor_file import read_tensors, write_tensors

GOLDEN = Path(__file__).parent / "golden"
CLASSES = [variants.find(name).__name__ for name in variants.names()]


def table() -> pd.DataFrame:
    """60 rows of five kinds of columns with missing cells."""
    draws = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "length": draws.normal(size=60),
            "count": draws.poisson(4.0, size=60),
            "large": draws.random(60) < 0.4,
            "kind": draws.choice(["a", "b", "c"], size=60),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(draws.integers(0, 99, size=60), unit="D"),
        }
    )
    frame.loc[::9, "length"] = np.nan
    frame.loc[4::11, "kind"] = None
    return frame


def images() -> np.ndarray:
    """60 grey pictures, 6×6."""
    return np.random.default_rng(5).integers(0, 256, size=(60, 6, 6)).astype(np.uint8)


ROWS: dict[str, Callable[[], Any]] = {"table": table, "image": images}


def fitted(name: str, rows: Any, **options: Any) -> Any:
    return getattr(isthmus, name)(3, hidden=(8,), epochs=3, random_state=0, **options).fit(rows)


def outputs(model: Any, rows: Any) -> dict[str, Any]:
    """Everything that a model gives, as arrays and frames."""
    codes = model.transform(rows)
    return {
        "codes": codes,
        "scores": model.score_samples(rows),
        "predictions": model.predict(rows),
        "decoded": model.inverse_transform(codes),
        "sample": model.sample(7),
        "sample of seed 9": model.sample(7, random_state=9, noise=False),
        "names": list(model.get_feature_names_out()),
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """To the last bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found[name], value, check_exact=True)
        elif isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)
        else:
            assert found[name] == value


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of every variant on every domain, NAME-DOMAIN.safetensors, their rows and outputs."""
    folder = tmp_path_factory.mktemp("models")
    for domain, rows in ROWS.items():
        for name in CLASSES:
            model = fitted(name, rows())
            model.save(folder / f"{name}-{domain}.safetensors")
            (folder / f"{name}-{domain}.pickle").write_bytes(pickle.dumps((rows(), outputs(model, rows()))))
    return folder


@pytest.fixture
def model_file(saved: Path, tmp_path: Path) -> Path:
    """A model of a table, to be damaged."""
    return Path(shutil.copy(saved / "VAE-table.safetensors", tmp_path / "m.safetensors"))


def refusal(path: Path) -> str:
    """The one line with which the file is refused."""
    with pytest.raises(ModelFileError) as failure:
        isthmus.load(path)
    message = str(failure.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


# Round trips.

PROGRAM = """
import pickle, sys
from pathlib import Path
import isthmus
sys.path.insert(0, {tests!r})
from test_saving import outputs
found = {{}}
for path in sorted(Path({folder!r}).glob("*.safetensors")):
    rows, _ = pickle.loads(path.with_suffix(".pickle").read_bytes())
    found[path.stem] = outputs(isthmus.load(path), rows)
Path({result!r}).write_bytes(pickle.dumps(found))
"""


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_bits(saved: Path, tmp_path: Path) -> None:
    program = PROGRAM.format(tests=str(Path(__file__).parent), folder=str(saved), result=str(tmp_path / "found"))
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
    found = pickle.loads((tmp_path / "found").read_bytes())
    assert set(found) == {f"{name}-{domain}" for name in CLASSES for domain in ROWS}
    for name, results in found.items():
        assert_same(results, pickle.loads((saved / f"{name}.pickle").read_bytes())[1])


@pytest.mark.parametrize("name", CLASSES)
def test_what_was_learnt_comes_back(name: str, saved: Path, tmp_path: Path) -> None:
    model = isthmus.load(saved / f"{name}-table.safetensors")
    again = fitted(name, table())
    for learnt in ("latent_dim_", "offset_", "n_features_in_"):
        assert getattr(model, learnt) == getattr(again, learnt)
    assert list(model.feature_names_in_) == list(again.feature_names_in_)
    assert [record["train"] for record in model.history_] == [record["train"] for record in again.history_]
    assert [list(record["train"]) for record in model.history_] == [list(record["train"]) for record in again.history_]
    assert {**model.training_, "seconds": 0} == {**again.training_, "seconds": 0}
    assert model.get_params() == again.get_params()
    model.save(tmp_path / "again.safetensors")
    first, second = (
        read_tensors(path) for path in (saved / f"{name}-table.safetensors", tmp_path / "again.safetensors")
    )
    assert first[1] == second[1]
    assert all(torch.equal(value, second[0][key]) for key, value in first[0].items())


def test_the_size_search_comes_back(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 2))
    model = isthmus.VAE("auto", hidden=(8,), epochs=3, random_state=0).fit(rows)
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert again.size_search_ == model.size_search_ and again.latent_dim_ == model.latent_dim_
    assert_same(outputs(again, rows), outputs(model, rows))


def test_numpy_scalars_as_options_are_saved(tmp_path: Path) -> None:
    """As a parameter search hands them over."""
    model = isthmus.VAE(np.int64(2), hidden=[8], epochs=np.int64(2), learning_rate=np.float64(1e-3)).fit(images())
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert_same(outputs(again, images()), outputs(model, images()))


def test_a_saved_model_learns_on(saved: Path) -> None:
    model = isthmus.load(saved / "VAE-table.safetensors")
    before = model.transform(table())
    model.partial_fit(table())
    assert not np.array_equal(before, model.transform(table()))


def test_the_golden_file_gives_the_outputs_of_its_day() -> None:
    held = json.loads((GOLDEN / "vae-v1.json").read_text(encoding="utf-8"))
    frame = pd.DataFrame(held["rows"])
    frame["day"] = pd.to_datetime(frame["day"]).dt.tz_localize(None)
    frame["length"] = frame["length"].astype(float)
    model: Any = isthmus.load(GOLDEN / "vae-v1.safetensors")
    expected = held["outputs"]
    np.testing.assert_allclose(model.transform(frame), expected["codes"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.score_samples(frame), expected["scores"], rtol=1e-5, atol=1e-5)
    assert model.predict(frame).tolist() == expected["predictions"]
    for found, columns in (
        (model.reconstruct(frame), expected["reconstruction"]),
        (model.sample(20, random_state=3), expected["sample"]),
    ):
        assert list(found.columns) == list(columns)
        np.testing.assert_allclose(found["length"], columns["length"], rtol=1e-5, atol=1e-5)
        assert found["day"].equals(pd.to_datetime(pd.Series(columns["day"], name="day")).dt.tz_localize(None))
        for name in ("count", "large", "kind"):
            assert found[name].tolist() == columns[name]


# Damage.


def test_a_flipped_bit_or_a_cut_is_noticed(saved: Path, tmp_path: Path) -> None:
    """600 damaged files: each is refused in one line, or gives the same outputs to the last bit."""
    chance = random.Random(0)
    whole = (saved / "VAE-table.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    rows, expected = pickle.loads((saved / "VAE-table.pickle").read_bytes())
    path = tmp_path / "damaged.safetensors"
    refused = harmless = 0
    for number in range(600):
        damaged = bytearray(whole)
        if number % 6 == 5:
            del damaged[chance.randrange(len(whole)) :]
        else:
            place = chance.randrange(header if number % 2 else len(whole))
            damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            model = isthmus.load(path)
        except ModelFileError as failure:
            assert "\n" not in str(failure) and str(path) in str(failure)
            refused += 1
        else:
            assert_same(outputs(model, rows), expected)
            harmless += 1
    assert refused >= 590, f"{harmless} of 600 were not noticed"


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0" * 8, b"\0" * 4096, b"PK\x03\x04" + b"x" * 99, b"{}" * 50])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    refusal(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.safetensors")
    assert "folder" in refusal(tmp_path)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(as_safetensors({"w": torch.zeros(3)}, metadata={"format": "pt"}))
    assert "isthmus" in refusal(path)


@pytest.mark.parametrize("declared", [2**63, 2**40, 100 * 2**20 - 1])
def test_a_huge_header_is_refused_before_it_is_read(declared: int, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(declared.to_bytes(8, "little") + b'{"a":' + b" " * 1000)
    refusal(path)


def test_a_huge_tensor_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    refusal(path)


# Files that were made to deceive: their checksums are right.


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    tensors, facts = read_tensors(path)
    change(facts)
    write_tensors(path, tensors, facts)
    return path


NAMES = [
    "os",
    "subprocess",
    "base",
    "__init__",
    "../vae",
    "vae.py",
    "isthmus.variants.vae",
    "VAE",
    "",
    None,
    5,
    ["vae"],
    {},
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["model", "domain"])
def test_unknown_names_are_refused_and_nothing_is_imported(place: str, name: Any, model_file: Path) -> None:
    isthmus.load(model_file)  # what loading imports is imported now

    def change(facts: dict[str, Any]) -> None:
        if place == "model":
            facts["model"] = name
        else:
            facts["domain"]["name"] = name

    before = set(sys.modules)
    refusal(rewritten(model_file, change))
    assert set(sys.modules) == before


def test_a_later_format_is_refused(model_file: Path) -> None:
    assert "format 2" in refusal(rewritten(model_file, lambda facts: facts.update(format=2)))


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(latent_dim=10**9),
        lambda facts: facts["options"].update(hidden=[10**6, 10**6]),
        lambda facts: facts["options"].update(hidden=[8] * 100_000),
    ],
)
def test_a_model_larger_than_its_file_is_refused_before_memory_is_taken(
    change: Callable[[dict[str, Any]], None], model_file: Path
) -> None:
    assert "larger" in refusal(rewritten(model_file, change))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all numbers, strings and so on in nested JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [leaf for key, part in inner for leaf in leaves(part, (*path, key))] or [path]


JUNK = [None, "", "x", -1, 0, 1e308, 10**30, True, [], {}, [[]], {"a": 1}, "\ud83d\ude00", -0.5]


@pytest.mark.slow
def test_junk_anywhere_in_the_description_is_refused_or_borne(saved: Path, tmp_path: Path) -> None:
    """480 descriptions with one value replaced, or removed: each loads, or is refused in one line."""
    chance = random.Random(1)
    for name in ("LadderVAE-table", "FSQ-image", "Autoencoder-table", "FactorVAE-image"):
        tensors, facts = read_tensors(saved / f"{name}.safetensors")
        places = [leaf for leaf in leaves(facts) if leaf[0] != "history"]
        places += [(key,) for key in facts] + [("domain", key) for key in facts["domain"]]
        for number in range(120):
            changed = deepcopy(facts)
            *way, last = chance.choice(places)
            holder = changed
            for key in way:
                holder = holder[key]
            if chance.random() < 0.2 and isinstance(holder, dict):
                del holder[last]
            else:
                holder[last] = chance.choice(JUNK)
            path = tmp_path / f"{name}-{number}.safetensors"
            write_tensors(path, tensors, changed)
            try:
                isthmus.load(path)
            except ModelFileError as failure:
                assert "\n" not in str(failure) and str(path) in str(failure)


@pytest.mark.parametrize("text", ["[]", "null", "{", "[" * 100_000, '{"format": NaN}', "{}"])
def test_a_description_that_is_no_description_is_refused(text: str, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "m.safetensors"
    monkeypatch.setattr("isthmus.files.tensor_file.json.dumps", lambda *_, **__: text)
    write_tensors(path, {"w": torch.zeros(3)}, {})
    monkeypatch.undo()
    refusal(path)


# Writing.


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file(failure: BaseException, model_file: Path, monkeypatch: Any) -> None:
    model = isthmus.load(model_file)
    before = model_file.read_bytes()

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises((DataError, KeyboardInterrupt)):
        model.save(model_file)
    monkeypatch.undo()
    assert model_file.read_bytes() == before
    assert list(model_file.parent.iterdir()) == [model_file]


def test_a_model_that_is_not_fitted_has_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="not fitted"):
        isthmus.VAE().save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_others_may_read_the_file_as_they_may_read_any_other(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    isthmus.load(model_file).save(tmp_path / "new.safetensors")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "new.safetensors")]
    assert modes[0] == modes[1]


def test_the_file_is_about_as_large_as_its_numbers(model_file: Path) -> None:
    tensors, facts = read_tensors(model_file)
    numbers = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert math.isclose(model_file.stat().st_size, numbers + len(json.dumps(facts)), rel_tol=0.3, abs_tol=4096)
