"""A folder of images of many sizes through the commands: sizes, heat maps, unusual ones, damaged files, 1×1."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from .conftest import Ended, run, succeed

ODD = "c/odd.png"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty dark pictures of 6 to 12 pixels a side, one with a bright corner, one of a single pixel, one damaged."""
    folder = tmp_path_factory.mktemp("images") / "pictures"
    draws = np.random.default_rng(0)
    for number in range(40):
        height, width = draws.integers(6, 13, 2)
        _save(folder / f"a/{number:02}.png", draws.integers(40, 60, (height, width, 3)))
    odd = draws.integers(40, 60, (12, 12, 3))
    odd[:4, 8:] = 250
    _save(folder / ODD, odd)
    _save(folder / "b/one.png", np.full((1, 1), 50))
    (folder / "a/07.png").write_bytes(b"no image")
    return folder


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def model(pictures: Path) -> tuple[Path, Ended]:
    out = pictures.parent / "m.safetensors"
    options = ("--latent", 2, "--epochs", 40, "--set", "hidden=16,", "--set", "largest_side=8")
    return out, succeed("fit", pictures, "--model", "vae", *options, "--out", out)


def test_what_is_decided_is_said_in_lines(model: tuple[Path, Ended]) -> None:
    notes = model[1].err.splitlines()
    assert "isthmus: note: images left out because they cannot be read: 1 (a/07.png)" in notes
    assert any("images 1–12 pixels high and 1–12 wide" in note for note in notes)
    assert any("above 8 pixels" in note and "largest_side=N" in note for note in notes)


def test_new_images_are_a_folder_of_files_of_many_sizes(model: tuple[Path, Ended], tmp_path: Path) -> None:
    succeed("generate", model[0], "-n", 6, "--out", tmp_path / "new")
    sizes = [Image.open(path).size for path in sorted((tmp_path / "new").iterdir())]
    assert len(sizes) == 6 and all(1 <= side <= 12 for size in sizes for side in size)
    ended = run("generate", model[0], "-n", 2, "--out", tmp_path / "new.npy")
    assert ended.status == 2 and len(ended.err.splitlines()) == 1 and "a path without an ending" in ended.err


def test_scores_name_the_region_and_maps_show_it(model: tuple[Path, Ended], pictures: Path, tmp_path: Path) -> None:
    out, maps = tmp_path / "scores.parquet", tmp_path / "maps"
    facts = json.loads(succeed("score", model[0], pictures, "--out", out, "--maps", maps, "--json").out)
    table = {row["row"]: row for row in parquet.read_table(out).to_pylist()}
    assert len(table) == 41 and facts["maps"] == str(maps)
    assert table[ODD]["flag"]
    # Reduced from 12 to 8 pixels: the corner's edge lies within one pixel and a half.
    rows, columns = (part.split()[1].split("–") for part in table[ODD]["column_1"].split(", "))
    assert int(rows[0]) == 0 and int(rows[-1]) <= 5 and int(columns[0]) >= 6 and int(columns[-1]) == 11
    written = sorted(path.relative_to(maps).as_posix() for path in maps.rglob("*.png"))
    assert written == sorted(name for name, row in table.items() if row["flag"])
    drawn = np.asarray(Image.open(maps / ODD)).astype(int)
    redness = drawn[..., 0] - drawn[..., 1]
    assert drawn.shape == (12, 12, 3) and redness[:4, 8:].mean() > 10 * redness[6:, :6].mean() + 5


def test_the_page_shows_the_least_usual_images(model: tuple[Path, Ended], pictures: Path, tmp_path: Path) -> None:
    succeed("explain", model[0], pictures, "--out", tmp_path / "explained")
    facts = json.loads((tmp_path / "explained" / "explain.json").read_text())
    names = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    names.remove("a/07.png")
    assert names[facts["unusual"][0]["row"]] == ODD
    scores = [image["score"] for image in facts["unusual"]]
    assert scores == sorted(scores)
    page = (tmp_path / "explained" / "explain.html").read_text()
    assert "Unusual images" in page and "the change of a pixel when" in page and "shares of black to white" in page


@pytest.mark.parametrize(("rows", "word"), [("penguins", "--maps"), ("digits", "is a file")])
def test_maps_are_of_images_and_go_to_a_new_folder(
    rows: str, word: str, penguins_model: Path, digits_model: Path, tmp_path: Path
) -> None:
    fitted = {"penguins": penguins_model, "digits": digits_model}[rows]
    maps = tmp_path / "maps"
    if rows == "digits":
        maps.write_text("a file")
    ended = run("score", fitted, rows, "--out", tmp_path / "s.csv", "--maps", maps)
    assert ended.status == 2 and len(ended.err.splitlines()) == 1 and word in ended.err


def test_where_maps_cannot_go_no_scores_are_written_either(digits_model: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    for maps in (tmp_path / "full", tmp_path / "s.csv"):
        ended = run("score", digits_model, "digits", "--out", tmp_path / "s.csv", "--maps", maps)
        assert ended.status == 2 and len(ended.err.splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["full"]
