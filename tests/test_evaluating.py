"""`evaluate`: good rows are near real ones, and each way to be bad is caught by its own measure."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.evaluating import privacy_of
from isthmus.evaluation.generation import column_shape_error, pair_trend_error


def people(rows: int, seed: int) -> pd.DataFrame:
    """Numbers, whole numbers, classes and dates that hang together, with missing cells."""
    draws = np.random.default_rng(seed)
    age = draws.normal(40, 12, rows)
    member = draws.random(rows) < 1 / (1 + np.exp((40 - age) / 5))
    return pd.DataFrame(
        {
            "age": np.where(draws.random(rows) < 0.1, np.nan, age),
            "visits": draws.poisson(np.where(member, 6, 2)),
            "town": draws.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2]),
            "member": np.where(member, "yes", "no"),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(draws.integers(0, 900, rows), "D"),
        }
    )


REAL, HOLDOUT, FRESH = people(500, 0), people(450, 1), people(400, 2)
FEW = {"real": REAL[:60], "synthetic": FRESH[:50], "holdout": HOLDOUT[:40]}


def value(result: isthmus.Evaluation, name: str, of: str = "synthetic") -> float:
    return result.facts["measures"][name][of]


@pytest.fixture(scope="module")
def fresh() -> isthmus.Evaluation:
    return isthmus.evaluate(REAL, FRESH, HOLDOUT, target="member")


def test_fresh_rows_of_the_same_source_are_as_good_as_real_ones(fresh):
    for of in ("synthetic", "real"):
        # Standard errors of 400 rows: 0.035 for a gap of distribution functions, 0.025 for an area and for a share,
        # and of half the hold-out 0.035.
        assert value(fresh, "column_shape", of) < 0.07 and value(fresh, "pair_trend", of) < 0.1
        assert value(fresh, "c2st_auroc", of) == pytest.approx(0.5, abs=0.1)
        assert value(fresh, "density", of) == pytest.approx(1.0, abs=0.15)
        assert value(fresh, "coverage", of) > 0.9
        assert value(fresh, "copied_share", of) == pytest.approx(0.5, abs=0.1)
        assert value(fresh, "membership_auroc", of) == pytest.approx(0.5, abs=0.1)
        # Rows without an age are coarse enough to repeat, one in thousands.
        assert value(fresh, "exact_copies", of) < 0.01
    assert value(fresh, "prediction") == pytest.approx(value(fresh, "prediction", "real"), abs=0.05)
    assert value(fresh, "prediction", "real") > 0.75


def test_facts_are_json_and_the_table_shows_them(fresh):
    facts = json.loads(json.dumps(fresh.facts, allow_nan=False))
    assert facts["rows"] == {"real": 500, "synthetic": 400, "holdout": 450} and facts["columns"] == 5
    assert set(facts["by_column"]) == set(REAL.columns)
    assert value(fresh, "column_shape") == pytest.approx(np.mean(list(facts["by_column"].values())))
    assert facts["pairs"]["counted"] == 10 and facts["pairs"]["all"]
    errors = [pair["error"] for pair in facts["pairs"]["worst"]]
    assert errors == sorted(errors, reverse=True) and errors[0] >= value(fresh, "pair_trend")
    assert facts["target"] == {"name": "member", "metric": "AUROC", "tested_on": "holdout"}
    lines = str(fresh).splitlines()
    assert any("member predicted, AUROC" in line and f"{value(fresh, 'prediction'):.3f}" in line for line in lines)
    assert any(line.startswith("worst columns:") for line in lines) and any("all 10 pairs" in line for line in lines)


def test_the_same_rows_have_no_error_and_are_all_copies():
    result = isthmus.evaluate(REAL, REAL.sample(frac=1, random_state=0), HOLDOUT)
    # Likeness is that to the hold-out, so the synthetic rows' figures are the real rows' own.
    assert value(result, "column_shape") == pytest.approx(value(result, "column_shape", "real"))
    assert value(result, "exact_copies") == 1.0 and value(result, "membership_auroc") > 0.99
    assert value(result, "copied_share") > 0.95
    alone = isthmus.evaluate(REAL, REAL)
    assert value(alone, "column_shape") == value(alone, "pair_trend") == 0.0
    # Rows that lie in both sets mislead a classifier that met them with the other label.
    assert value(alone, "c2st_auroc") < 0.58
    assert value(alone, "copied_share") is None and value(alone, "column_shape", "real") is None
    assert any("hold-out" in note for note in alone.facts["notes"])


def test_one_shifted_column_is_named():
    shifted = FRESH.assign(age=FRESH["age"] + 12)
    result = isthmus.evaluate(REAL, shifted)
    by_column = result.facts["by_column"]
    # A shift of one standard deviation: 2 Φ(½) − 1 = 0.38, for nine cells of ten.
    assert by_column["age"] == pytest.approx(0.9 * 0.383, abs=0.08)
    assert max(by_column, key=by_column.get) == "age" and by_column["visits"] < 0.1
    assert value(result, "c2st_auroc") > 0.65
    assert "worst columns: age" in str(result)


def test_rows_blind_to_the_target_are_caught_by_what_they_teach(fresh):
    blind = FRESH.assign(member=FRESH["member"].sample(frac=1, random_state=0).to_numpy())
    result = isthmus.evaluate(REAL, blind, HOLDOUT, target="member")
    assert value(result, "prediction") == pytest.approx(0.5, abs=0.1)
    assert value(result, "prediction", "real") == value(fresh, "prediction", "real")
    assert value(result, "column_shape") == pytest.approx(value(fresh, "column_shape"))


def test_unseen_categories_and_other_types_are_errors_not_failures():
    strange = FEW["synthetic"].assign(town="east")
    strange = strange.assign(visits=strange["visits"] + 0.5, member=strange["member"].astype("category"))
    result = isthmus.evaluate(FEW["real"], strange, target="visits")
    assert result.facts["by_column"]["town"] == 1.0
    assert result.facts["target"]["tested_on"] != "holdout"
    # One in ten of the texts is no number: for a model a mistake, here a value like any other.
    numbered = pd.DataFrame({"code": ["1", "2"] * 50, "x": range(100)})
    other = numbered.assign(code=["1"] * 95 + ["none"] * 5)
    assert isthmus.evaluate(numbered, other).facts["by_column"]["code"] == pytest.approx(0.5)


def test_frames_of_all_kinds_and_columns_in_any_order_give_the_same_facts():
    backwards = FEW["synthetic"][list(FRESH.columns[::-1])]
    real = pa.Table.from_pandas(FEW["real"], preserve_index=False)
    result = isthmus.evaluate(real, pl.from_pandas(backwards), FEW["holdout"], target="member")
    assert result.facts == isthmus.evaluate(**FEW, target="member").facts


def test_the_seed_decides():
    rows = [isthmus.evaluate(FEW["real"], FEW["synthetic"], random_state=seed).facts for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def test_the_measures_are_those_of_the_comparison():
    draws = np.random.default_rng(0)
    real, synthetic = draws.normal(size=(300, 3)), draws.normal(size=(200, 3)) * 1.3
    result, none = isthmus.evaluate(real, synthetic), np.zeros(3, bool)
    assert value(result, "column_shape") == pytest.approx(column_shape_error(real, synthetic, none, draws))
    assert value(result, "pair_trend") == pytest.approx(pair_trend_error(real, synthetic, none, draws))


def test_images_are_measured_pixel_by_pixel():
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (60, 4, 4)).astype("uint8")
    result = isthmus.evaluate(images, images[::-1], draws.integers(0, 256, (50, 4, 4)).astype("uint8"))
    assert value(result, "exact_copies") == 1.0 and "by_column" not in result.facts
    assert "pairs" in str(result)
    with pytest.raises(OptionError, match="no column to predict"):
        isthmus.evaluate(images, images, target="x")


def test_images_of_many_sizes_have_distances_of_features():
    draws = np.random.default_rng(0)
    sizes = draws.integers(2, 5, (60, 2))
    bright = [draws.integers(100, 200, (*size, 3)).astype("uint8") for size in sizes]
    dark = [draws.integers(0, 40, (*size, 3)).astype("uint8") for size in sizes]
    near = isthmus.evaluate(bright[:30], bright[30:45], bright[45:])
    far = isthmus.evaluate(bright[:30], dark[:15], bright[45:])
    for name in ("frechet_distance", "kernel_distance"):
        assert value(far, name) > 3 * abs(value(near, name))
        assert value(near, name, "real") < value(far, name)
    assert "random weights" in near.facts["extractor"] and "Fréchet distance of features" in str(near)


def test_a_hold_out_that_is_none_is_told():
    notes = privacy_of(REAL, FRESH, REAL).facts["notes"]
    assert any("among the real rows" in note for note in notes)


BAD = {
    "a column is missing": (FRESH.drop(columns="town"), ["the synthetic rows", "'town'", "missing"]),
    "a column too many": (FRESH.assign(id=1), ["the synthetic rows", "'id'", "drop"]),
    "text for numbers": (FRESH.assign(visits="many"), ["'visits'", "numbers", "text"]),
    "a zone on one side": (FRESH.assign(since=FRESH["since"].dt.tz_localize("UTC")), ["'since'", "time zone"]),
    "no rows": (FRESH[:0], ["the synthetic rows", "none"]),
    "images": (np.zeros((5, 4, 4)), ["the synthetic rows", "ndarray"]),
    "a path": ("rows.csv", ["the synthetic rows", "str"]),
}


@pytest.mark.parametrize(("rows", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_compared_gets_one_line(rows, words):
    with pytest.raises(DataError) as refused:
        isthmus.evaluate(REAL, rows)
    assert "\n" not in str(refused.value) and all(word in str(refused.value) for word in words)


def test_an_unknown_target_is_refused():
    with pytest.raises(OptionError, match=r"'income'.*age"):
        isthmus.evaluate(REAL, FRESH, target="income")


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.filterwarnings("error")
def test_very_few_rows_give_numbers_or_none(rows):
    result = isthmus.evaluate(REAL[:rows], FRESH[:rows], HOLDOUT[:rows], target="age")
    json.dumps(result.facts, allow_nan=False)
    assert str(result)
