"""Rows through fitted models come back bit for bit, in about as many bits as the evidence bound says."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from threadpoolctl import threadpool_limits

import isthmus
from isthmus.comparison.coding import negative_bound
from isthmus.compression.latent.codec import NOISES, LatentCodec
from isthmus.core.errors import DataError
from isthmus.estimator.base import Estimator
from isthmus.files.bundled import read_bundled

DIGITS = read_bundled("digits").rows
PENGUINS = read_bundled("penguins").rows

# Trying every rounding of the weights takes seconds a model: most are tried at two, one at all.
TWO_NOISES = (0.005, 0.02)

KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "VAE, digits": (isthmus.VAE, DIGITS[:900], {"latent_dim": 6, "epochs": 15}),
    "VAE, penguins": (isthmus.VAE, PENGUINS, {"latent_dim": 2, "epochs": 40}),
    "Autoencoder, digits": (isthmus.Autoencoder, DIGITS[:600], {"latent_dim": 6, "epochs": 10}),
    "Autoencoder, penguins": (isthmus.Autoencoder, PENGUINS, {"latent_dim": 2, "epochs": 20}),
    "FSQ, digits": (isthmus.FSQ, DIGITS[:600], {"latent_dim": 6, "epochs": 10}),
    "convolutional": (isthmus.VAE, DIGITS[:300], {"latent_dim": 4, "epochs": 2, "network": "convolutional"}),
    "beta-binomial": (isthmus.VAE, DIGITS[:300], {"latent_dim": 4, "epochs": 2, "likelihood": "beta_binomial"}),
    "black and white": (isthmus.VAE, DIGITS[:300] > 7, {"latent_dim": 4, "epochs": 2, "activation": "silu"}),
    "floats": (isthmus.VAE, (DIGITS[:300] / 16).astype(np.float32), {"latent_dim": 4, "epochs": 2}),
    "Student's t": (isthmus.VAE, PENGUINS, {"latent_dim": 2, "epochs": 5, "likelihood": "student_t"}),
    "mixture": (isthmus.VAE, PENGUINS, {"latent_dim": 2, "epochs": 5, "likelihood": "mixture"}),
}


@pytest.fixture(scope="module")
def fitted() -> Any:
    """A fitted estimator, its codec and its rows, each made once."""
    made: dict[str, tuple[Estimator, LatentCodec, Any]] = {}

    def get(kind: str) -> tuple[Estimator, LatentCodec, Any]:
        if kind not in made:
            build, rows, options = KINDS[kind]
            noises = NOISES if kind == "VAE, digits" else TWO_NOISES
            made[kind] = *_codec(build(random_state=0, **options), rows, noises), rows
        return made[kind]

    return get


def _codec(estimator: Estimator, rows: Any, noises: tuple[float, ...] = TWO_NOISES) -> tuple[Estimator, LatentCodec]:
    estimator.fit(rows)
    x = estimator.domain_.tensors(rows)
    return estimator, LatentCodec.from_model(estimator.model_, estimator.domain_, x, noises=noises)


def again(codec: LatentCodec) -> LatentCodec:
    """The codec of another machine, which has nothing but what an archive keeps."""
    return LatentCodec.restored(json.loads(json.dumps(codec.settings())), codec.parameters())


def check_round_trip(codec: LatentCodec, rows: Any) -> bytes:
    """The rows' bytes, after they came back, to the last bit and as what they were."""
    chunk = codec.encode(rows)
    found = again(codec).decode(chunk, len(rows))
    assert codec.canonical(found) == codec.canonical(rows)
    assert_same(found, rows)
    return chunk


def assert_same(found: Any, rows: Any) -> None:
    if isinstance(rows, np.ndarray):
        assert found.dtype == rows.dtype and found.tobytes() == rows.tobytes()
    elif isinstance(rows, pa.Table):
        assert found.equals(rows)
    else:
        pd.testing.assert_frame_equal(found, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_back_bit_for_bit(fitted: Any, kind: str) -> None:
    _, codec, rows = fitted(kind)
    for count in (len(rows), 1, 2, 0):
        check_round_trip(codec, codec.part(rows, 0, count))


@pytest.mark.parametrize(
    ("kind", "margin"),
    [("VAE, digits", 0.005), ("FSQ, digits", 0.005), ("beta-binomial", 0.005), ("convolutional", 0.005)],
)
def test_rows_cost_their_evidence_bound(fitted: Any, kind: str, margin: float) -> None:
    estimator, codec, rows = fitted(kind)
    x = estimator.domain_.tensors(rows)
    bound = negative_bound(estimator, x, x).sum() / np.log(2)
    assert 8 * len(codec.encode(rows)) <= bound * (1 + margin) + 500


def test_points_cost_what_the_best_width_around_them_says(fitted: Any) -> None:
    estimator, codec, rows = fitted("Autoencoder, digits")
    x = estimator.domain_.tensors(rows)
    bound = negative_bound(estimator, x, x).sum() / np.log(2)
    assert 8 * len(codec.encode(rows)) <= bound * 1.01 + 500


def test_many_rows_are_drawn_and_one_is_not(fitted: Any) -> None:
    _, codec, rows = fitted("VAE, digits")
    symbols = codec._rows.symbols(rows)
    assert codec._drawn_stack(symbols).bits < codec._plain_stack(symbols).bits
    assert codec.encode(rows)[0] == 0
    assert codec._drawn_stack(symbols[:1]).bits >= codec._plain_stack(symbols[:1]).bits
    assert codec.encode(rows[:1])[0] == 1


@pytest.mark.parametrize("kind", ["VAE, digits", "VAE, penguins", "Autoencoder, penguins"])
def test_threads_and_torchs_precision_change_nothing(fitted: Any, kind: str) -> None:
    _, codec, rows = fitted(kind)
    chunks = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            chunks.append(codec.encode(rows))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        chunks.append(again(codec).encode(rows))
    finally:
        torch.set_float32_matmul_precision(before)
    assert len(set(chunks)) == 1


DECODE = """
import hashlib, json, pathlib, sys
from isthmus.compression.latent.codec import LatentCodec
for folder in map(pathlib.Path, sys.argv[1:]):
    codec = LatentCodec.restored(json.loads((folder / "settings").read_text()), (folder / "parameters").read_bytes())
    rows = codec.decode((folder / "chunk").read_bytes(), int((folder / "count").read_text()))
    assert codec.encode(rows) == (folder / "chunk").read_bytes()
    print(hashlib.sha256(codec.canonical(rows)).hexdigest())
"""


def test_a_processor_of_other_abilities_decodes_the_same(fitted: Any, tmp_path: Path) -> None:
    folders, digests = [], []
    for number, kind in enumerate(["VAE, penguins", "convolutional", "Student's t", "FSQ, digits"]):
        _, codec, rows = fitted(kind)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "settings").write_text(json.dumps(codec.settings()))
        (folder / "parameters").write_bytes(codec.parameters())
        (folder / "chunk").write_bytes(codec.encode(rows))
        (folder / "count").write_text(str(len(rows)))
        folders.append(str(folder))
        digests.append(hashlib.sha256(codec.canonical(rows)).hexdigest())
    # An old processor: without wide vectors and fused products, and with several threads.
    old = {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": " ".join(_optional_features())}
    environment = {**os.environ, **old, "OMP_NUM_THREADS": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", DECODE, *folders]
    assert (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split() == digests
    )


def _optional_features() -> list[str]:
    """What this processor can do that NumPy need not use."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return list(simd.get("found", []))


def test_what_no_tensor_holds_comes_back_all_the_same(fitted: Any) -> None:
    _, codec, rows = fitted("VAE, penguins")
    columns = {name: rows.column(name).to_pylist()[:60] for name in rows.column_names}
    for field in rows.schema:
        if pa.types.is_floating(field.type):
            columns[field.name][:9] = [-0.0, 1e300, -1e-300, 5e-324, 123.456789, None, 1 / 3, -1.0, 0.0]
        elif pa.types.is_integer(field.type):
            columns[field.name][:4] = [2**62, -(2**62), None, 0]
        else:
            columns[field.name][:2] = ["never seen, äöü", None]
    table = pa.table(columns, schema=rows.schema)
    check_round_trip(codec, table)


def test_numbers_of_all_sizes_come_back() -> None:
    random = np.random.default_rng(0)
    extremes = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max, 0, -1, 2**53 + 1])
    frame = pd.DataFrame(
        {
            "whole": np.concatenate([extremes, random.integers(-(2**62), 2**62, 195)]),
            "real": random.normal(size=200) * 10.0 ** random.integers(-30, 30, 200),
            "single": random.normal(size=200).astype(np.float32),
            "negative zero": np.where(random.random(200) < 0.5, -0.0, 1.5),
            "flag": random.random(200) < 0.3,
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, 200), unit="D"),
            "kind": pd.Categorical(random.choice(["a", "b", "c"], 200), categories=["c", "b", "a", "unused"]),
        }
    )
    _, codec = _codec(isthmus.VAE(latent_dim=2, epochs=2, random_state=0), frame)
    check_round_trip(codec, frame)
    array = random.normal(size=(100, 4))
    _, codec = _codec(isthmus.Autoencoder(latent_dim=2, epochs=2, random_state=0), array)
    check_round_trip(codec, array)


def test_many_rare_categories_come_back() -> None:
    random = np.random.default_rng(0)
    texts = [f"name {value}" for value in random.zipf(1.3, 1500)]
    frame = pd.DataFrame({"name": texts, "number": random.normal(size=1500).round(2)})
    _, codec = _codec(isthmus.VAE(latent_dim=2, epochs=1, random_state=0), frame)
    chunk = check_round_trip(codec, frame)
    assert len(chunk) < len("".join(texts)) / 2


def test_pixels_outside_the_fitted_range_come_back(fitted: Any) -> None:
    _, codec, rows = fitted("VAE, digits")
    strange = rows[:5].copy()
    strange[2, 3, 4], strange[4, 0, 0] = 255, 17
    check_round_trip(codec, strange)
    _, codec, rows = fitted("floats")
    strange = rows[:5].copy()
    strange[0, 0, 0], strange[1, 1, 1], strange[2, 2, 2] = -0.0, 1e30, 0.1
    check_round_trip(codec, strange)


def test_parts_are_joined_again(fitted: Any) -> None:
    for kind in ("VAE, digits", "VAE, penguins"):
        _, codec, rows = fitted(kind)
        parts = [codec.decode(codec.encode(codec.part(rows, a, b)), b - a) for a, b in ((0, 10), (10, 10), (10, 40))]
        assert codec.canonical(codec.joined(parts)) == codec.canonical(codec.part(rows, 0, 40))
        assert len(codec.joined([])) == 0


def test_what_cannot_be_coded_is_refused_in_one_line(fitted: Any) -> None:
    estimator = isthmus.LadderVAE(latent_dim=3, epochs=1, random_state=0).fit(DIGITS[:100])
    x = estimator.domain_.tensors(DIGITS[:100])
    with pytest.raises(DataError, match="cannot code rows yet"):
        LatentCodec.from_model(estimator.model_, estimator.domain_, x)
    _, codec, rows = fitted("VAE, penguins")
    with pytest.raises(DataError, match="knows no column 'more'"):
        codec.encode(rows.append_column("more", pa.array(range(len(rows)))))
    with pytest.raises(DataError, match="images of"):
        fitted("VAE, digits")[1].encode(np.zeros((2, 9, 9), np.uint8))
    with pytest.raises(DataError, match="convert"):
        fitted("VAE, digits")[1].encode(np.full((2, 8, 8), 0.5))


@pytest.mark.parametrize("kind", ["VAE, penguins", "VAE, digits", "Autoencoder, penguins", "FSQ, digits"])
def test_damaged_chunks_are_an_error_or_other_rows(fitted: Any, kind: str) -> None:
    _, codec, rows = fitted(kind)
    part = codec.part(rows, 0, 40)
    for chunk in (codec.encode(part), b""):
        random = np.random.default_rng(0)
        for _ in range(60):
            bad = bytearray(chunk or random.bytes(random.integers(0, 400)))
            if bad:
                bad[random.integers(len(bad))] ^= 1 << random.integers(8)
            for damaged in (bytes(bad), bytes(bad)[: random.integers(len(bad) + 1)]):
                try:
                    codec.decode(damaged, 40)
                except ValueError:
                    continue


def test_damaged_settings_and_parameters_are_an_error_or_another_codec(fitted: Any) -> None:
    _, codec, rows = fitted("VAE, penguins")
    settings, parameters = codec.settings(), codec.parameters()
    random = np.random.default_rng(0)
    nonsense = [None, -1, 0, 2**40, 1e308, "x", [], {}, [[]], True, float("nan")]

    def places(node: Any) -> list[tuple[Any, Any]]:
        children = (
            list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
        )
        return [(node, key) for key, _ in children] + [place for _, child in children for place in places(child)]

    chunk = codec.encode(codec.part(rows, 0, 20))
    count = len(places(settings))
    for trial in range(min(count, 150)):
        damaged = json.loads(json.dumps(settings))
        node, key = places(damaged)[int(random.integers(count))]
        node[key] = nonsense[trial % len(nonsense)]
        try:
            LatentCodec.restored(damaged, parameters).decode(chunk, 20)
        except (KeyError, TypeError, ValueError):
            continue
    for _ in range(60):
        bad = bytearray(parameters)
        bad[random.integers(len(bad))] ^= 1 << random.integers(8)
        try:
            LatentCodec.restored(settings, bytes(bad)).decode(chunk, 20)
        except (KeyError, TypeError, ValueError):
            continue
