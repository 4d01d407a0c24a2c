"""Real bytes: what the tools themselves give for the same rows, and what a real archive has."""

import gzip
import io
import lzma
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus.comparison import archiving
from isthmus.comparison.archiving import MOST_ARCHIVED, archive, archived_rows, general_tools
from isthmus.comparison.contenders import Autoencoding, PrincipalComponents
from isthmus.compression.archive import Archive, Options, chunks, write
from isthmus.compression.latent.codec import LatentCodec
from isthmus.core.errors import DataError
from isthmus.domains import find
from isthmus.files.bundled import read_bundled
from isthmus.files.writing import write_table

DIGITS = read_bundled("digits").rows[:120]
PENGUINS = read_bundled("penguins").rows.take(list(range(0, 344, 2)))


def contender(estimator: Any, rows: Any) -> Autoencoding:
    """A fitted estimator as the comparison has it."""
    made = Autoencoding.__new__(Autoencoding)
    made.estimator = estimator.fit(rows)
    return made


def sizes(facts: dict[str, Any]) -> dict[str, float | None]:
    return {tool["name"]: tool["bytes_per_row"] for tool in facts["tools"]}


def test_images_take_what_the_tools_give_for_their_pixels():
    domain = find("image").fit(DIGITS)
    facts = general_tools(domain, domain.tensors(DIGITS))
    data, count = DIGITS.tobytes(), len(DIGITS)
    found = sizes(facts)
    assert (facts["rows"], facts["form"], facts["plain_bytes_per_row"]) == (count, "raw pixels", 64)
    assert found["gzip -9"] == len(gzip.compress(data, 9)) / count
    assert found["xz -9e"] == len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / count
    assert found["zstd -19"] == len(pa.Codec("zstd", compression_level=19).compress(data)) / count
    streams = [io.BytesIO() for _ in DIGITS]
    for pixels, stream in zip(DIGITS, streams, strict=True):
        PIL.Image.fromarray(pixels).save(stream, "png", optimize=True)
    assert found["PNG"] == sum(len(stream.getvalue()) for stream in streams) / count


def test_tables_take_what_the_tools_give_for_their_csv(tmp_path):
    domain = find("table").fit(PENGUINS)
    facts = general_tools(domain, domain.tensors(PENGUINS))
    write_table(PENGUINS, tmp_path / "rows.csv")
    data, count = (tmp_path / "rows.csv").read_bytes(), len(PENGUINS)
    found = sizes(facts)
    assert (facts["rows"], facts["form"]) == (count, "CSV")
    assert facts["plain_bytes_per_row"] == len(data) / count
    assert found["gzip -9"] == len(gzip.compress(data, 9)) / count
    assert found["xz -9e"] == len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / count
    assert found["Parquet, zstd -19"] and "PNG" not in found


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_formats_that_cannot_hold_the_pixels_say_so(dtype):
    images = DIGITS.astype(dtype)
    domain = find("image").fit(images)
    tools = {tool["name"]: tool for tool in general_tools(domain, domain.tensors(images))["tools"]}
    for name in ("PNG", "WebP, lossless"):
        assert tools[name]["bytes_per_row"] is None and np.dtype(dtype).name in tools[name]["refused"]
    assert tools["gzip -9"]["refused"] is None


def test_a_format_without_an_encoder_is_null_and_one_with_an_encoder_is_not(monkeypatch):
    domain = find("image").fit(DIGITS)

    def jpeg_xl() -> dict[str, Any]:
        return next(
            tool
            for tool in general_tools(domain, domain.tensors(DIGITS))["tools"]
            if tool["name"].startswith("JPEG XL")
        )

    PIL.Image.init()
    monkeypatch.delitem(PIL.Image.SAVE, "JXL", raising=False)
    assert jpeg_xl()["bytes_per_row"] is None and "no encoder" in jpeg_xl()["refused"]
    monkeypatch.setitem(PIL.Image.SAVE, "JXL", lambda image, stream, name: stream.write(b"seven.."))
    assert jpeg_xl()["bytes_per_row"] == 7 and jpeg_xl()["refused"] is None


@pytest.mark.parametrize("shape", [(40, 5, 5), (40, 5, 5, 1), (40, 5, 5, 2), (40, 5, 5, 3), (40, 5, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_every_kind_of_pixels_has_files(shape, dtype):
    images = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    domain = find("image").fit(images)
    found = sizes(general_tools(domain, domain.tensors(images)))
    if dtype is np.uint8 or len(shape) == 3 or shape[-1] == 1:
        assert found["PNG"] and found["WebP, lossless"]
    assert found["gzip -9"]


@pytest.mark.parametrize(
    ("model", "rows"), [("VAE", DIGITS), ("Autoencoder", DIGITS), ("VAE", PENGUINS), ("FSQ", PENGUINS)]
)
def test_an_archive_takes_what_a_real_one_takes(model, rows):
    fitted = contender(getattr(isthmus, model)(2, hidden=(8,), epochs=3, random_state=0), rows)
    domain = fitted.estimator.domain_
    x = domain.tensors(rows)
    facts = archive(domain, fitted, x)
    assert facts["refused"] is None
    codec = LatentCodec.from_model(fitted.estimator.model_, domain, x, len(x), archiving.NOISES)
    stream = io.BytesIO()
    write(stream, codec, chunks(rows), options=Options(verify=True))
    whole = len(stream.getvalue())
    assert facts["total_bytes_per_row"] == whole / len(x)
    assert facts["bytes_per_row"] * len(x) + facts["model_bytes"] == pytest.approx(whole)
    assert facts["bytes_per_row"] == len(codec.encode(rows)) / len(x)
    back = Archive(stream, "archive").read()
    assert np.array_equal(back, rows) if isinstance(rows, np.ndarray) else back.equals(rows)


def test_frames_and_matrices_are_archived_too():
    frame = PENGUINS.to_pandas()
    for rows in (frame, np.random.default_rng(0).normal(size=(100, 3)).round(2)):
        fitted = contender(isthmus.VAE(2, hidden=(8,), epochs=3, random_state=0), rows)
        domain = fitted.estimator.domain_
        facts = archive(domain, fitted, domain.tensors(rows))
        assert facts["refused"] is None and facts["bytes_per_row"] > 0
        assert all(tool["bytes_per_row"] for tool in general_tools(domain, domain.tensors(rows))["tools"])


def test_contenders_that_cannot_code_rows_say_why():
    images = DIGITS
    domain = find("image").fit(images)
    x = domain.tensors(images)
    components = PrincipalComponents(2, 0)
    components.fit(domain, x)
    ladder = contender(isthmus.LadderVAE(4, hidden=(8,), epochs=1, random_state=0), images)
    for facts, why in ((archive(domain, components, x), "probabilities"), (archive(domain, ladder, x), "cannot code")):
        assert facts["rows"] == len(images) and why in facts["refused"]
        assert {facts[key] for key in ("bytes_per_row", "model_bytes", "total_bytes_per_row")} == {None}


def test_a_codec_that_fails_loses_no_comparison(monkeypatch):
    fitted = contender(isthmus.VAE(2, hidden=(8,), epochs=1, random_state=0), DIGITS)
    x = fitted.estimator.domain_.tensors(DIGITS)

    def refuse(*_: Any) -> LatentCodec:
        raise DataError("two\nlines")

    monkeypatch.setattr(LatentCodec, "decode", lambda self, chunk, count: DIGITS[:count][::-1])
    assert "did not come back" in archive(fitted.estimator.domain_, fitted, x)["refused"]
    monkeypatch.setattr(LatentCodec, "from_model", refuse)
    assert archive(fitted.estimator.domain_, fitted, x)["refused"] == "two lines"


def test_rows_are_bounded_in_number_and_in_size():
    for shape, rows in (((5000, 3), MOST_ARCHIVED), ((10, 2**20), 2), ((2, 2**21 + 1), 1)):
        assert len(archived_rows(torch.zeros(1).expand(*shape))) == rows


def test_a_comparison_holds_both():
    frame = pd.DataFrame(
        {"a": np.random.default_rng(0).normal(size=150).round(1), "b": ["x", "y", "z"] * 50},
    )
    facts = isthmus.compare(frame, models=["pca", "ae", "vae"], latents=[2], epochs=2, seeds=2, jobs=1).facts
    assert facts["compression_baselines"]["rows"] == facts["data"]["rows"]["test"]
    by_name = {c["name"]: c for c in facts["contenders"]}
    assert by_name["pca-2"]["archive"]["refused"]
    for name in ("ae-2", "vae-2"):
        assert by_name[name]["archive"]["total_bytes_per_row"] > by_name[name]["archive"]["bytes_per_row"] > 0
        assert "archive" not in by_name[name]["spread"] and "archive" not in by_name[name]["runs"][0]
