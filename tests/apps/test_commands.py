"""Each command on real data: what it writes, what it prints, and what it promises about both."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image
from safetensors import safe_open

import isthmus
from isthmus.apps.cli.sizes import reason
from isthmus.files.reading import read
from isthmus.files.writing import write_rows, write_table

from .conftest import run, succeed

TABLE_ENDINGS = (".parquet", ".csv", ".tsv", ".arrow", ".feather", ".jsonl")


def parquet_of(path: Path, table: pa.Table) -> Path:
    write_table(table, path)
    return path


class TestFit:
    def test_the_model_file_is_what_python_loads_and_knows_its_options(self, tmp_path: Path) -> None:
        out = tmp_path / "m.safetensors"
        settings = ("--set", "beta=4", "--set", "hidden=16,8", "--set", "patience=none", "--set", "kl=sampled")
        ended = succeed("fit", "penguins", "--model", "vae", "--latent", 2, "--epochs", 2, *settings, "--out", out)
        model = isthmus.load(out)
        assert (model.latent_dim_, model.beta, model.hidden, model.patience) == (2, 4, (16, 8), None)
        assert model.verbose == 0
        assert "VAE with 2 latent units" in ended.out and str(out) in ended.out
        assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]

    def test_the_same_seed_gives_the_same_bytes_and_python_gives_them_too(self, tmp_path: Path) -> None:
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            out = tmp_path / f"{name}.safetensors"
            succeed("fit", "penguins", "--model", "vae", "--latent", 2, "--epochs", 2, "--seed", seed, "--out", out)
        weights = {name: _weights(tmp_path / f"{name}.safetensors") for name in "abc"}
        assert weights["a"] == weights["b"] != weights["c"]
        same = isthmus.VAE(2, epochs=2, random_state=1, device="auto").fit(read("penguins").rows)
        same.save(tmp_path / "python.safetensors")
        assert _weights(tmp_path / "python.safetensors") == weights["a"]

    def test_dropped_columns_are_not_learned(self, tmp_path: Path) -> None:
        out = tmp_path / "m.safetensors"
        succeed(
            "fit", "penguins", "--model", "ae", "--epochs", 1, "--drop", "species,sex", "--drop", "year", "--out", out
        )
        learned = isthmus.load(out).domain_.column_names
        assert learned == ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]

    def test_an_automatic_size_says_what_was_tried(self, tmp_path: Path) -> None:
        out = tmp_path / "m.safetensors"
        ended = succeed("fit", "penguins", "--model", "vae", "--latent", "auto", "--epochs", 2, "--json", "--out", out)
        facts = json.loads(ended.out)
        assert facts["latent_dim"] in [tried["latent_dim"] for tried in facts["size_search"]]
        succeed("explain", out, "--out", tmp_path / "explained")
        assert json.loads((tmp_path / "explained" / "explain.json").read_text())["size_search"] == facts["size_search"]
        page = (tmp_path / "explained" / "explain.html").read_text()
        assert f"Why {facts['latent_dim']} latent unit" in page
        assert all(f"{tried['loss']:.2f}" in page for tried in facts["size_search"])

    @pytest.mark.parametrize(
        ("losses", "chosen", "words"),
        [
            ([9.0, 5.0, 6.0], 1, "2 lose least on held-out rows: 5 nats"),
            ([9.0, 5.1, 5.0], 1, "2 are the fewest that lose hardly more on held-out rows than 4 do: 0.1 ± 0.3 nats"),
        ],
    )
    def test_a_size_found_gives_its_reason(self, losses: list[float], chosen: int, words: str) -> None:
        evidence = [
            {
                "latent_dim": 2**place,
                "loss": loss,
                "excess": loss - min(losses),
                "standard_error": 0.3,
                "chosen": place == chosen,
            }
            for place, loss in enumerate(losses)
        ]
        assert reason(evidence).startswith("of 1, 2, 4 latent units") and words in reason(evidence)

    def test_resume_gives_the_weights_of_the_uninterrupted_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fit = ("fit", "penguins", "--model", "vae", "--latent", 2, "--epochs", 6, "--out")
        whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
        succeed(*fit, whole)
        with monkeypatch.context() as patched:
            _interrupt_at_epoch(patched, 3)
            with pytest.raises(SystemExit) as stopped:
                run(*fit, broken)
        assert stopped.value.code == 130
        checkpoint = tmp_path / "broken.safetensors.checkpoint"
        assert isthmus.load(broken).training_["interrupted"] and checkpoint.exists()
        succeed(*fit, broken, "--resume")
        assert _weights(broken) == _weights(whole)
        assert not checkpoint.exists()

    def test_ctrl_c_says_in_one_line_what_is_kept_and_how_to_go_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from isthmus.apps.cli import main

        _interrupt_at_epoch(monkeypatch, 2)
        out = tmp_path / "m.safetensors"
        with pytest.raises(SystemExit):
            main(["fit", "penguins", "--model", "vae", "--epochs", "5", "--out", str(out)])
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and str(out) in lines[0] and "--resume" in lines[0]

    def test_without_resume_an_old_checkpoint_is_not_gone_on_from(self, tmp_path: Path) -> None:
        out = tmp_path / "m.safetensors"
        checkpoint = tmp_path / "m.safetensors.checkpoint"
        checkpoint.write_bytes(b"left by another run")
        succeed("fit", "penguins", "--model", "vae", "--epochs", 1, "--out", out)
        assert not checkpoint.exists()

    def test_resume_refuses_the_checkpoint_of_another_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "m.safetensors"
        with monkeypatch.context() as patched, pytest.raises(SystemExit):
            _interrupt_at_epoch(patched, 2)
            run("fit", "penguins", "--model", "vae", "--epochs", 5, "--out", out)
        ended = run("fit", "penguins", "--model", "vae", "--epochs", 5, "--set", "beta=2", "--resume", "--out", out)
        assert ended.status == 2 and "checkpoint of another run" in ended.err


class TestCodes:
    @pytest.mark.parametrize("ending", [*TABLE_ENDINGS, ".npy", ".npz"])
    def test_codes_survive_every_format(self, ending: str, penguins_model: Path, tmp_path: Path) -> None:
        codes, rows = tmp_path / f"codes{ending}", tmp_path / "rows.parquet"
        succeed("encode", penguins_model, "penguins", "--out", codes)
        succeed("decode", penguins_model, codes, "--out", rows)
        model, penguins = isthmus.load(penguins_model), read("penguins").rows
        assert parquet.read_table(rows).equals(model.inverse_transform(model.transform(penguins)))

    @pytest.mark.parametrize("ending", TABLE_ENDINGS)
    def test_decoded_rows_have_the_columns_of_the_data(self, ending: str, penguins_model: Path, tmp_path: Path) -> None:
        codes, rows = tmp_path / "codes.parquet", tmp_path / f"rows{ending}"
        succeed("encode", penguins_model, "penguins", "--out", codes)
        succeed("decode", penguins_model, codes, "--out", rows)
        found = read(rows).rows
        assert found.column_names == read("penguins").rows.column_names and found.num_rows == 344

    def test_decode_of_encode_has_the_schema_of_a_table_with_every_kind_of_column(self, tmp_path: Path) -> None:
        rows = 40
        randomness = np.random.default_rng(0)
        island = pa.array(randomness.choice(["Ærø", "Fur"], rows)).dictionary_encode()
        table = pa.table(
            {
                "small": pa.array(randomness.normal(size=rows), pa.float32()),
                "count": pa.array(randomness.integers(0, 9, rows), pa.uint8()),
                "island": island,
                "name": pa.array([None, *randomness.choice(["a", "b", "c"], rows - 1)], pa.large_string()),
                "wild": pa.array(randomness.random(rows) < 0.5),
                "day": pa.array(randomness.integers(0, 9000, rows).astype("datetime64[D]")),
                "moment": pa.array(randomness.integers(0, 10**9, rows), pa.timestamp("ms", tz="UTC")),
            }
        )
        data, model = parquet_of(tmp_path / "data.parquet", table), tmp_path / "m.safetensors"
        codes, back = tmp_path / "codes.parquet", tmp_path / "back.parquet"
        succeed("fit", data, "--model", "vae", "--latent", 2, "--epochs", 2, "--out", model)
        succeed("encode", model, data, "--out", codes)
        succeed("decode", model, codes, "--out", back)
        assert parquet.read_table(back).schema == parquet.read_table(data).schema

    @pytest.mark.parametrize("command", ["encode", "score"])
    def test_a_rows_result_depends_on_the_row_alone(self, command: str, penguins_model: Path, tmp_path: Path) -> None:
        table = read("penguins").rows
        parts = [table.slice(0, 1), table.slice(1, 130), table.slice(131)]
        results = []
        for place, part in enumerate([table, *parts]):
            data, out = parquet_of(tmp_path / f"{place}.parquet", part), tmp_path / f"out{place}.parquet"
            succeed(command, penguins_model, data, "--out", out)
            found = parquet.read_table(out)
            results.append(found.drop_columns(["row"] if command == "score" else []))
        assert pa.concat_tables(results[1:]).equals(results[0])

    @pytest.mark.parametrize("command", ["encode", "score"])
    def test_columns_may_stand_in_any_order_beside_others(
        self, command: str, penguins_model: Path, tmp_path: Path
    ) -> None:
        table = read("penguins").rows
        shuffled = table.select(table.column_names[::-1]).append_column("id", pa.array(range(table.num_rows)))
        data = parquet_of(tmp_path / "shuffled.parquet", shuffled)
        succeed(command, penguins_model, "penguins", "--out", tmp_path / "a.parquet")
        succeed(command, penguins_model, data, "--out", tmp_path / "b.parquet")
        assert parquet.read_table(tmp_path / "a.parquet").equals(parquet.read_table(tmp_path / "b.parquet"))

    def test_surprises_are_noted_and_the_work_is_done(self, penguins_model: Path, tmp_path: Path) -> None:
        table = read("penguins").rows.slice(0, 3)
        table = table.set_column(0, "species", pa.array(["Emperor", "Adelie", "Adelie"]))
        mass = table.column_names.index("body_mass_g")
        table = table.set_column(mass, "body_mass_g", pa.array([40_000, 3_700, 3_800]))
        data = parquet_of(tmp_path / "new.parquet", table)
        ended = succeed("encode", penguins_model, data, "--out", tmp_path / "codes.parquet")
        notes = ended.err.splitlines()
        assert all(note.startswith("isthmus: note: ") for note in notes)
        assert any("'Emperor'" in note for note in notes) and any("body_mass_g" in note for note in notes)
        assert parquet.read_table(tmp_path / "codes.parquet").num_rows == 3

    def test_a_folder_of_images_keeps_its_file_names(self, digits_model: Path, tmp_path: Path) -> None:
        write_rows(read("digits").rows[:3], tmp_path / "digits")
        out = tmp_path / "codes.csv"
        succeed("encode", digits_model, tmp_path / "digits", "--out", out)
        table = read(out).rows
        assert table.column("row").to_pylist() == ["0.png", "1.png", "2.png"]
        succeed("decode", digits_model, out, "--out", tmp_path / "again")
        assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["0.png", "1.png", "2.png"]


class TestImpute:
    def test_missing_cells_are_filled_in_and_the_others_stay(self, penguins_model: Path, tmp_path: Path) -> None:
        said = succeed("impute", penguins_model, "penguins", "--out", tmp_path / "filled.parquet").out
        assert "19 missing cells of 344 rows filled in" in said
        filled, rows = parquet.read_table(tmp_path / "filled.parquet"), read("penguins").rows
        assert filled.schema == rows.schema
        assert filled.equals(isthmus.load(penguins_model).impute(rows))
        for name in rows.column_names:
            assert filled[name].null_count == 0
            assert filled[name].filter(rows[name].is_valid()).equals(rows[name].drop_null())

    def test_draws_come_one_below_the_other(self, penguins_model: Path, tmp_path: Path) -> None:
        options = ("--draws", 3, "--seed", 5)
        facts = json.loads(
            succeed("impute", penguins_model, "penguins", *options, "--json", "--out", tmp_path / "a.csv").out
        )
        assert facts == {"rows": 344, "filled": 19, "draws": 3, "out": str(tmp_path / "a.csv")}
        draws = read(tmp_path / "a.csv").rows
        assert draws.column_names == ["draw", "row", *read("penguins").rows.column_names]
        assert draws["draw"].to_pylist() == [draw for draw in (1, 2, 3) for _ in range(344)]
        assert draws["row"].to_pylist() == [*range(344)] * 3
        first, second = draws.slice(0, 344), draws.slice(344, 344)
        assert not first["body_mass_g"].equals(second["body_mass_g"])

    def test_images_have_no_missing_cells(self, digits_model: Path, tmp_path: Path) -> None:
        ended = run("impute", digits_model, "digits", "--out", tmp_path / "a.npy")
        assert ended.status == 2 and "missing cells are those of tables" in ended.err


class TestGenerate:
    def test_rows_are_those_of_sample_and_another_seed_gives_others(self, penguins_model: Path, tmp_path: Path) -> None:
        for name, options in (("a", ()), ("b", ("--seed", 7)), ("c", ("--seed", 7)), ("d", ("--seed", 8))):
            succeed("generate", penguins_model, "-n", 50, *options, "--out", tmp_path / f"{name}.parquet")
        a, b, c, d = (parquet.read_table(tmp_path / f"{name}.parquet") for name in "abcd")
        assert a.equals(isthmus.load(penguins_model).sample(50))
        assert b.equals(c) and not b.equals(d) and not a.equals(b)
        assert a.schema == read("penguins").rows.schema

    @pytest.mark.parametrize("out", ["new.npy", "new.npz", "new"])
    def test_images_go_to_arrays_and_folders(self, out: str, digits_model: Path, tmp_path: Path) -> None:
        succeed("generate", digits_model, "-n", 12, "--out", tmp_path / out)
        images = read(tmp_path / out).rows
        expected = isthmus.load(digits_model).sample(12)
        assert np.array_equal(images, expected) and images.dtype == expected.dtype

    def test_every_row_meets_the_conditions(self, penguins_model: Path, tmp_path: Path) -> None:
        out = tmp_path / "new.parquet"
        options = ("--where", "sex=male", "--where", "body_mass_g=3500..4000", "--where", "bill_length_mm=38..")
        succeed("generate", penguins_model, "-n", 20, *options, "--seed", 7, "--out", out)
        rows = parquet.read_table(out)
        assert rows.num_rows == 20 and set(rows["sex"].to_pylist()) == {"male"}
        assert all(3500 <= mass <= 4000 for mass in rows["body_mass_g"].to_pylist())
        assert all(length >= 38 for length in rows["bill_length_mm"].to_pylist())
        where = {"sex": "male", "body_mass_g": (3500, 4000), "bill_length_mm": (38, None)}
        assert rows.equals(isthmus.load(penguins_model).sample(20, where=where, random_state=7))

    @pytest.mark.parametrize(
        ("conditions", "named"),
        [
            (["sex"], "COLUMN=VALUE"),
            (["sex=male", "sex=female"], "given twice"),
            (["colour=red"], "species, island"),
            (["bill_length_mm=38"], "bill_length_mm=32.1..59.6"),
        ],
    )
    def test_a_wrong_condition_is_one_line(
        self, conditions: list[str], named: str, penguins_model: Path, tmp_path: Path
    ) -> None:
        options = [part for condition in conditions for part in ("--where", condition)]
        ended = run("generate", penguins_model, *options, "--out", tmp_path / "new.csv")
        assert ended.status == 2 and named in ended.err and len(ended.err.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []


class TestScore:
    def test_scores_and_flags_are_those_of_the_estimator(self, penguins_model: Path, tmp_path: Path) -> None:
        ended = succeed("score", penguins_model, "penguins", "--json", "--out", tmp_path / "s.parquet")
        table, model = parquet.read_table(tmp_path / "s.parquet"), isthmus.load(penguins_model)
        rows = read("penguins").rows
        told = [f"{name}_{place}" for place in (1, 2, 3) for name in ("column", "value", "expected")]
        assert table.column_names == ["row", "score", "flag", *told]
        assert np.array_equal(table["score"].to_numpy(), model.score_samples(rows))
        assert np.array_equal(table["flag"].to_numpy(), model.predict(rows) == -1)
        assert json.loads(ended.out)["flagged"] == sum(table["flag"].to_pylist())

    @pytest.mark.parametrize(("column", "value"), [("bill_length_mm", 200.0), ("bill_depth_mm", 90.0)])
    def test_a_planted_fault_is_blamed_first(
        self, column: str, value: float, penguins_model: Path, tmp_path: Path
    ) -> None:
        table = read("penguins").rows.slice(0, 5)
        place = table.column_names.index(column)
        cells = table.column(column).to_pylist()
        spoiled = table.set_column(place, column, pa.array([*cells[:2], value, *cells[3:]]))
        data = parquet_of(tmp_path / "spoiled.parquet", spoiled)
        succeed("score", penguins_model, data, "--out", tmp_path / "s.parquet")
        scores = parquet.read_table(tmp_path / "s.parquet").to_pylist()
        assert scores[2]["flag"] and scores[2]["column_1"] == column
        assert float(scores[2]["value_1"]) == value
        # What was expected lies among what real birds have: bills of 32 to 60 by 13 to 22 millimetres.
        assert 10 < float(scores[2]["expected_1"]) < 62
        assert min(scores, key=lambda row: row["score"])["row"] == 2
        assert all(row["column_1"] is None for row in scores if not row["flag"])

    def test_of_flagged_images_the_regions_are_named(self, digits_model: Path, tmp_path: Path) -> None:
        succeed("score", digits_model, "digits", "--out", tmp_path / "s.parquet")
        scores = parquet.read_table(tmp_path / "s.parquet").to_pylist()
        named = [row for row in scores if row["column_1"] is not None]
        assert named and all(row["flag"] for row in named)
        for row in named:
            assert re.fullmatch(r"rows \d(–\d)?, columns \d(–\d)?", row["column_1"])
            assert 0 <= float(row["value_1"]) <= 16 and 0 <= float(row["expected_1"]) <= 16


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Detectors are trained too briefly to find much, which is not what is asked of commands."""
    monkeypatch.setattr("isthmus.estimator.detector.STEPS", 5)


@pytest.mark.usefixtures("brief")
class TestDetector:
    def test_it_is_fitted_scores_rows_and_explains_flags(self, tmp_path: Path) -> None:
        model, out = tmp_path / "detector.safetensors", tmp_path / "s.parquet"
        ended = succeed("fit", "penguins", "--model", "detector", "--set", "members=2", "--json", "--out", model)
        assert json.loads(ended.out)["model"] == "detector"
        succeed("score", model, "penguins", "--out", out)
        table, detector = parquet.read_table(out), isthmus.load(model)
        assert np.array_equal(table["score"].to_numpy(), detector.score_samples(read("penguins").rows))
        flagged = [row for row in table.to_pylist() if row["flag"]]
        assert flagged and all(row["column_1"] and row["value_1"] for row in flagged)
        assert "a detector of 2 VAEs" in succeed("info", model).out
        (tmp_path / "parts").mkdir()
        data = parquet_of(tmp_path / "parts" / "a.parquet", read("penguins").rows)
        succeed("score", model, data.parent, "--out", tmp_path / "scores")
        (part,) = (tmp_path / "scores").glob("*.parquet")
        assert parquet.read_table(part).drop_columns("row").equals(table.drop_columns("row"))

    def test_what_it_cannot_do_is_said_in_one_line(self, tmp_path: Path) -> None:
        model = tmp_path / "detector.safetensors"
        options = ("--model", "detector", "--set", "members=1")
        succeed("fit", "penguins", *options, "--out", model)
        for command, words in (
            (("encode", model, "penguins", "--out", tmp_path / "c.csv"), "holds a detector"),
            (("generate", model, "-n", 2, "--out", tmp_path / "g.csv"), "holds a detector"),
            (("fit", "penguins", *options, "--resume", "--out", model), "--resume"),
            (("fit", "penguins", *options, "--set", "beta=2", "--out", model), "no option 'beta'"),
        ):
            ended = run(*command)
            assert ended.status == 2 and words in ended.err and ended.err.count("\n") == 1


class TestExplain:
    @pytest.mark.parametrize("data", [(), ("penguins",)])
    def test_a_table_is_explained_in_its_own_units(
        self, data: tuple[str, ...], penguins_model: Path, tmp_path: Path
    ) -> None:
        succeed("explain", penguins_model, *data, "--out", tmp_path / "explained")
        facts = json.loads((tmp_path / "explained" / "explain.json").read_text())
        page = (tmp_path / "explained" / "explain.html").read_text()
        units = facts["traversals"]["units"]
        assert units and all(unit["label"] in page for unit in units)
        walked = {column["name"]: column for column in units[0]["columns"]}
        assert set(walked) == set(read("penguins").rows.column_names)
        assert all(2_000 < value < 7_000 for value in walked["body_mass_g"]["values"])
        assert walked["species"]["of"] in ("Adelie", "Chinstrap", "Gentoo") and all(
            0 <= value <= 1 for value in walked["species"]["values"]
        )

    def test_images_get_frames_of_their_own_size_and_a_page_that_fetches_nothing(
        self, digits_model: Path, tmp_path: Path
    ) -> None:
        import base64
        import io

        out = tmp_path / "explained"
        ended = succeed("explain", digits_model, "digits", "--json", "--out", out)
        facts = json.loads(ended.out)
        assert facts == json.loads((out / "explain.json").read_text())
        unit = facts["traversals"]["units"][0]
        for png in (*unit["frames"], *facts["heat_maps"].values()):
            assert Image.open(io.BytesIO(base64.b64decode(png))).size == (8, 8)
        page = (out / "explain.html").read_text()
        assert unit["frames"][0] in page and "http" not in page.replace("http-equiv", "")

    def test_a_dictionary_is_explained_by_what_lights_its_features(self, tmp_path: Path) -> None:
        model, out = tmp_path / "k.safetensors", tmp_path / "explained"
        options = ("--latent", 12, "--set", "active=2", "--set", "hidden=[]", "--epochs", 30, "--seed", 0)
        succeed("fit", "penguins", "--model", "topk_autoencoder", *options, "--out", model)
        ended = succeed("explain", model, "penguins", "--out", out)
        facts = json.loads((out / "explain.json").read_text())
        page = (out / "explain.html").read_text()
        for feature in facts["features"]:
            name = f"feature {feature['feature']}"
            assert name in ended.out and f"<h3>{name}</h3>" in page
        told = {column["name"] for feature in facts["features"] for column in feature["columns"]}
        assert {"species", "body_mass_g"} <= told
        succeed("explain", model, "--out", out)
        assert json.loads((out / "explain.json").read_text())["features"] is None
        assert "No rows were given" in (out / "explain.html").read_text()

    def test_names_from_the_data_are_text_in_the_page(self, tmp_path: Path) -> None:
        randomness = np.random.default_rng(0)
        latent = randomness.normal(size=60)
        table = pa.table({"<script>x</script>": latent, "b": latent + 0.1 * randomness.normal(size=60)})
        data, model = parquet_of(tmp_path / "d.parquet", table), tmp_path / "m.safetensors"
        succeed("fit", data, "--model", "ae", "--latent", 1, "--epochs", 20, "--out", model)
        succeed("explain", model, data, "--out", tmp_path / "explained")
        page = (tmp_path / "explained" / "explain.html").read_text()
        assert "<script" not in page and "&lt;script&gt;" in page


class TestDescriptions:
    def test_info_tells_what_the_file_holds(self, penguins_model: Path) -> None:
        facts = json.loads(succeed("info", penguins_model, "--json").out)
        model = isthmus.load(penguins_model)
        assert facts["model"] == "vae" and facts["latent_dim"] == 3
        assert facts["bytes"] == penguins_model.stat().st_size
        assert [column["name"] for column in facts["columns"]] == read("penguins").rows.column_names
        assert facts["training"] == model.training_ and facts["threshold"] == model.offset_
        text = succeed("info", penguins_model).out
        assert "VAE with 3 latent units" in text and "body_mass_g" in text and "epochs" in text

    def test_models_are_told_from_their_declarations(self) -> None:
        from isthmus.estimator import models
        from isthmus.estimator.public import declared_options

        listed = json.loads(succeed("models", "--json").out)["models"]
        text = succeed("models").out
        assert [found["name"] for found in listed] == list(models.names())
        for found in listed:
            declared = declared_options(found["name"])
            properties = found["options"]["properties"]
            assert list(properties) == list(declared)
            for name, field in declared.items():
                assert properties[name]["description"] == field.description
                assert properties[name]["default"] == field.default
                assert field.description is not None and field.description in text
            assert found["paper"] in text.replace("\n", " ") and found["summary"] in text
        assert listed[-1]["options"]["properties"]["beta"]["minimum"] == 0


@pytest.mark.usefixtures("compared_in_one_process")
class TestCompare:
    @pytest.mark.slow
    def test_digits_give_a_report_facts_and_models(self, tmp_path: Path) -> None:
        options = ("--latent", "2,4", "--seeds", 1, "--epochs", 2, "--models", "pca,vae", "--device", "cpu")
        ended = succeed("compare", "digits", *options, "--out", tmp_path / "report")
        facts = json.loads((tmp_path / "report" / "facts.json").read_text())
        names = ["pca-2", "pca-4", "vae-2", "vae-4"]
        assert [found["name"] for found in facts["contenders"]] == names
        target = facts["data"]["target"]
        assert (target["name"], target["classes"]) == ("target", list("0123456789"))
        assert facts["settings"]["command"].startswith("isthmus compare digits --latent 2,4")
        lines = ended.out.splitlines()
        assert all(any(line.startswith(f"{name} ") for line in lines) for name in names)
        for verdict in facts["verdict"].values():
            assert verdict["headline"] in ended.out
        assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
        succeed("score", tmp_path / "report" / "models" / "vae-2.safetensors", "digits", "--out", tmp_path / "s.csv")

    @pytest.mark.slow
    def test_json_is_the_facts_and_the_target_is_never_learned(self, tmp_path: Path) -> None:
        table = read("penguins").rows
        train = parquet_of(tmp_path / "train.parquet", table.slice(0, 250))
        test = parquet_of(tmp_path / "test.parquet", table.slice(250).select(table.column_names[::-1]))
        options = ("--target", "species", "--drop", "year", "--test", test, "--models", "vae", "--latent", "2")
        out = tmp_path / "report"
        ended = succeed("compare", train, *options, "--epochs", 2, "--seeds", 1, "--json", "--out", out)
        facts = json.loads(ended.out)
        assert facts == json.loads((out / "facts.json").read_text())
        columns = [column["name"] for column in facts["data"]["columns"]]
        assert "species" not in columns and "year" not in columns and len(columns) == 6
        assert facts["data"]["rows"]["test"] == 94
        shutil.rmtree(out)


def _weights(path: Path) -> dict[str, bytes]:
    """The tensors of a model file; training facts beside them hold seconds, which differ from run to run."""
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118 - not a dict


def _interrupt_at_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Ctrl-C in the middle of this epoch."""
    from isthmus.training.ensemble import Ensemble

    whole = Ensemble.epoch

    def interrupted(self: Ensemble) -> list[Any]:
        if self.runs[0].epoch + 1 == epoch:
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(Ensemble, "epoch", interrupted)


class TestEvaluate:
    def test_the_facts_are_those_of_python(self, tmp_path: Path) -> None:
        rows = read("penguins").rows
        new = parquet_of(tmp_path / "new.parquet", rows[:150])
        other = parquet_of(tmp_path / "other.csv", rows[150:250])
        ended = succeed("evaluate", "penguins", new, "--holdout", other, "--target", "species", "--json")
        expected = isthmus.evaluate(rows, rows[:150], read(other).rows, target="species")
        assert json.loads(ended.out) == expected.facts
        shown = succeed("evaluate", "penguins", new, "--holdout", other, "--target", "species").out
        assert shown == f"{expected}\n"

    def test_columns_are_dropped_wherever_they_are(self, tmp_path: Path) -> None:
        rows = read("penguins").rows.select(["species", "body_mass_g", "year"])
        numbered = rows[:40].append_column("id", pa.array(range(40)))
        few = parquet_of(tmp_path / "few.parquet", rows[40:70])
        real = parquet_of(tmp_path / "real.parquet", numbered)
        ended = succeed("evaluate", real, few, "--drop", "id,year", "--json")
        assert set(json.loads(ended.out)["by_column"]) == {"species", "body_mass_g"}

    def test_text_that_looks_like_numbers_stays_text(self, tmp_path: Path) -> None:
        real = parquet_of(tmp_path / "real.parquet", pa.table({"code": ["01", "02"] * 20, "x": list(range(40))}))
        made = tmp_path / "made.csv"
        made.write_text("code,x\n" + "01,5\n02,7\n" * 10)
        facts = json.loads(succeed("evaluate", real, made, "--json").out)
        assert facts["by_column"]["code"] == 0.0

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["penguins", "digits"], ["the synthetic rows", "table"]),
            (["penguins", "empty.csv"], ["empty.csv", "empty"]),
            (["penguins", "header.csv"], ["header.csv", "no rows"]),
            (["penguins", "other.csv"], ["the synthetic rows", "missing"]),
            (["penguins", "penguins", "--holdout", "other.csv"], ["the hold-out rows", "missing"]),
            (["penguins", "penguins", "--target", "weight"], ["'weight'", "body_mass_g"]),
            (["penguins", "penguins", "--drop", "weight"], ["weight", "penguins"]),
            (["penguins", "penguins", "--target", "sex", "--drop", "sex"], ["sex", "dropped"]),
            (["numbers.csv", "texts.csv"], ["'a'", "numbers", "text"]),
        ],
    )
    def test_what_cannot_be_compared_gets_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        files = {"empty": "", "header": "a,b\n", "other": "a,b\n1,2\n", "numbers": "a\n1\n2\n", "texts": "a\nx\ny\n"}
        for name, text in files.items():
            Path(f"{name}.csv").write_text(text)
        ended = run("evaluate", *arguments)
        assert ended.status == 2 and len(ended.err.splitlines()) == 1 and not ended.out
        assert all(word in ended.err for word in words), ended.err


class TestPrivacyOfGeneratedRows:
    def test_figures_follow_where_real_rows_are_given(self, penguins_model: Path, tmp_path: Path) -> None:
        rows, out = read("penguins").rows, tmp_path / "new.parquet"
        other = parquet_of(tmp_path / "other.parquet", rows[:100])
        known = ("--real", "penguins", "--holdout", other)
        made = succeed("generate", penguins_model, "-n", 80, "--seed", 3, *known, "--out", out, "--json")
        figures = json.loads(made.out)["privacy"]
        assert set(figures["measures"]) == {"exact_copies", "copied_share", "membership_auroc"}
        assert figures["rows"] == {"real": len(rows), "synthetic": 80, "holdout": 100}
        shown = succeed("generate", penguins_model, "-n", 80, "--seed", 3, *known, "--out", out).out
        assert "80 new rows" in shown and "membership" in shown

    def test_rows_to_compare_with_are_looked_at_before_any_are_drawn(
        self, penguins_model: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "new.parquet"
        other = parquet_of(tmp_path / "other.parquet", pa.table({"a": [1, 2]}))
        for known in (("--real", other), ("--holdout", "penguins"), ("--real", "nowhere.csv")):
            ended = run("generate", penguins_model, *known, "--out", out)
            assert ended.status == 2 and len(ended.err.splitlines()) == 1 and not out.exists()
        ended = run("generate", penguins_model, "--real", "penguins", "--out", tmp_path / "parts")
        assert ended.status == 2 and "isthmus evaluate penguins" in ended.err and not (tmp_path / "parts").exists()
        ended = run("generate", penguins_model, "--real", other, "--out", other)
        assert ended.status == 2 and parquet.read_table(other).num_rows == 2
