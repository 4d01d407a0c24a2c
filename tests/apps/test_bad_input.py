"""Bad input gets one line that names the place and the remedy, status 2, no traceback, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from isthmus.files.reading import read
from isthmus.files.writing import write_table

from .conftest import run

Make = Callable[[Path], Path]  # writes bad data into a folder and says where


def _table(name: str = "data.csv", **columns: list) -> Make:
    def make(folder: Path) -> Path:
        write_table(pa.table(columns), folder / name)
        return folder / name

    return make


def _bytes(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _array(array: np.ndarray) -> Make:
    def make(folder: Path) -> Path:
        np.save(folder / "data.npy", array)
        return folder / "data.npy"

    return make


def _with_cell(value: float) -> np.ndarray:
    matrix = np.random.default_rng(0).normal(size=(30, 3))
    matrix[4, 1] = value
    return matrix


def _damaged(folder: Path) -> Path:
    path = _table("data.parquet", a=[float(i) for i in range(50)], b=list(range(50)))(folder)
    content = bytearray(path.read_bytes())
    content[30] ^= 0xFF
    path.write_bytes(content[: len(content) - 40])
    return path


def _folder_without_images(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "readme.md").write_text("none yet")
    return folder / "pictures"


def _zero_byte_images(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    for name in ("07.png", "08.png"):
        (folder / "pictures" / name).write_bytes(b"")
    return folder / "pictures"


NUMBERS = [float(i % 7) + i / 9 for i in range(40)]

# What is wrong, how it is made, and what the line must name: the place, and what to do or what is expected.
BAD_DATA: list[tuple[str, Make, list[str]]] = [
    ("missing file", lambda folder: folder / "nowhere.csv", ["nowhere.csv", "no such file"]),
    ("unknown name", lambda folder: Path("penguin"), ["penguin", "penguins"]),
    ("unknown ending", _bytes("data.xlsx", b"PK"), ["data.xlsx", ".csv"]),
    ("empty file", _bytes("data.csv", b""), ["data.csv", "empty"]),
    ("header only", _bytes("data.csv", b"a,b\n"), ["data.csv", "no rows"]),
    ("column of one value", _table(a=NUMBERS, b=[3.0] * 40), ["'b'", "one value", "drop"]),
    ("category of one value", _table(a=NUMBERS, b=["x"] * 40), ["'b'", "one value", "drop"]),
    ("all-missing column", _table(a=NUMBERS, b=[None] * 40), ["'b'", "no value", "drop"]),
    ("text among numbers", _table(a=NUMBERS, b=[*map(str, NUMBERS[:-1]), "tall"]), ["'b'", "'tall'"]),
    ("NaN in an array", _array(_with_cell(np.nan)), ["NaN"]),
    ("infinity in an array", _array(_with_cell(np.inf)), ["infinity"]),
    ("infinity in a table", _table("data.parquet", a=NUMBERS, b=[np.inf, *NUMBERS[1:]]), ["'b'", "infinity"]),
    ("NaN in images", _array(np.full((20, 4, 4), np.nan)), ["NaN"]),
    ("one row", _table(a=[1.5], b=[2.5]), ["row"]),
    ("damaged file", _damaged, ["data.parquet", "damaged"]),
    ("not UTF-8", _bytes("data.csv", b"a,b\n\xff\xfe,1\n"), ["data.csv", "UTF-8"]),
    ("ragged rows", _bytes("data.csv", b"a,b\n1,2\n3\n"), ["data.csv", "row"]),
    ("folder without images", _folder_without_images, ["pictures", "images"]),
    ("zero-byte images", _zero_byte_images, ["07.png", "empty"]),
    ("text in Latin-1", _bytes("data.txt", "un café\ndeux\n".encode("latin-1")), ["data.txt", "line 1", "utf-8"]),
    ("text of blank lines", _bytes("data.txt", b"\n \n"), ["data.txt", "no text"]),
    ("array of objects", _array(np.array([{"a": 1}, None], dtype=object)), ["data.npy", "objects"]),
]
IDS = [name for name, _, _ in BAD_DATA]


def refused(*arguments: object, names: list[str], clean: Path | None = None, kept: set[str] | None = None) -> None:
    """Run a command that must fail as promised; `clean` holds nothing but `kept` afterwards."""
    ended = run(*arguments)
    lines = ended.err.splitlines()
    assert ended.status == 2 and ended.out == ""
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("isthmus: error: ") and "Traceback" not in lines[0]
    missing = [name for name in names if name.lower() not in lines[0].lower()]
    assert not missing, lines[0]
    if clean is not None:
        assert {path.name for path in clean.iterdir()} == (kept or set())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for results."""
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


class TestData:
    @pytest.mark.parametrize(("make", "names"), [case[1:] for case in BAD_DATA], ids=IDS)
    def test_fit(self, make: Make, names: list[str], tmp_path: Path, place: Path) -> None:
        out = place / "m.safetensors"
        refused("fit", make(tmp_path), "--model", "vae", "--latent", 2, "--out", out, names=names, clean=place)

    @pytest.mark.parametrize(("make", "names"), [case[1:] for case in BAD_DATA], ids=IDS)
    def test_compare(self, make: Make, names: list[str], tmp_path: Path, place: Path) -> None:
        out = place / "report"
        refused("compare", make(tmp_path), "--latent", 2, "--seeds", 1, "--out", out, names=names, clean=place)

    @pytest.mark.parametrize("command", ["encode", "score", "explain"])
    @pytest.mark.parametrize(
        ("make", "names"),
        [
            *(case[1:] for case in BAD_DATA if case[0] in ("missing file", "empty file", "damaged file")),
            (_table(species=["Adelie"] * 3, sex=["male"] * 3), ["island", "missing"]),
            (_zero_byte_images, ["07.png"]),
            (_array(np.zeros((4, 6, 6))), ["images", "table"]),
            (_array(np.zeros((4, 3))), ["3", "8"]),
        ],
        ids=[
            "missing file",
            "empty file",
            "damaged file",
            "wrong columns",
            "zero-byte images",
            "wrong kind",
            "too narrow",
        ],
    )
    def test_a_fitted_model(
        self, command: str, make: Make, names: list[str], penguins_model: Path, tmp_path: Path, place: Path
    ) -> None:
        out = place / ("explained" if command == "explain" else "out.parquet")
        refused(command, penguins_model, make(tmp_path), "--out", out, names=names, clean=place)

    @pytest.mark.parametrize("command", ["encode", "score"])
    def test_text_where_the_model_expects_numbers(
        self, command: str, penguins_model: Path, tmp_path: Path, place: Path
    ) -> None:
        table = read("penguins").rows.slice(0, 4)
        position = table.column_names.index("body_mass_g")
        table = table.set_column(position, "body_mass_g", pa.array(["heavy", "light", None, "light"]))
        write_table(table, tmp_path / "data.parquet")
        names = ["body_mass_g", "heavy"]
        refused(command, penguins_model, tmp_path / "data.parquet", "--out", place / "o.csv", names=names, clean=place)

    def test_images_of_another_size(self, digits_model: Path, tmp_path: Path, place: Path) -> None:
        data = _array(np.zeros((4, 6, 6), np.uint8))(tmp_path)
        refused("encode", digits_model, data, "--out", place / "o.csv", names=["6×6", "8×8"], clean=place)

    def test_fewer_rows_than_latent_units(self, tmp_path: Path, place: Path) -> None:
        data = _table(a=NUMBERS[:5], b=NUMBERS[3:8])(tmp_path)
        fit = ("fit", data, "--model", "vae", "--latent", 30, "--out", place / "m.safetensors")
        refused(*fit, names=["5 ", "30"], clean=place)
        data = _table(a=NUMBERS[:30], b=NUMBERS[3:33])(tmp_path)
        refused("compare", data, "--latent", 200, "--out", place / "r", names=["rows", "200"], clean=place)

    @pytest.mark.parametrize(
        ("codes", "names"),
        [
            (_table("c.csv", vae0=[0.1], vae1=[0.2]), ["vae2", "missing"]),
            (_table("c.csv", vae0=[0.1], vae1=[None], vae2=[1.0]), ["vae1", "number"]),
            (_table("c.csv", vae0=["a"], vae1=[0.1], vae2=[1.0]), ["vae0", "number"]),
            (_table("c.parquet", vae0=[0.1], vae1=[np.inf], vae2=[1.0]), ["infinity"]),
            (_array(np.zeros((3, 5))), ["(3, 5)"]),
        ],
        ids=["absent", "missing cell", "text", "infinity", "wrong width"],
    )
    def test_codes(self, codes: Make, names: list[str], penguins_model: Path, tmp_path: Path, place: Path) -> None:
        refused("decode", penguins_model, codes(tmp_path), "--out", place / "rows.csv", names=names, clean=place)


class TestModels:
    COMMANDS = (
        ("info",),
        ("encode", "penguins", "--out", "o.csv"),
        ("decode", "c.csv", "--out", "o.csv"),
        ("generate", "--out", "o.csv"),
        ("score", "penguins", "--out", "o.csv"),
        ("explain", "penguins", "--out", "o"),
    )

    @pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
    @pytest.mark.parametrize("wrong", ["missing", "not a model", "damaged", "cut short", "empty", "a folder"])
    def test_a_bad_model_file(
        self,
        command: tuple[str, ...],
        wrong: str,
        penguins_model: Path,
        tmp_path: Path,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        content = bytearray(penguins_model.read_bytes())
        content[-100] ^= 1
        model = tmp_path / "bad.safetensors"
        if wrong == "a folder":
            model.mkdir()
        elif wrong != "missing":
            model.write_bytes(
                {"not a model": b"a,b\n1,2\n", "damaged": content, "cut short": content[:-500], "empty": b""}[wrong]
            )
        monkeypatch.chdir(place)
        refused(command[0], model, *command[1:], names=["bad.safetensors"], clean=place)

    @pytest.mark.parametrize("name", ["vaee", "../vae", "base", "pca"])
    def test_an_unknown_model(self, name: str, place: Path) -> None:
        out = place / "m.safetensors"
        refused("fit", "penguins", "--model", name, "--out", out, names=[name, "factor_vae"], clean=place)

    def test_an_unknown_model_to_compare(self, place: Path) -> None:
        arguments = ("compare", "digits", "--models", "pca,gan", "--out", place / "r")
        refused(*arguments, names=["gan", "vae", "pca"], clean=place)


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "names"),
        [
            (("--set", "bta=2"), ["bta", "beta"]),
            (("--set", "beta=-1"), ["beta", "0"]),
            (("--set", "beta=big"), ["beta", "number"]),
            (("--set", "kl=guessed"), ["kl", "sampled"]),
            (("--set", "beta"), ["beta", "NAME=VALUE"]),
            (("--set", "beta=1", "--set", "beta=2"), ["beta", "twice"]),
            (("--set", "epochs=3", "--epochs", 4), ["epochs", "twice"]),
            (("--set", "likelihood=poisson"), ["likelihood", "gaussian"]),
            (("--set", "data=text"), ["text", "table"]),
            (("--latent", 0), ["--latent", "at least 1"]),
            (("--latent", "many"), ["--latent", "many"]),
            (("--latent", "2,4"), ["--latent", "one number"]),
            (("--epochs", 0), ["epochs", "greater than 0"]),
            (("--epochs", "few"), ["--epochs", "integer"]),
            (("--device", "abacus"), ["device", "abacus"]),
            (("--drop", "beak"), ["beak", "bill_length_mm"]),
            (("--speed", 3), ["--speed", "fit --help"]),
        ],
    )
    def test_fit(self, options: tuple, names: list[str], place: Path) -> None:
        out = place / "m.safetensors"
        refused("fit", "penguins", "--model", "vae", *options, "--out", out, names=names, clean=place)

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            (("--target", "beak"), ["beak", "species"]),
            (("--target", "species", "--drop", "species"), ["species", "dropped"]),
            (("--latent", "2,x"), ["--latent", "2,x"]),
            (("--seeds", 0), ["seeds"]),
            (("--epochs", 0), ["epochs"]),
            (("--models", ","), ["models"]),
            (("--set", "gamma=3"), ["gamma", "beta"]),
            (("--test", "digits"), ["image"]),
            (("--test", "nowhere.csv"), ["nowhere.csv"]),
        ],
    )
    def test_compare(self, options: tuple, names: list[str], place: Path) -> None:
        refused("compare", "penguins", *options, "--out", place / "report", names=names, clean=place)

    def test_test_rows_without_a_column(self, tmp_path: Path, place: Path) -> None:
        data = _table("train.csv", a=NUMBERS, b=NUMBERS[::-1], kind=["x", "y"] * 20)(tmp_path)
        for lacking, columns in {"kind": {"a": NUMBERS, "b": NUMBERS}, "b": {"a": NUMBERS, "kind": ["x"] * 40}}.items():
            test = _table("test.csv", **columns)(tmp_path)
            options = ("--target", "kind", "--test", test, "--out", place / "r")
            refused("compare", data, *options, names=["test.csv", f"'{lacking}' is missing"], clean=place)

    def test_generate_needs_a_row(self, penguins_model: Path, place: Path) -> None:
        refused("generate", penguins_model, "-n", 0, "--out", place / "o.csv", names=["--rows", "1"], clean=place)

    def test_generate_takes_no_more_rows_than_memory_has(self, penguins_model: Path, place: Path) -> None:
        out = place / "o.csv"
        refused("generate", penguins_model, "-n", 10**11, "--out", out, names=["--rows", "at most"], clean=place)

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            (("comparee", "digits"), ["comparee", "compare"]),
            (("fit",), ["DATA", "fit --help"]),
            (("fit", "penguins", "--out", "m.safetensors"), ["--model"]),
            (("info", "a", "b"), ["b", "info --help"]),
            (("--colour",), ["--colour"]),
        ],
    )
    def test_the_command_line_itself(
        self, arguments: tuple[str, ...], names: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(place)
        refused(*arguments, names=names, clean=place)


class TestPlaces:
    @pytest.mark.parametrize(
        ("name", "names"),
        [
            ("m.pt", ["m.pt", "m.safetensors"]),
            ("m", [".safetensors"]),
            ("absent/m.safetensors", ["absent", "does not exist"]),
            ("folder.safetensors", ["folder.safetensors", "folder"]),
        ],
    )
    def test_a_model(self, name: str, names: list[str], place: Path) -> None:
        (place / "folder.safetensors").mkdir()
        arguments = ("fit", "penguins", "--model", "vae", "--epochs", 1, "--out", place / name)
        refused(*arguments, names=names, clean=place, kept={"folder.safetensors"})

    @pytest.mark.parametrize("command", ["encode", "score", "generate"])
    @pytest.mark.parametrize(
        ("name", "names"),
        [("o.xlsx", [".xlsx", ".parquet"]), ("absent/o.csv", ["absent"]), ("taken.csv", ["taken.csv", "folder"])],
    )
    def test_rows(self, command: str, name: str, names: list[str], penguins_model: Path, place: Path) -> None:
        (place / "taken.csv").mkdir()
        data = () if command == "generate" else ("penguins",)
        out = ("--out", place / name)
        refused(command, penguins_model, *data, *out, names=names[:1], clean=place, kept={"taken.csv"})

    @pytest.mark.parametrize("command", ["compare", "explain"])
    def test_a_report(self, command: str, penguins_model: Path, place: Path) -> None:
        (place / "file").write_text("mine")
        data = ("penguins",) if command == "compare" else (penguins_model,)
        refused(command, *data, "--out", place / "file", names=["file", "folder"], clean=place, kept={"file"})
        refused(command, *data, "--out", place / "a" / "b", names=["does not exist"], clean=place, kept={"file"})
        assert (place / "file").read_text() == "mine"

    @pytest.mark.parametrize("command", ["encode", "score", "decode"])
    def test_what_is_read_is_not_overwritten(self, command: str, penguins_model: Path, place: Path) -> None:
        write_table(read("penguins").rows, place / "rows.csv")
        before = (place / "rows.csv").read_bytes()
        (place / "link.csv").symlink_to(place / "rows.csv")
        out = ("--out", place / "link.csv")
        refused(command, penguins_model, place / "rows.csv", *out, names=["link.csv", "is what is read"])
        assert (place / "rows.csv").read_bytes() == before

    @pytest.mark.parametrize("command", ["decode", "generate"])
    def test_images_go_to_no_folder_that_holds_others(
        self, command: str, digits_model: Path, tmp_path: Path, place: Path
    ) -> None:
        (place / "mine").mkdir()
        (place / "mine" / "0.png").write_text("mine")
        codes = _array(np.zeros((2, 4)))(tmp_path)
        data = (codes,) if command == "decode" else ("-n", 2)
        refused(command, digits_model, *data, "--out", place / "mine", names=["mine", "new folder"], kept={"mine"})
        assert [path.read_text() for path in (place / "mine").iterdir()] == ["mine"]

    def test_a_failure_leaves_the_old_file_as_it_was(self, penguins_model: Path, tmp_path: Path, place: Path) -> None:
        (place / "codes.csv").write_text("mine")
        data = _table(species=["Adelie"])(tmp_path)
        arguments = ("encode", penguins_model, data, "--out", place / "codes.csv")
        refused(*arguments, names=["island"], clean=place, kept={"codes.csv"})
        assert (place / "codes.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "hidden=10000000,10000000"), "out of memory"),
        (("--epochs", "99999999999999999999999999"), "less than or equal to 1000000"),
    ],
)
def test_more_than_any_machine_has(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    ended = run("fit", "penguins", "--model", "ae", "--latent", 2, *options, "--out", tmp_path / "m.safetensors")
    assert ended.status == 2 and ended.err.count("\n") == 1 and words in ended.err
    assert not list(tmp_path.iterdir())
