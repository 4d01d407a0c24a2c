"""Rows drawn under conditions: all meet them, they are the model's own such rows, and what cannot be met is said."""

import datetime
import itertools
import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ks_2samp

import isthmus
from isthmus.core.errors import DataError
from isthmus.core.randomness import Randomness
from isthmus.domains.table import Table
from isthmus.domains.table.likelihood import TableLikelihood
from isthmus.estimator import conditions

DRAWS = np.random.default_rng(0)
ROWS = 400
SEX = DRAWS.choice(["female", "male"], ROWS)
FRAME = pd.DataFrame(
    {
        "sex": SEX,
        "mass": np.where(SEX == "male", 4500, 3500) + DRAWS.integers(-500, 500, ROWS),
        "bill": DRAWS.normal(40, 3, ROWS).astype(np.float32),
        "wild": DRAWS.random(ROWS) < 0.5,
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(DRAWS.integers(0, 9, ROWS), unit="D"),
        "seen": pd.Series(pd.Timestamp("2024-01-01", tz="Europe/Oslo")).repeat(ROWS).reset_index(drop=True)
        + pd.to_timedelta(DRAWS.integers(0, 9, ROWS), unit="D"),
        "age": pd.Categorical(DRAWS.choice([1, 2, 3], ROWS)),
        "ring": DRAWS.choice([f"r{i}" for i in range(12)], ROWS),
        "gap": np.where(DRAWS.random(ROWS) < 0.5, np.nan, DRAWS.integers(0, 5, ROWS)),
    }
)


@pytest.fixture(scope="module")
def model():
    return isthmus.VAE(2, hidden=(16,), epochs=20, random_state=0, device="cpu").fit(FRAME)


MONDAY, THURSDAY = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-04")
MET = [
    ({"sex": "male"}, lambda rows: rows.sex == "male"),
    ({"wild": True}, lambda rows: rows.wild),
    ({"wild": "false"}, lambda rows: ~rows.wild),
    ({"age": "2"}, lambda rows: rows.age == 2),
    ({"age": 2}, lambda rows: rows.age == 2),
    ({"mass": (3600, 4000)}, lambda rows: rows.mass.between(3600, 4000)),
    ({"mass": "3600..4000"}, lambda rows: rows.mass.between(3600, 4000)),
    ({"mass": "3600:4000"}, lambda rows: rows.mass.between(3600, 4000)),
    ({"mass": "4000.."}, lambda rows: rows.mass >= 4000),
    ({"mass": (None, 4000)}, lambda rows: rows.mass <= 4000),
    ({"bill": (38.1, 40.3)}, lambda rows: rows.bill.astype(float).between(38.1, 40.3)),
    ({"bill": "..40"}, lambda rows: rows.bill <= 40),
    ({"gap": 3}, lambda rows: rows.gap == 3),
    ({"gap": "0..9"}, lambda rows: rows.gap.between(0, 9)),
    ({"day": "2024-01-04"}, lambda rows: rows.day == THURSDAY),
    ({"day": ("2024-01-01", THURSDAY)}, lambda rows: rows.day.between(MONDAY, THURSDAY)),
    ({"day": datetime.datetime(2024, 1, 4)}, lambda rows: rows.day == THURSDAY),
    ({"seen": "2024-01-04"}, lambda rows: rows.seen == THURSDAY.tz_localize("Europe/Oslo")),
    ({"seen": "2024-01-03T23:00Z"}, lambda rows: rows.seen == THURSDAY.tz_localize("Europe/Oslo")),
    (
        {"sex": "male", "mass": (4200, None), "wild": True},
        lambda rows: (rows.sex == "male") & (rows.mass >= 4200) & rows.wild,
    ),
]
SOME_MET = [*MET[5:11:2], MET[-1]]


@pytest.fixture(scope="module")
def autoregressive():
    """Whose columns depend on those before them."""
    options = {"likelihood": "autoregressive", "hidden": (16,), "epochs": 10, "random_state": 0, "device": "cpu"}
    return isthmus.VAE(2, **options).fit(FRAME)


@pytest.mark.parametrize(("where", "holds"), MET, ids=[str(where) for where, _ in MET])
def test_every_row_meets_the_conditions(model, where, holds):
    rows = model.sample(40, where=where, random_state=3)
    assert len(rows) == 40 and holds(rows).all()
    assert dict(rows.dtypes) == dict(model.sample(1).dtypes)


@pytest.mark.parametrize(("where", "holds"), SOME_MET, ids=[str(where) for where, _ in SOME_MET])
def test_every_row_meets_them_where_columns_depend_on_one_another(autoregressive, where, holds):
    rows = autoregressive.sample(40, where=where, random_state=3)
    assert len(rows) == 40 and holds(rows).all()
    assert not rows.bill.duplicated().any()  # no row stands for several


@pytest.mark.parametrize("family", ["student_t", "mixture"])
def test_every_row_meets_them_whatever_the_noise(family):
    frame = FRAME[["mass", "bill"]]
    model = isthmus.VAE(1, hidden=(), epochs=1, likelihood=family, random_state=0, device="cpu").fit(frame)
    rows = model.sample(500, where={"bill": (38.1, 40.3), "mass": (3600, 4000)})
    assert rows.bill.astype(float).between(38.1, 40.3).all() and rows.mass.between(3600, 4000).all()
    assert rows.mass.nunique() > 100 and rows.bill.nunique() > 100  # drawn within the range, not put to its ends


def test_a_seed_decides_the_rows(model):
    where = {"sex": "male"}
    assert model.sample(50, where=where).equals(model.sample(50, where=where))
    assert not model.sample(50, where=where, random_state=1).equals(model.sample(50, where=where, random_state=2))
    assert model.sample(700, where={}, random_state=1).equals(model.sample(700, random_state=1))


@pytest.mark.parametrize("likelihood", ["gaussian", "autoregressive"])
def test_rows_are_distributed_as_the_plain_ones_that_meet_the_conditions(model, autoregressive, likelihood):
    chosen = model if likelihood == "gaussian" else autoregressive
    where = {"sex": "male", "mass": (4200, 4700), "bill": "..41"}
    plain = chosen.sample(20_000, random_state=1)
    plain = plain[(plain.sex == "male") & plain.mass.between(4200, 4700) & (plain.bill <= 41)]
    rows = chosen.sample(1000, where=where, random_state=2)
    assert len(plain) > 300
    for column in ("mass", "bill", "gap"):
        # Five deviations of the distance that two samples of one distribution have (Kolmogorov and Smirnov).
        first, second = (part[column].dropna().astype(float) for part in (plain, rows))
        assert ks_2samp(first, second).pvalue > 1e-5, column
    assert (plain.wild.mean() - rows.wild.mean()) == pytest.approx(0, abs=5 * np.sqrt(0.25 / 300 + 0.25 / 1000))


@pytest.fixture(scope="module")
def sexes():
    """A model of two columns that hang together by their codes."""
    options = {"epochs": 60, "batch_size": 32, "learning_rate": 0.01, "random_state": 0, "device": "cpu"}
    return isthmus.VAE(2, hidden=(16,), **options).fit(FRAME[["sex", "mass"]])


def shares_of_heavy(model) -> tuple[dict[str, float], dict[str, float]]:
    """P(mass ≥ 4000 | sex): among plain rows, and by conditioning."""
    everything = model.sample(20_000, random_state=1)
    plain = {sex: (everything.mass[everything.sex == sex] >= 4000).mean() for sex in ("female", "male")}
    return plain, {sex: (model.sample(2000, where={"sex": sex}, random_state=2).mass >= 4000).mean() for sex in plain}


def test_the_share_of_another_column_is_that_of_the_model(sexes):
    """From independent seeds each share's deviation is at most √(¼/2000 + ¼/8000) = 0.0125."""
    plain, shares = shares_of_heavy(sexes)
    assert shares == pytest.approx(plain, abs=0.05)  # four deviations
    assert shares["male"] > shares["female"] + 0.2  # a margin that a condition without effect would miss


def test_rows_without_weights_are_caught(sexes, monkeypatch):
    """A planted bug: codes that are not weighted by how probable the condition is given them."""
    honest = TableLikelihood.completed
    monkeypatch.setattr(
        TableLikelihood, "completed", lambda *given: (honest(*given)[0], torch.zeros(len(given[1].cells)).double())
    )
    plain, shares = shares_of_heavy(sexes)
    assert abs(shares["male"] - plain["male"]) > 0.1


def test_without_noise_conditions_hold_too(model):
    rows = model.sample(40, where={"sex": "male", "mass": (4200, None)}, noise=False)
    assert len(rows) == 40 and (rows.sex == "male").all() and (rows.mass >= 4200).all()


REFUSED = [
    ({"colour": "red"}, ["'colour'", "sex, mass, bill, wild, day, seen, age, ring, …"]),
    ({"sex": "neither"}, ["'sex'", "'neither'", "female", "male"]),
    ({"ring": "r99"}, ["'ring'", "'r99'", ", …"]),
    ({"bill": "38"}, ["'bill'", "range", "bill="]),
    ({"bill": 38.0}, ["'bill'", "range", "bill="]),
    ({"bill": "40..38"}, ["'bill'", "40", "38", "swap"]),
    ({"bill": "40:38"}, ["'bill'", "40", "38", "swap"]),
    ({"bill": (float("nan"), 38)}, ["'bill'", "missing"]),
    ({"bill": ".."}, ["'bill'", "range"]),
    ({"bill": (1, 2, 3)}, ["'bill'", "range"]),
    ({"bill": (100, 200)}, ["'bill'", "fitted range"]),
    ({"mass": "..100"}, ["'mass'", "fitted range"]),
    ({"mass": 99_999}, ["'mass'", "fitted range"]),
    ({"mass": "heavy"}, ["'mass'", "'heavy'"]),
    ({"mass": 3600.5}, ["'mass'", "3600.5"]),
    ({"mass": True}, ["'mass'", "True"]),
    ({"mass": None}, ["'mass'", "None"]),
    ({"mass": 10**30}, ["'mass'", "10000"]),
    ({"mass": NotImplemented}, ["'mass'", "NotImplemented"]),
    ({"sex": ("female", "male")}, ["'sex'", "one value"]),
    ({"wild": "perhaps"}, ["'wild'", "'perhaps'"]),
    ({"wild": 7}, ["'wild'", "7"]),
    ({"day": "Thursday"}, ["'day'", "'Thursday'"]),
    ({"day": "2023-01-01..2023-02-01"}, ["'day'", "2024-01-01", "fitted range"]),
    ("sex=male", ["where="]),
]


@pytest.mark.parametrize(("where", "names"), REFUSED, ids=[str(where)[:40] for where, _ in REFUSED])
def test_what_no_row_can_meet_is_refused_in_one_line(model, where, names):
    with pytest.raises(DataError) as refused:
        model.sample(2, where=where)
    message = str(refused.value)
    assert "\n" not in message and all(name in message for name in names), message


def test_at_most_eight_categories_are_listed(model):
    with pytest.raises(DataError, match="'r99'") as refused:
        model.sample(1, where={"ring": "r99"})
    assert sum(f"r{i}" in str(refused.value).replace(";", ",").split(", ") for i in range(12)) <= 8


def test_a_column_without_values_has_none_to_ask_for():
    domain = Table.fit(pd.DataFrame({"a": [1.0, 2.0], "nothing": [None, None]}), strict=False)
    with pytest.raises(DataError, match="'nothing' held no values"):
        conditions.conditions_of({"nothing": "1"}, domain)


def test_images_have_no_columns():
    images = DRAWS.integers(0, 255, (40, 5, 6)).astype(np.uint8)
    model = isthmus.VAE(2, hidden=(8,), epochs=1, random_state=0).fit(images)
    with pytest.raises(DataError, match="columns of a table; the model was fitted to images"):
        model.sample(2, where={"x0": 1})


def test_rare_conditions_end_with_their_effective_sample_size(model, monkeypatch):
    monkeypatch.setattr(conditions, "MOST_DRAWS", 4096)
    monkeypatch.setattr(conditions, "MOST_DRAWS_PER_ROW", 1)
    where = {"ring": "r1", "age": 1, "day": "2024-01-04"}
    with pytest.raises(
        DataError, match=r"4,096 draws have an effective sample size of .* 4,000 rows are wanted"
    ) as refused:
        model.sample(4000, where=where)
    assert "\n" not in str(refused.value)
    # Weights are probabilities between 0 and their largest: the size lies below the draws, and far above their mean.
    (size,) = re.findall("size of ([0-9,]+), and", str(refused.value))
    assert 50 < int(size.replace(",", "")) < 4000


def test_a_range_between_all_values_is_refused(autoregressive, monkeypatch):
    """Every value of a column with few of them is a bin of its own: nothing lies between two of them."""
    monkeypatch.setattr(conditions, "MOST_HOPELESS_DRAWS", 4096)
    frame = pd.DataFrame({"half": np.arange(200) % 3 / 2, "other": np.arange(200.0)})
    model = isthmus.VAE(1, hidden=(), epochs=1, likelihood="autoregressive", random_state=0).fit(frame)
    assert (model.sample(20, where={"half": "0.4..0.6"}).half == 0.5).all()
    with pytest.raises(DataError, match="none of 4,096 draws had any chance"):
        model.sample(2, where={"half": "0.6..0.9"})


def test_the_effective_sample_size_decides_how_many_rows_are_kept():
    """Weights 1 and 0.2 in turn: of n draws n (1 + 0.2) / 2 are kept, the first kind five times as often."""
    draws = torch.arange(512.0).remainder(2).unsqueeze(-1).double()
    log_weights = torch.where(draws[:, 0] == 0, 0.0, np.log(0.2)).double()
    domain = Table.fit(pd.DataFrame({"a": [0, 1]}))
    every = conditions.conditions_of({"a": (0, 1)}, domain)
    shift = domain.tensors(pd.DataFrame({"a": [0]}))  # where the column's numbers begin
    rows = conditions.drawn_under(itertools.repeat((draws + shift, log_weights)), every, 40_000, Randomness(0, "u"))
    # Standard error of a share of 40,000: 0.0019.
    assert (rows == shift).double().mean().item() == pytest.approx(5 / 6, abs=0.01)


@pytest.mark.parametrize("low", [0.1, 0.7])
def test_single_precision_cells_are_compared_as_they_are_shown(low):
    """0.1 as float32 lies above 0.1, and 0.7 below: the bound is the number given, not its float32."""
    column = np.linspace(0, 1, 50, dtype=np.float32)
    column[25] = low
    model = isthmus.VAE(1, hidden=(), epochs=1, random_state=0).fit(pd.DataFrame({"a": column, "b": column[::-1]}))
    (condition,) = conditions.conditions_of({"a": (low, None)}, model.domain_)
    x = model.domain_.tensors(pd.DataFrame({"a": column, "b": column[::-1]}))
    assert condition.met(x).tolist() == [float(cell) >= low for cell in column]


def test_cells_under_conditions_are_there_and_others_may_be_missing():
    """Where the likelihood says what is missing, a condition includes that the cell is there."""
    draws = np.random.default_rng(5)
    frame = pd.DataFrame(draws.normal(size=(400, 3)), columns=["a", "b", "c"])
    frame.loc[draws.random(400) < 0.5, ["a", "b"]] = np.nan  # both, or neither
    options = {"missing": "modelled", "epochs": 40, "learning_rate": 0.01, "random_state": 0, "device": "cpu"}
    model = isthmus.VAE(2, hidden=(16,), **options).fit(frame)
    plain = model.sample(4000, random_state=1)
    rows = model.sample(1000, where={"a": (0, None)}, random_state=2)
    assert (rows.a >= 0).all()
    # Four deviations: 4 √(¼/700 + ¼/1000) = 0.1.
    assert rows.b.isna().mean() == pytest.approx(plain.b[plain.a >= 0].isna().mean(), abs=0.1)


def test_missing_cells_meet_no_condition():
    frame = pd.DataFrame({"a": [0.5, None, 2.5] * 9, "b": ["x", "y", None] * 9})
    model = isthmus.VAE(1, hidden=(), epochs=1, random_state=0).fit(frame)
    x = model.domain_.tensors(frame)
    (a,) = conditions.conditions_of({"a": "0.."}, model.domain_)
    (b,) = conditions.conditions_of({"b": "y"}, model.domain_)
    assert a.met(x).tolist() == [True, False, True] * 9
    assert b.met(x).tolist() == [False, True, False] * 9
