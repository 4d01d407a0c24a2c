"""The benchmarks' own arithmetic, and that the programs which train give the answer that is read."""

import json
from argparse import Namespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.stats

import counts
import generation
import imputation
from contenders import CONTENDERS, NEEDED, Contender, SkippedError, answer_in, run
from rounds import Rounds, Spread, steady_rate, turns
from speed import goal_table, measured, rate_table, whole_batches, write_pixels
from tables import shown, table

ANSWER = {
    "rows_per_second": [10.0, 300.0, 100.0, 200.0],
    "epoch_seconds": [3.0, 0.1, 0.3, 0.2],
    "negative_elbo": [100.0],
    "seconds_to_goal": None,
    "peak_memory": 10**8,
    "versions": {"torch": "2"},
}


def test_a_spread_is_the_median_and_the_ends():
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_a_ratio_is_taken_within_a_round():
    """The machine is twice as fast in the second round: the ratio of the two contenders stays what it is."""
    rounds = Rounds[float]()
    for number, pace in enumerate([1.0, 2.0, 0.5]):
        rounds.note("ours", number, 30.0 * pace)
        rounds.note("theirs", number, 10.0 * pace)
    assert rounds.ratios("ours", "theirs", float) == Spread(3.0, 3.0, 3.0)


def test_a_round_that_one_contender_lacks_gives_no_ratio():
    rounds = Rounds[float]()
    rounds.note("ours", 0, 30.0)
    rounds.note("ours", 1, 90.0)
    rounds.note("theirs", 1, 30.0)
    assert rounds.ratios("ours", "theirs", float) == Spread(3.0, 3.0, 3.0)
    assert rounds.ratios("ours", "absent", float) is None


def test_the_first_epoch_is_no_steady_one():
    assert steady_rate(ANSWER["rows_per_second"]) == 200.0
    assert steady_rate([10.0]) == 10.0


def test_each_round_starts_with_another_contender():
    order = list(turns(["a", "b", "c"], 3))
    assert [name for number, name in order if number == 1] == ["b", "c", "a"]
    assert sorted(name for number, name in order if number == 2) == ["a", "b", "c"]


def test_the_answer_is_the_last_line():
    assert answer_in("a warning\n" + json.dumps(ANSWER) + "\n") == ANSWER


@pytest.mark.parametrize("output", ["", "no JSON", "[1]", json.dumps({"rows_per_second": []})])
def test_a_program_without_an_answer_is_skipped_with_a_word(output):
    with pytest.raises(SkippedError, match=r"JSON|lacks"):
        answer_in(output)


def given(tmp_path, **changed):
    settings = {"environments": tmp_path, "threads": 1, "device": "cpu", "calm": 1.0, "batch": 128, "repeats": 2}
    return Namespace(**(settings | {"goal": 95.0, "goal_repeats": 1} | changed))


def test_a_peer_without_an_environment_is_skipped_with_a_word(tmp_path, capsys):
    rounds, left = measured([Contender("jax", "jax_scan.py", "jax")], 2, [], given(tmp_path))
    assert not rounds.results
    assert not left
    printed = capsys.readouterr().out
    assert printed.startswith("jax is skipped: no environment")
    assert printed.count("skipped") == 1  # once, not in every round


def test_a_program_that_fails_is_skipped_with_its_last_word(tmp_path):
    plain = next(contender for contender in CONTENDERS if contender.name == "plain")
    with pytest.raises(SkippedError, match="required: --pixels"):
        run(plain, [], tmp_path, 1, "cpu")


def test_tables_show_ratios_and_who_never_reached_the_goal(tmp_path):
    rounds = Rounds[dict]()
    rounds.note("isthmus", 0, ANSWER | {"others": 0.0, "program_seconds": 5.0, "seconds_to_goal": 2.0})
    rounds.note("jax", 0, ANSWER | {"others": 0.0, "program_seconds": 5.0, "rows_per_second": [1.0, 50.0]})
    assert "| 50 | 2,560,000 | 4.00× |" in rate_table(rounds, "dense", given(tmp_path))
    assert "| jax | not in" in goal_table(rounds, "dense", given(tmp_path))


def test_a_table_is_markdown():
    lines = table("Title", ["a", "b"], [["1", "2"]]).splitlines()
    assert lines == ["", "Title", "", "| a | b |", "| --- | --- |", "| 1 | 2 |"]
    assert shown(Spread(2.0, 1.0, 3.0), "{:.0f}") == "2 (1 … 3)"
    assert shown(Spread(2.0, 2.0, 2.0), "{:.0f}") == "2"
    assert shown(None, "{:.0f}") == "–"


def test_only_whole_batches_are_trained_on():
    assert whole_batches(60_000, 128) == 59_904
    assert whole_batches(100, 128) == 128


def test_pixels_are_cut_at_one_half(tmp_path):
    grey = np.array([0, 127, 128, 255], dtype=np.uint8).reshape(1, 2, 2)
    np.savez(tmp_path / "mnist.npz", x_train=np.repeat(grey, 5, axis=0), x_test=grey)
    write_pixels(tmp_path, tmp_path / "pixels.npz", 3)
    with np.load(tmp_path / "pixels.npz") as arrays:
        assert arrays["train"].tolist() == [[0, 0, 1, 1]] * 3
        assert arrays["test"].tolist() == [[0, 0, 1, 1]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "goal"), [("isthmus", ["--goal", "1000"]), ("plain", [])])
def test_a_program_that_trains_gives_an_answer(tmp_path, name, goal):
    generator = np.random.default_rng(0)
    pixels = {name: generator.integers(0, 2, (512, 784), dtype=np.uint8) for name in ("train", "test")}
    np.savez(tmp_path / "pixels.npz", **pixels)
    trained = next(contender for contender in CONTENDERS if contender.name == name)
    answer = run(trained, ["--pixels", str(tmp_path / "pixels.npz"), "--epochs", "1", *goal], tmp_path, 1, "cpu")
    assert set(answer) >= NEEDED
    assert len(answer["rows_per_second"]) == len(answer["epoch_seconds"]) == len(answer["negative_elbo"]) == 1
    assert 300 < answer["negative_elbo"][0] < 700  # 784 fair coins: 543 nats
    assert (answer["seconds_to_goal"] is not None) == bool(goal)
    assert answer["peak_memory"] > 10**8


def people(rows: int, seed: int) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    rich = draws.random(rows) < 0.4
    return pd.DataFrame(
        {
            "age": draws.integers(20, 60, rows) + 10 * rich,
            "job": np.where(draws.random(rows) < 0.2, None, np.where(rich, "baker", "smith")),
            "income": np.where(rich, "high", "low"),
        }
    )


def test_new_rows_are_measured_against_real_ones():
    data = generation.Data(people(600, 0), people(300, 1), "income")
    real, apart = (generation.measured(data, made(data, 0)[0], 0) for made in (generation.real, generation.independent))
    assert real["shape"] < 8
    assert apart["shape"] < 8  # columns as they are …
    assert apart["trend"] > real["trend"] + 10  # … but not their relations
    assert apart["auc"] < 0.7 < 0.95 < real["auc"]
    assert apart["auroc"] > real["auroc"] + 0.1
    copies = generation.measured(data, data.train, 0)
    assert 0 <= copies["copied"] <= 100 and copies["exact"] == 100


def test_new_rows_that_are_kept_are_not_made_again(tmp_path, monkeypatch):
    data = generation.Data(people(60, 0), people(30, 1), "income")
    first, cost = generation.made(tmp_path, "people", "smote", data, 0)
    monkeypatch.setitem(generation.CONTENDERS, "smote", None)
    again, same = generation.made(tmp_path, "people", "smote", data, 0)
    pd.testing.assert_frame_equal(first, again)
    assert same == cost and cost.sample > 0


def test_rows_between_neighbours_keep_types_and_ranges():
    data = generation.Data(people(200, 0), people(100, 1), "income")
    new, cost = generation.smote(data, 0)
    assert cost.sample > 0 and not cost.fit
    assert list(new.dtypes) == list(data.train.dtypes)
    assert new["age"].between(data.train["age"].min(), data.train["age"].max()).all()
    assert set(new["income"]) == {"high", "low"}


def test_a_peer_of_generation_without_an_environment_is_skipped_with_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "ENVIRONMENTS", tmp_path)
    with pytest.raises(SkippedError, match="make bench-peers PEERS=ctgan"):
        generation.peer("TVAE")(generation.Data(people(20, 0), people(10, 1), "income"), 0)


def test_a_count_has_the_mass_between_its_neighbours():
    low, high = np.array([-np.inf, -1.0, 0.3, 8.0, -9.0]), np.array([-2.0, 0.5, 4.0, 9.0, -8.0])
    expected = np.log(scipy.stats.norm.cdf(high[:3]) - scipy.stats.norm.cdf(low[:3]))
    mass = counts.log_normal_mass(low, high)
    np.testing.assert_allclose(mass[:3], expected)
    assert np.isfinite(mass).all() and mass[3] == pytest.approx(mass[4])


def test_what_is_hidden_of_a_user_was_not_shown():
    likes = scipy.sparse.csr_matrix(np.random.default_rng(0).random((30, 50)) < 0.4, dtype=np.int32)
    learning, choosing, test = counts.parted(likes, 0)
    assert (learning.shape[0], choosing.shown.shape[0], test.shown.shape[0]) == (21, 3, 6)
    assert test.shown.multiply(test.hidden).nnz == 0
    assert test.hidden.nnz / (test.shown.nnz + test.hidden.nnz) == pytest.approx(0.2, abs=0.03)


def test_discretised_components_prefer_the_counts_they_were_fitted_to():
    rng = np.random.default_rng(0)
    cells = scipy.sparse.csr_matrix(rng.poisson(rng.choice([1.0, 9.0], (60, 1)) * np.linspace(1, 4, 8)) + 1)
    model = counts.DiscretisedComponents(cells, 2, 1e-2)
    own = model.log_prob(cells, 50, np.random.default_rng(1))
    mixed = scipy.sparse.csr_matrix(rng.permuted(cells.toarray(), axis=1))
    assert (own < 0).all() and own.mean() > model.log_prob(mixed, 50, np.random.default_rng(1)).mean() + 5


def test_hidden_cells_are_measured_in_their_columns_own_units():
    truth = people(400, 0)
    gaps, hidden = imputation.with_gaps(truth, 1)
    assert gaps.isna().to_numpy()[hidden].all() and not hidden[truth["job"].isna(), 1].any()
    assert 0.1 < hidden.mean() < 0.25
    alone = imputation.measured(truth, imputation.columns_alone(gaps, gaps, 0), hidden)
    assert alone["age"] == pytest.approx(1, abs=0.15)  # the mean is one deviation off
    assert imputation.measured(truth, truth, hidden) == {"age": 0, "job": 1, "income": 1}
    for encoding in ("ordinal", "dummies"):
        iterative = imputation.measured(truth, imputation.CONTENDERS[f"iterative-{encoding}"](gaps, gaps, 0), hidden)
        assert iterative["income"] > alone["income"] + 0.1  # job tells income, where it is there


@pytest.mark.parametrize(("dummies", "width"), [(True, 3), (False, 3)])
def test_encoded_rows_come_back(dummies, width):
    rows = people(50, 0)
    encoding = imputation.Encoding(rows, dummies)
    matrix = encoding.numbers(rows)
    assert matrix.shape == (50, width) and np.isnan(matrix[rows["job"].isna(), 1]).all()
    known = rows["job"].notna()
    back = encoding.rows(matrix[known])
    pd.testing.assert_frame_equal(back, rows[known].reset_index(drop=True), check_dtype=False)


def test_a_win_is_over_the_better_of_both_peers():
    truth = people(5, 0)
    assert imputation.is_better(truth, "age", 0.5, [0.6, 0.9]) and not imputation.is_better(
        truth, "age", 0.7, [0.6, 0.9]
    )
    assert imputation.is_better(truth, "job", 0.8, [0.6, 0.7]) and not imputation.is_better(
        truth, "job", 0.65, [0.6, 0.7]
    )
