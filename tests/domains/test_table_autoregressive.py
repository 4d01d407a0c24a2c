"""Columns that depend on those before them: probabilities add up to one, and samples follow them."""

from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus import variants
from isthmus.core.errors import DataError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import DomainNetworks, NetworkOptions
from isthmus.domains.table import Table
from isthmus.domains.table.autoregressive import MOST_COLUMNS, AutoregressiveLikelihood
from isthmus.domains.table.bins import LEAST_WIDTH, MOST_BINS, MOST_SYMBOLS, Bins
from isthmus.domains.table.evidence import Evidence
from isthmus.domains.table.scaling import fit_scale
from isthmus.parts.networks import built
from isthmus.training.loop import train, train_together
from isthmus.training.run import Plan
from isthmus.training.step import Kind
from isthmus.variants.base import Variant

FAMILY = "autoregressive"


def likelihood(table: Table, rows: int, seed: int = 0, leading: tuple[int, ...] = ()) -> AutoregressiveLikelihood:
    """Under a decoder that is far from independent columns."""
    torch.manual_seed(seed)
    decoder = table.decoder(3, NetworkOptions(hidden=(16,)))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    made = decoder(torch.randn(*leading, 1, 3).expand(*leading, rows, 3))
    assert isinstance(made, AutoregressiveLikelihood)
    return made


def discrete_table() -> tuple[Table, pa.Table]:
    """Few values in each of four columns, and all rows that can be."""
    rows = pa.table(
        {
            "kind": ["a", "b", None, "a"] * 8,
            "size": [1, 2, 2, 5] * 8,
            "old": [True, False, False, None] * 8,
            "half": [0.5, 1.5, 0.5, None] * 8,
        }
    )
    every = product(["a", "b", None], [1, 2, 5], [True, False, None], [0.5, 1.5, None])
    columns = list(zip(*every, strict=True))
    cells = [pa.array(column, field.type) for column, field in zip(columns, rows.schema, strict=True)]
    return Table.fit(rows, FAMILY), pa.table(cells, names=rows.column_names)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("context", [True, False])
def test_rows_of_few_values_have_probabilities_that_sum_to_one(seed, context):
    table, every = discrete_table()
    x = table.tensors(every)
    made = likelihood(table, len(x), seed)
    # Real numbers have densities: of a frequent value, over the interval that counts as it.
    halves = torch.where(x[:, 3].isnan(), 0.0, np.log(LEAST_WIDTH))
    logs = (made if context else made.without_context()).log_prob(x.float()).double() + halves
    assert logs.exp().sum().item() == pytest.approx(1.0, abs=2e-3)


def test_samples_follow_the_probabilities():
    table, every = discrete_table()
    x = table.tensors(every)
    halves = torch.where(x[:, 3].isnan(), 0.0, np.log(LEAST_WIDTH))
    expected = (likelihood(table, len(x)).log_prob(x.float()).double() + halves).exp().detach().numpy()
    drawn = table.rows(likelihood(table, 60_000).sample(Randomness(1))).to_pylist()
    place = {tuple(row.values()): number for number, row in enumerate(every.to_pylist())}
    counts = np.bincount([place[tuple(row.values())] for row in drawn], minlength=len(expected))
    assert (np.abs(counts - 60_000 * expected) < 5 * np.sqrt(60_000 * expected) + 5).all()
    # Columns are not independent: what is tested is not a product.
    made = likelihood(table, len(x))
    assert (made.log_prob(x.float()) - made.without_context().log_prob(x.float())).abs().max() > 0.3


def relation() -> tuple[Table, pa.Table]:
    """A real number, a whole one and an ordered category, of which symbols are ranges but for the last."""
    rng = np.random.default_rng(0)
    x, sizes = rng.normal(size=400), rng.integers(0, 3, 400)
    ordered = pd.Categorical.from_codes(sizes, ["low", "middle", "high"], ordered=True)
    y = x + 0.1 * rng.normal(size=400)
    frame = pd.DataFrame({"x": x, "whole": rng.integers(0, 900, 400), "size": ordered, "y": y})
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    return Table.fit(rows, FAMILY), rows


def test_numbers_tell_later_columns_where_in_their_symbol_they_lie():
    """The sum of the module's own equation, column by column."""
    table, rows = relation()
    x = table.tensors(rows)
    head = likelihood(table, 1).head
    symbols = head.symbols(x.float())[0]
    scaled = torch.from_numpy(table.matrix(x))
    ranks = torch.tensor([["low", "middle", "high"].index(v) for v in rows.column("size").to_pylist()]).double()
    scaled[:, 2] = (ranks - ranks.mean()) / ranks.std(correction=0)
    known = head.context_of(symbols, head.aside(x.float(), symbols)) - head.context_bias
    expected = torch.zeros(len(x), head.outputs)
    for column in range(3):
        torch.testing.assert_close(known[:, column], expected, rtol=1e-4, atol=1e-4)
        # No farther out than the outermost symbols' means.
        ends = [scaled[symbols[:, column] == s, column].mean() for s in (0, head.symbols.sizes[column] - 1)]
        y = scaled[:, column] if column == 2 else scaled[:, column].clamp(*ends)
        told = head.context[head.offset[column] + symbols[:, column]]
        expected = expected + told + y.float().unsqueeze(-1) * head.slope[column]
    assert (head.slope.abs().sum(-1) > 0).all()


def test_draws_tell_later_columns_what_was_drawn():
    """Symbols alone say nothing of y here: only where in its symbol x lies."""
    table, _ = relation()
    made = likelihood(table, 5_000)
    head = made.head
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.slope[0, 0] = 1.0
        head.context[: head.symbols.sizes[0], 0] = -head.middle[: head.symbols.sizes[0]]
        group, place = head.place[3]
        head.groups[group].weight[place, 0, 0] = 200.0  # y's first symbol, where x lies above its symbol's mean
    x = AutoregressiveLikelihood(head, torch.zeros_like(made.outputs)).sample(Randomness(0)).float()
    symbols = head.symbols(x)[0]
    off = head.aside(x, symbols)[:, 0, 0]
    assert (off > 0.1).sum() > 100 and (off < 0).sum() > 100
    # e^20 times as likely as each of 19 others; elsewhere as likely as they are.
    assert (symbols[off > 0.1, 3] == 0).all()
    assert (symbols[off < 0, 3] == 0).float().mean() < 0.15


def test_an_older_file_has_no_numbers_within_symbols():
    """What files of before say is all that their models have."""
    table, rows = relation()
    schema = table.schema()
    del schema["context"]
    assert [bins.pop("means") for bins in schema["bins"]]
    old = Table.from_schema(schema)
    made = likelihood(old, 400)
    parts = {name.partition(".")[0] for name, _ in made.head.named_parameters()}
    assert parts == {"context", "context_bias", "bias", "groups"}
    x = old.tensors(rows).float()
    assert made.log_prob(x).isfinite().all()
    assert made.sample(Randomness(0)).isfinite().all()
    # The mean of a symbol was taken for the middle of its bins: near it, but not at the ends.
    apart = (made.head.symbols.binned.centre - likelihood(table, 1).head.symbols.binned.centre).abs()
    assert apart.median() < 0.03 and apart.max() > 0.3


def test_many_columns_have_fewer_units_and_symbols():
    cells = np.random.default_rng(0).normal(size=(4100, MOST_COLUMNS + 1))
    few, many = (Table.fit(cells[:, :columns], FAMILY) for columns in (2, MOST_COLUMNS + 1))
    assert (few.context.units, many.context.units) == (128, 32)
    assert (len(few.bins[0].starts), len(many.bins[0].starts)) == (MOST_SYMBOLS, MOST_SYMBOLS // 2)


def test_symbols_keep_the_mean_of_their_numbers():
    numbers = np.random.default_rng(0).normal(size=2000)
    bins = Bins.fit(numbers, 0.0, fit_scale(numbers))
    symbol = np.searchsorted(np.array(bins.low)[bins.starts], numbers, side="right") - 1
    assert bins.means == pytest.approx([numbers[symbol == s].mean() for s in range(len(bins.starts))])


def test_numbers_far_apart_share_no_symbol():
    """Else rows would be drawn from the emptiness between them, and the mean of both be guessed."""
    usual = np.random.default_rng(0).normal(size=2000)
    numbers = np.concatenate([usual, [-8.0, -8.0, 9.0, 9.01]])
    bins = Bins.fit(numbers, 0.0, fit_scale(numbers))
    assert bins.means[0] == -8.0 and bins.counts[0] == 2
    assert bins.means[-1] == pytest.approx(9.005) and bins.counts[-1] == 2
    assert usual.min() <= bins.means[1] and bins.means[-2] <= usual.max()
    assert (np.array(bins.high[:-1]) <= np.array(bins.low[1:])).all()
    assert bins.high[-2] == usual.max()


@pytest.mark.parametrize("kind", ["normal", "heavy", "spikes"])
def test_a_density_integrates_to_one(kind):
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 4, 2000)) if kind == "heavy" else rng.normal(400, 30, 2000)
    if kind == "spikes":
        values[rng.random(2000) < 0.3] = 390.0
    table = Table.fit(pa.table({"x": values}), FAMILY)
    made = likelihood(table, 1)
    binned = made.head.symbols.binned
    start, end = binned.start[0].double(), binned.end.double()
    # Within a bin the density is level, but for what lies beside all bins.
    middle = binned.scaling.restore((start + end) / 2)
    inside = (likelihood(table, len(middle)).log_prob(middle.unsqueeze(-1)).double().exp() * (end - start)).sum().item()
    # 10⁻⁴ of Laplace's law covers all numbers, those in bins once more.
    assert inside == pytest.approx(1.0, abs=5e-3)
    assert (start[1:] >= end[:-1] - 1e-5).all()


def test_what_lies_farther_out_is_less_probable():
    table = Table.fit(pa.table({"x": np.arange(500) % 50, "y": np.linspace(0.0, 1.0, 500)}), FAMILY)
    rows = pa.table({"x": [10, 60, 200, 3000], "y": [0.5, 1.5, 50.0, 1e30]})
    scores = likelihood(table, 4).log_prob_per_feature(table.tensors(rows).float())
    assert scores.isfinite().all()
    assert (scores.diff(dim=0) < 0).all()


def test_leading_dimensions_are_only_that():
    table, every = discrete_table()
    x = table.tensors(every).float()
    made = likelihood(table, len(x), leading=(2, 3))
    assert made.log_prob_per_feature(x).shape == (2, 3, len(x), 4)
    assert made.sample(Randomness(0)).shape == made.mode().shape == (2, 3, len(x), 4)
    one = AutoregressiveLikelihood(made.head, made.outputs[1, 2])
    torch.testing.assert_close(made.log_prob(x)[1, 2], one.log_prob(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made.mode()[1, 2], one.mode())


def test_the_best_guess_depends_on_the_code_alone_and_is_never_missing():
    table, every = discrete_table()
    made = likelihood(table, len(every))
    guess = table.rows(made.mode())
    assert all(column.null_count == 0 for column in guess.columns)
    alone = made.without_context()
    kinds = pa.table({**{name: pa.nulls(2) for name in every.column_names}, "kind": ["a", "b"]})
    odds = alone.log_prob_per_feature(table.tensors(kinds).float()[:1].expand(len(every), -1))[0, 0]
    other = alone.log_prob_per_feature(table.tensors(kinds).float()[1:].expand(len(every), -1))[0, 0]
    assert guess.column("kind")[0].as_py() == ("a" if odds > other else "b")


def test_what_training_raises_lies_between_with_and_without_context():
    table, every = discrete_table()
    x = table.tensors(every).float()
    made = likelihood(table, len(x))
    ends = torch.stack([made.log_prob(x), made.without_context().log_prob(x)])
    assert ((made.objective(x) >= ends.min(0).values - 1e-4) & (made.objective(x) <= ends.max(0).values + 1e-4)).all()


def test_what_the_encoder_does_not_see_is_missing_to_later_columns():
    table, every = discrete_table()
    x = table.tensors(every).float()
    made = likelihood(table, len(x))
    # kind and size: the first may be missing, the second may not.
    hidden, kept = x.clone(), x.clone()
    hidden[:, 0], kept[:, 1] = torch.nan, torch.nan
    assert torch.equal(made.objective(x, kept), made.objective(x))
    # Rows that differ in the hidden kind differ in its own probability alone.
    of_kind = torch.lerp(*(each.log_prob_per_feature(x)[:, 0] for each in (made, made.without_context())), 0.5)
    others = made.objective(x, hidden) - of_kind
    alike = others.reshape(3, -1)  # the kind changes slowest
    torch.testing.assert_close(alike, alike[:1].expand(3, -1), rtol=1e-4, atol=1e-4)
    assert (made.objective(x) - of_kind).reshape(3, -1).diff(dim=0).abs().max() > 0.1


def test_gaps_that_are_left_say_nothing_of_a_cell():
    """A cell's distribution given the observed ones, another unknown one being missing: by Bayes' rule."""
    table, every = discrete_table()
    x = table.tensors(every)
    asked = x[~x[:, 3].isnan()].clone()
    asked[:, [0, 2]] = torch.nan  # kind and old; size and half are known
    made = likelihood(table, len(asked))
    gaps = made.head.symbols(asked.float())[0]
    with torch.no_grad():
        filled = made._refined(made.outputs[None], gaps[None], Evidence.of_rows(asked), Randomness(0))
    by_kind = []
    for kind in (0.0, 1.0):
        rows = asked.clone()
        rows[:, 0] = kind
        by_kind.append(made.log_prob_per_feature(rows.float())[:, [0, 1, 3]].sum(-1))
    expected = torch.stack(by_kind, dim=-1).softmax(-1)
    torch.testing.assert_close(filled[:, :2].float(), expected, rtol=1e-4, atol=1e-4)


def test_a_missing_cell_where_none_was_missing_is_no_evidence():
    table = Table.fit(pa.table({"a": [1, 2, 3, 2] * 5, "b": ["x", "y", "y", "y"] * 5}), FAMILY)
    x = table.tensors(pa.table({"a": pa.nulls(2, pa.int64()), "b": ["x", None]})).float()
    per_feature = likelihood(table, 2).log_prob_per_feature(x)
    assert (per_feature[:, 0] == 0).all()
    assert per_feature[0, 1] < 0
    assert per_feature[1, 1] == 0
    assert not likelihood(table, 500).sample(Randomness(0)).isnan().any()


def test_rare_categories_are_drawn_by_their_frequency():
    values = ["common"] * 600 + ["other"] * 300 + [f"rare {i}" for i in range(100)]
    table = Table.fit(pa.table({"x": values}), FAMILY)
    made = likelihood(table, len(values))
    every = pa.table({"x": sorted(set(values))})
    total = likelihood(table, every.num_rows).log_prob(table.tensors(every).float()).exp().sum().item()
    assert total == pytest.approx(1.0, abs=1e-4)
    assert len(set(table.rows(made.sample(Randomness(0))).column("x").to_pylist())) > 3


# Bins


def test_bins_hold_every_row_and_frequent_values_are_alone():
    rng = np.random.default_rng(0)
    numbers = np.where(rng.random(20_000) < 0.2, 7.0, rng.normal(size=20_000))
    bins = Bins.fit(numbers, 0.0, fit_scale(numbers))
    assert sum(bins.counts) == len(numbers)
    assert len(bins.starts) <= MOST_SYMBOLS + 2
    assert len(bins.low) <= MOST_BINS + 2
    (place,) = np.flatnonzero((np.array(bins.low) == 7.0) & (np.array(bins.high) == 7.0))
    assert place in bins.starts
    assert bins.counts[place] == (numbers == 7.0).sum()


def test_few_rows_have_few_bins():
    """A bin for every row would give the rows back."""
    numbers = np.random.default_rng(0).normal(size=100)
    assert len(Bins.fit(numbers, 0.0, fit_scale(numbers)).low) <= 12


@pytest.mark.parametrize(
    "change",
    [{"counts": [1]}, {"high": [5.0, 2.0]}, {"starts": [1]}, {"starts": [0, 0]}, {"counts": [1, 0]}, {"low": []}],
)
def test_bins_that_cannot_be_are_refused(change):
    fitted = {"low": [0.0, 1.0], "high": [0.5, 2.0], "counts": [3, 4], "starts": [0, 1]}
    Bins(**fitted)
    with pytest.raises(ValueError, match=r"bins|symbols"):
        Bins(**(fitted | change))


# Fitted models


def spiky(rows: int) -> pd.DataFrame:
    """Two modes and a spike between them, a long tail with zeros, whole numbers, and categories that hang together."""
    rng = np.random.default_rng(3)
    high = rng.random(rows) < 0.4
    modes = np.where(high, rng.normal(9.0, 0.5, rows), rng.normal(0.0, 0.5, rows))
    return pd.DataFrame(
        {
            "modes": np.where(rng.random(rows) < 0.3, 5.0, modes),
            "tail": np.where(rng.random(rows) < 0.5, 0.0, np.exp(rng.normal(3.0, 1.0, rows))),
            "count": rng.poisson(np.where(high, 8, 2)),
            "kind": pd.Series(np.where(high, "high", np.where(rng.random(rows) < 0.5, "low", "lower"))).where(
                rng.random(rows) < 0.9
            ),
        }
    )


def largest_gap(first: np.ndarray, second: np.ndarray) -> float:
    at = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(values), at, side="right") / len(values) for values in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.fixture(scope="module")
def fitted() -> isthmus.VAE:
    options = {"latent_dim": 3, "hidden": (32,), "epochs": 30, "device": "cpu", "random_state": 0}
    return isthmus.VAE(likelihood=FAMILY, prior="flow_matching", **options).fit(spiky(1500))


@pytest.mark.slow
def test_spikes_and_modes_are_reproduced_where_a_gaussian_fails(fitted):
    rows = spiky(1500)
    plain = isthmus.VAE(latent_dim=3, hidden=(32,), epochs=30, device="cpu", random_state=0).fit(rows)
    ours, theirs = fitted.sample(3000), plain.sample(3000)
    for column, spike, share in (("modes", 5.0, 0.3), ("tail", 0.0, 0.5)):
        assert (ours[column] == spike).mean() == pytest.approx(share, abs=0.06)
        assert largest_gap(ours[column], rows[column]) < 0.06
        assert largest_gap(theirs[column], rows[column]) > 0.12
    assert (theirs["modes"] == 5.0).mean() < 0.02
    assert ours["kind"].isna().mean() == pytest.approx(0.1, abs=0.04)
    apart = ours.groupby("kind")["count"].mean()
    assert apart["high"] > apart["low"] + 4


@pytest.mark.slow
def test_samples_keep_ranges_whole_numbers_and_categories(fitted):
    rows, drawn = spiky(1500), fitted.sample(2000)
    assert list(drawn.dtypes) == list(rows.dtypes)
    assert fitted.domain_.surprises(drawn) == []
    assert set(drawn["kind"].dropna()) <= set(rows["kind"].dropna())
    for column in ("modes", "tail", "count"):
        assert drawn[column].between(rows[column].min(), rows[column].max()).all()


@pytest.mark.slow
def test_a_loaded_model_gives_the_same_rows_and_scores(fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    loaded = isthmus.load(tmp_path / "model.safetensors")
    pd.testing.assert_frame_equal(loaded.sample(200), fitted.sample(200))
    np.testing.assert_array_equal(loaded.score_samples(spiky(50)), fitted.score_samples(spiky(50)))


@pytest.mark.slow
def test_rows_cannot_be_coded_through_it_and_a_line_says_so(fitted):
    with pytest.raises(DataError, match="autoregressive") as refused:
        fitted.compress(spiky(50))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("program", ["eager", "traced"])
def test_models_that_train_in_one_step_end_as_they_would_alone(program):
    rows = spiky(200)
    table = Table.fit(rows, FAMILY)
    x = table.tensors(rows).float()
    networks = DomainNetworks(table, NetworkOptions(hidden=(16,)))

    def made(size: int) -> Variant:
        kind = variants.find("vae")
        return built(lambda: kind(networks, size, kind.Options()), Randomness(size, "model"))

    def models() -> list[Variant]:
        return [made(size) for size in (2, 4)]

    plans = [Plan(3, 50, 5e-3, seed=size) for size in (2, 4)]
    stacked, single = models(), models()
    outcomes = train_together(stacked, x[50:], x[:50], plans, table.draw, kind=Kind(program))
    for model, plan, outcome, twin in zip(stacked, plans, outcomes, single, strict=True):
        alone = train(twin, x[50:], x[:50], plan, table.draw, kind=Kind("eager"))
        assert outcome.history[-1]["validation"]["loss"] == pytest.approx(
            alone.history[-1]["validation"]["loss"], rel=1e-3
        )
        torch.testing.assert_close(model.encoder(x), twin.encoder(x), rtol=2e-3, atol=2e-3)
