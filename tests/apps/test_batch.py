"""Commands over a folder of Parquet: the same rows as in memory, whatever is killed in between, or a refusal."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from isthmus.apps.batch import parts, planning
from isthmus.apps.batch.lock import alone_in
from isthmus.files.parquet_parts import inspect, slices, write_slices
from isthmus.files.reading import read
from isthmus.files.writing import write_table

from .conftest import run, succeed

WITH_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='Ray is not installed: pip install "isthmus[ray]"'
)
# Ray starts processes of its own, which takes ten seconds.
ENGINES = ["local", pytest.param("ray", marks=[pytest.mark.slow, WITH_RAY])]
COMMANDS = ("encode", "decode", "score")


def split(table: pa.Table, folder: Path, files: int, group: int = 20) -> Path:
    """The table as so many files of about equal size, the later ones in a folder below."""
    (folder / "later").mkdir(parents=True)
    size = -(-table.num_rows // files)
    for number in range(files):
        place = folder if number < files / 2 else folder / "later"
        piece = table.slice(number * size, size)
        parquet.write_table(piece, place / f"{number:03}.parquet", row_group_size=group, write_page_checksum=True)
    return folder


@pytest.fixture
def penguins(tmp_path: Path) -> Path:
    """The bundled table as seven files with three row groups each."""
    return split(read("penguins").rows, tmp_path / "penguins", 7)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of at least 30 rows, slices of 7, new rows 50 at a time."""
    monkeypatch.setattr(planning, "PART_ROWS", 30)
    monkeypatch.setattr(planning, "GENERATED_ROWS", 50)
    monkeypatch.setattr(parts, "BATCH", 1)
    monkeypatch.setattr(parts, "SLICE_ROWS", 7)


def part_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.parquet"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def in_memory(command: str, model: Path, data: Path, out: Path) -> pa.Table:
    succeed(command, model, data, "--out", out)
    return parquet.read_table(out)


def refused(*arguments: object) -> str:
    """The one line of a command that is refused."""
    ended = run(*arguments)
    assert ended.status == 2 and ended.out == "" and ended.err.count("\n") == 1, ended.err
    return ended.err


class TestTheSameRows:
    @pytest.mark.parametrize("engine", ENGINES)
    def test_as_the_command_in_memory(self, engine: str, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        for command in COMMANDS:
            data = tmp_path / "encode" if command == "decode" else penguins
            whole = in_memory(command, penguins_model, data, tmp_path / f"{command}.parquet")
            ended = succeed(command, penguins_model, data, "--engine", engine, "--out", tmp_path / command)
            assert "344 rows in 7 parts; none is missing, none is there twice" in ended.out
            assert parquet.read_table(tmp_path / command).equals(whole), command
            assert whole.num_rows == 344

    @pytest.mark.usefixtures("small_parts")
    def test_however_parts_and_slices_are_cut(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        for command in COMMANDS:
            data = tmp_path / "encode" if command == "decode" else penguins
            whole = in_memory(command, penguins_model, data, tmp_path / f"{command}.parquet")
            succeed(command, penguins_model, data, "--out", tmp_path / command)
            assert parquet.read_table(tmp_path / command).equals(whole), command
        assert len(part_names(tmp_path / "score")) == 14  # 50 rows a file: 20 + 20, and 10

    def test_a_folder_of_codes_is_read_without_a_word(
        self, penguins: Path, penguins_model: Path, tmp_path: Path
    ) -> None:
        succeed("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert read(tmp_path / "codes").notes == ("7 Parquet files were read one after another",)

    def test_json_and_the_rows_that_are_flagged(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        ended = succeed("score", penguins_model, penguins, "--out", tmp_path / "s", "--json")
        flags = parquet.read_table(tmp_path / "s").column("flag").to_pylist()
        facts = {"rows": 344, "parts": 7, "kept_parts": 0, "flagged": sum(flags), "out": str(tmp_path / "s")}
        assert json.loads(ended.out) == facts and sum(flags) > 0

    def test_files_without_rows_are_passed_over(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        write_table(read(penguins).rows.slice(0, 0), penguins / "empty.parquet")
        succeed("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert parquet.read_table(tmp_path / "codes").num_rows == 344

    def test_what_surprises_is_noted_with_its_file(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        table = parquet.read_table(penguins / "000.parquet")
        place = table.column_names.index("sex")
        unseen = pa.array(["unknown"] * len(table))
        write_table(table.set_column(place, "sex", unseen), penguins / "000.parquet")
        ended = succeed("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert "000.parquet" in ended.err and "'unknown'" in ended.err and ended.err.count("\n") == 1


class TestNewRows:
    @pytest.mark.usefixtures("small_parts")
    def test_depend_on_the_seed_and_the_part_only(self, penguins_model: Path, tmp_path: Path) -> None:
        for name, options in {"a": (), "b": ("--seed", 0), "c": ("--seed", 1), "d": ("-n", 170)}.items():
            succeed("generate", penguins_model, "-n", 120, *options, "--out", tmp_path / name)
        a, b, c, d = (parquet.read_table(tmp_path / name) for name in "abcd")
        assert a.equals(b) and not a.equals(c) and a.num_rows == 120
        assert d.num_rows == 170 and d.slice(0, 100).equals(a.slice(0, 100))
        assert not a.slice(0, 50).equals(a.slice(50, 50)), "every part drew the same rows"

    def test_meet_conditions(self, penguins_model: Path, tmp_path: Path) -> None:
        succeed("generate", penguins_model, "-n", 50, "--where", "sex=female", "--out", tmp_path / "new")
        assert set(parquet.read_table(tmp_path / "new").column("sex").to_pylist()) == {"female"}

    @pytest.mark.slow
    @WITH_RAY
    @pytest.mark.usefixtures("small_parts")
    def test_are_the_same_from_any_number_of_workers(self, penguins_model: Path, tmp_path: Path) -> None:
        succeed("generate", penguins_model, "-n", 170, "--out", tmp_path / "local")
        for workers in (1, 2):
            given = ("--engine", "ray", "--workers", workers)
            succeed("generate", penguins_model, "-n", 170, *given, "--out", tmp_path / str(workers))
            assert contents(tmp_path / str(workers)) == contents(tmp_path / "local")


class TestGoingOn:
    @pytest.mark.usefixtures("small_parts")
    def test_whole_parts_are_kept_and_others_written_anew(
        self, penguins: Path, penguins_model: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "scores"
        command = ("score", penguins_model, penguins, "--out", out)
        succeed(*command)
        whole = contents(out)
        first, second, third, fourth, *_ = (out / name for name in part_names(out))
        kept = fourth.stat().st_mtime_ns
        first.unlink()
        second.write_bytes(second.read_bytes()[:-100])
        third.write_bytes(fourth.read_bytes())  # whole, but another part
        (out / ".part-00000001.parquet.123456.partial").write_bytes(b"half")
        assert "14 parts, 11 of them from an earlier run" in succeed(*command).out
        assert contents(out) == whole and fourth.stat().st_mtime_ns == kept

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("command", ["score", "generate"])
    @pytest.mark.slow
    @pytest.mark.skipif(os.name != "posix", reason="kill -9")
    def test_killed_in_the_middle(
        self, command: str, engine: str, penguins_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The folder is then the same, byte for byte, as that of a run that nobody killed."""
        folder = split(read("penguins").rows, tmp_path / "penguins", 57)
        data = [str(folder)] if command == "score" else ["-n", "2850"]
        program = "from isthmus.apps.batch import planning; planning.GENERATED_ROWS = 50; "
        program += "import sys; from isthmus.apps.cli import main; sys.exit(main())"
        arguments = [sys.executable, "-c", program, command, str(penguins_model), *data, "--engine"]
        out = tmp_path / "killed"
        process = subprocess.Popen([*arguments, engine, "--out", str(out)], stderr=subprocess.PIPE)
        wait_until(lambda: out.is_dir() and len(part_names(out)) >= 5, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        wait_until(lambda: settled(out))  # Ray's workers outlive the program that started them by a moment
        done = len(part_names(out))
        assert 5 <= done < 57, "it ended before it was killed: the test needs more parts"
        monkeypatch.setattr(planning, "GENERATED_ROWS", 50)
        for name in ("killed", "whole"):
            place = ("local" if name == "whole" else engine, "--out", tmp_path / name)
            ended = succeed(command, penguins_model, *data, "--engine", *place)
            assert ("from an earlier run" in ended.out) == (name == "killed")
            assert "none is missing, none is there twice" in ended.out
        assert contents(out) == contents(tmp_path / "whole")
        if command == "score":
            assert parquet.read_table(out).column("row").to_pylist() == list(range(344))


def wait_until(reached: Callable[[], bool], process: "subprocess.Popen[bytes] | None" = None) -> None:
    end = time.monotonic() + 180
    while not reached():
        assert time.monotonic() < end, "it takes too long"
        if process is not None and process.poll() is not None:
            pytest.fail(f"it ended with status {process.returncode}: {process.communicate()[1]}")
        time.sleep(0.002)


def settled(folder: Path) -> bool:
    before = part_names(folder)
    time.sleep(1)
    return part_names(folder) == before


class TestRefusals:
    def test_another_run_at_work(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        out = tmp_path / "codes"
        with alone_in(out):
            assert "another run is writing to it" in refused("encode", penguins_model, penguins, "--out", out)
        succeed("encode", penguins_model, penguins, "--out", out)

    def test_more_new_rows_than_a_folder_takes(self, penguins_model: Path, tmp_path: Path) -> None:
        words = refused("generate", penguins_model, "-n", 10**14, "--out", tmp_path / "new")
        assert "at most 10,000,000,000" in words and not (tmp_path / "new").exists()

    def test_codes_of_more_units(self, penguins_model: Path, tmp_path: Path) -> None:
        succeed("encode", penguins_model, "penguins", "--out", tmp_path / "codes.parquet")
        codes = parquet.read_table(tmp_path / "codes.parquet")
        last = codes.column_names[-1]
        wider = codes.append_column(last[:-1] + str(int(last[-1]) + 1), codes.column(last))
        write_table(wider, tmp_path / "wider.parquet")
        words = refused("decode", penguins_model, tmp_path / "wider.parquet", "--out", tmp_path / "rows.parquet")
        assert "decode them with the model that made them" in words

    @pytest.fixture
    def codes(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> Path:
        """A folder that holds a finished run."""
        succeed("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        return tmp_path / "codes"

    def assert_unchanged(self, folder: Path, *arguments: object) -> str:
        before = contents(folder)
        message = refused(*arguments, "--out", folder)
        assert contents(folder) == before and str(folder) in message
        return message

    def test_another_command(self, codes: Path, penguins: Path, penguins_model: Path) -> None:
        assert "another command, encode" in self.assert_unchanged(codes, "score", penguins_model, penguins)

    def test_another_model(self, codes: Path, penguins: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.safetensors"
        succeed("fit", "penguins", "--model", "ae", "--latent", 3, "--epochs", 1, "--out", other)
        assert "another model" in self.assert_unchanged(codes, "encode", other, penguins)

    def test_other_input(self, codes: Path, penguins: Path, penguins_model: Path) -> None:
        """The same names and as many rows."""
        table = parquet.read_table(penguins / "000.parquet")
        backwards = table.take(list(range(len(table)))[::-1])
        parquet.write_table(backwards, penguins / "000.parquet", row_group_size=20, write_page_checksum=True)
        assert "000.parquet is new or has changed" in self.assert_unchanged(codes, "encode", penguins_model, penguins)

    def test_less_input(self, codes: Path, penguins: Path, penguins_model: Path) -> None:
        (penguins / "later" / "006.parquet").unlink()
        message = self.assert_unchanged(codes, "encode", penguins_model, penguins)
        assert "later/006.parquet is no longer there" in message

    def test_other_options(self, penguins_model: Path, tmp_path: Path) -> None:
        succeed("generate", penguins_model, "-n", 10, "--out", tmp_path / "new")
        for options in (("-n", 11), ("-n", 10, "--seed", 1), ("-n", 10, "--where", "sex=male")):
            assert "other options" in self.assert_unchanged(tmp_path / "new", "generate", penguins_model, *options)

    def test_another_version(
        self, codes: Path, penguins: Path, penguins_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from isthmus.apps.batch import manifest

        monkeypatch.setattr(manifest, "__version__", "99")
        assert "and this is 99" in self.assert_unchanged(codes, "encode", penguins_model, penguins)

    def test_a_folder_that_holds_something_else(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("mine")
        assert "holds files already" in self.assert_unchanged(tmp_path / "mine", "encode", penguins_model, penguins)

    def test_a_manifest_that_cannot_be_read(self, codes: Path, penguins: Path, penguins_model: Path) -> None:
        (codes / "_manifest.json").write_text("{")
        assert "cannot be read" in self.assert_unchanged(codes, "encode", penguins_model, penguins)

    def test_rows_that_no_part_holds(self, codes: Path, penguins: Path, penguins_model: Path) -> None:
        write_table(parquet.read_table(codes), codes / "more.parquet")
        assert "more.parquet: is none of the parts" in self.assert_unchanged(codes, "encode", penguins_model, penguins)

    def test_output_among_the_input(self, penguins: Path, penguins_model: Path) -> None:
        before = sorted(penguins.rglob("*"))
        for out in (penguins, penguins / "out", penguins / "later"):
            refused("encode", penguins_model, penguins, "--out", out)
        assert sorted(penguins.rglob("*")) == before

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.usefixtures("small_parts")
    def test_a_damaged_file_is_named_and_mended_the_run_goes_on(
        self, engine: str, penguins: Path, penguins_model: Path, tmp_path: Path
    ) -> None:
        path, out = penguins / "later" / "005.parquet", tmp_path / "codes"
        command = ("encode", penguins_model, penguins, "--engine", engine, "--out", out)
        whole = path.read_bytes()
        places = [
            parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset + at for at in range(30, 40)
        ]
        damaged = bytearray(whole)
        for place in places:
            damaged[place] ^= 255
        path.write_bytes(damaged)
        message = refused(*command)
        assert str(path) in message and "damaged" in message
        assert not [entry for entry in out.iterdir() if entry.name.startswith(".")]
        path.write_bytes(whole)
        assert "from an earlier run" in succeed(*command).out
        assert parquet.read_table(out).num_rows == 344

    def test_a_file_that_is_cut_short_before_anything_is_written(
        self, penguins: Path, penguins_model: Path, tmp_path: Path
    ) -> None:
        path = penguins / "later" / "005.parquet"
        path.write_bytes(path.read_bytes()[:-20])
        assert str(path) in refused("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert not (tmp_path / "codes").exists()

    def test_a_row_that_cannot_be_used_is_placed(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        for path in penguins.rglob("*.parquet"):
            table = parquet.read_table(path)
            mass = pa.array([float(cell) if cell else None for cell in table.column("body_mass_g").to_pylist()])
            if path.name == "003.parquet":
                mass = pa.array([float("inf"), *mass.to_pylist()[1:]])
            place = table.column_names.index("body_mass_g")
            write_table(table.set_column(place, "body_mass_g", mass), path)
        message = refused("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert "003.parquet: among rows 150 to 199 of all: " in message and "body_mass_g" in message

    def test_a_column_that_is_missing(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        for path in penguins.rglob("*.parquet"):
            write_table(parquet.read_table(path).drop_columns(["sex"]), path)
        message = refused("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert "column 'sex' is missing" in message
        assert not (tmp_path / "codes").exists(), "a folder without a part was left behind"

    def test_unequal_columns(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        write_table(parquet.read_table(penguins / "000.parquet").drop_columns(["year"]), penguins / "000.parquet")
        message = refused("encode", penguins_model, penguins, "--out", tmp_path / "codes")
        assert "000.parquet: has no column 'year'" in message and not (tmp_path / "codes").exists()

    def test_codes_of_another_model(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        message = refused("decode", penguins_model, penguins, "--out", tmp_path / "rows")
        assert "column 'vae0' is missing" in message and not (tmp_path / "rows").exists()

    def test_a_model_of_images(self, penguins: Path, digits_model: Path, tmp_path: Path) -> None:
        assert "fitted to images" in refused("encode", digits_model, penguins, "--out", tmp_path / "o")
        given = ("--engine", "local", "--out", tmp_path / "o")
        assert "makes no rows of a table" in refused("generate", digits_model, "-n", 3, *given)
        assert not (tmp_path / "o").exists()

    def test_an_engine_for_what_is_no_folder(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        for data, out in (("penguins", "o"), (penguins, "o.parquet")):
            given = ("--engine", "local", "--out", tmp_path / out)
            assert "folder of Parquet files" in refused("encode", penguins_model, data, *given)
        message = refused("generate", penguins_model, "--engine", "local", "--out", tmp_path / "o.csv")
        assert "without an ending" in message
        assert "--workers 2" in refused("encode", penguins_model, penguins, "--workers", 2, "--out", tmp_path / "o")

    @pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
    def test_ray_where_there_is_none(self, penguins: Path, penguins_model: Path, tmp_path: Path) -> None:
        message = refused("encode", penguins_model, penguins, "--engine", "ray", "--out", tmp_path / "o")
        assert 'pip install "isthmus[ray]"' in message and not (tmp_path / "o").exists()


def test_input_that_changes_while_it_is_read_is_noticed(
    penguins: Path, penguins_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shorter(path: Path, row_groups: object, columns: object, most_rows: int) -> list[pa.Table]:
        return [parquet.read_table(path).slice(1)]

    monkeypatch.setattr(parts, "slices", shorter)
    message = refused("encode", penguins_model, penguins, "--out", tmp_path / "codes")
    assert "held 50 rows when the run began and 49 now" in message
    assert not (tmp_path / "codes").exists()


def test_a_part_is_told_by_its_end_alone(penguins: Path) -> None:
    facts = inspect(penguins / "000.parquet")
    assert (facts.rows, facts.row_groups, facts.facts) == (50, (20, 20, 10), {})
    assert facts.schema.names == read("penguins").rows.column_names and len(facts.footer) == 64


def test_a_slice_is_written_before_the_next_is_read(tmp_path: Path) -> None:
    """So that memory does not grow with the rows of a part."""
    events: list[str] = []

    def tables() -> Iterator[pa.Table]:
        for number in range(3):
            events.append(f"read {number}")
            yield read("penguins").rows
            events.append(f"wrote {number}")

    write_slices(tables(), tmp_path / "a.parquet", {"a": 1})
    assert events == [f"{what} {number}" for number in range(3) for what in ("read", "wrote")]
    assert inspect(tmp_path / "a.parquet").facts == {"a": 1} and inspect(tmp_path / "a.parquet").rows == 3 * 344


def test_row_groups_are_read_a_few_rows_at_a_time(penguins: Path) -> None:
    read_rows = [table.num_rows for table in slices(penguins / "000.parquet", [0, 2], ["sex"], 8)]
    assert max(read_rows) <= 8 and sum(read_rows) == 30
