"""What the decoder says about cells: masses sum to one, densities integrate to one, and all of it trains."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.table import Table

from .examples import mixed_frame

every_family = pytest.mark.parametrize("family", Table.likelihoods)
# Steps are for `test_table_autoregressive.py`: a grid does not add them up.
SMOOTH = [family for family in Table.likelihoods if family != "autoregressive"]


def likelihood(table: Table, rows: int, seed: int = 0, leading: tuple[int, ...] = ()):
    torch.manual_seed(seed)
    decoder = table.decoder(3, NetworkOptions(hidden=(16,)))
    return decoder(torch.randn(*leading, 1, 3).mul(3.0).expand(*leading, rows, 3))


def masses(table: Table, values: list) -> torch.Tensor:
    """The mass of each value of a table of one column, under three decoders."""
    x = table.tensors(pa.table({"x": values})).float()
    return torch.stack([likelihood(table, len(x), seed).log_prob(x).exp().detach() for seed in range(3)])


@every_family
@pytest.mark.parametrize(
    "values",
    [
        list(range(-3, 9)),
        [0, 100_000],
        [*range(40), 3000],  # heavy tails: cells of growing width
        [0] * 50 + [1, 2, 900],
        [5, 5, None],
        [True, False],
        ["a", "b", "b", "c", None],
        [f"c{i}" for i in range(9)],
    ],
    ids=lambda values: f"{values[0]} … {values[-1]}",
)
def test_masses_of_all_values_sum_to_one(family, values):
    table = Table.fit(pa.table({"x": values}), family)
    observed = [value for value in values if value is not None]
    if isinstance(observed[0], bool | str):
        every = sorted(set(observed))
    else:
        every = list(range(min(observed), max(observed) + 1))
    if family == "autoregressive" and None in values:
        every = [*every, None]  # a missing cell is one of the things that a cell may be
    np.testing.assert_allclose(masses(table, every).sum(1), 1.0, atol=2e-4)


def test_days_have_a_mass_each():
    start, end = (np.datetime64(day, "us") for day in ("2020-01-01", "2020-03-01"))
    table = Table.fit(pa.table({"x": pa.array([start, start + np.timedelta64(1, "D"), end])}), "gaussian")
    days = np.arange("2020-01-01", "2020-03-02", dtype="datetime64[D]").astype("datetime64[us]")
    np.testing.assert_allclose(masses(table, pa.array(days)).sum(1), 1.0, atol=1e-4)


@pytest.mark.parametrize("family", SMOOTH)
@pytest.mark.parametrize("heavy", [False, True])
def test_densities_integrate_to_one_in_the_columns_own_units(family, heavy):
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 4, 2000)) if heavy else rng.normal(400, 30, 2000)
    table = Table.fit(pa.table({"x": values}), family)
    assert table.columns[0].scale.heavy == heavy
    # Points spaced evenly in scaled numbers; the integral is over the values.
    points = table.from_matrix(np.linspace(-60, 60, 200_001)[:, None])
    log_density = likelihood(table, len(points)).log_prob(points).double().detach() + table.log_volume(points)
    grid = table.values(points)[:, 0]
    assert np.trapezoid(log_density.exp().numpy(), grid) == pytest.approx(1.0, abs=2e-3)


def test_a_gaussian_column_is_scored_as_scipy_scores_it():
    values = np.random.default_rng(0).normal(400, 30, 50)
    table = Table.fit(pa.table({"x": values}))
    x = table.tensors(pa.table({"x": values}))
    made = likelihood(table, 50)
    (_, outputs), (block,) = made.parts[0], made.head.blocks
    scale = table.columns[0].scale
    unit = 2.0 ** table.columns[0].exponent
    mean = (outputs[:, 0].detach().double().numpy() * scale.width + scale.centre) * unit
    spread = block.log_scale.exp().item() * scale.width * unit
    ours = (made.log_prob(x).detach() + table.log_volume(x)).numpy()
    np.testing.assert_allclose(ours, stats.norm.logpdf(values, mean, spread), rtol=1e-4, atol=1e-4)


@every_family
def test_samples_follow_the_masses(family):
    values = [*range(12), 400]
    table = Table.fit(pa.table({"x": values}), family)
    expected = masses(table, list(range(401)))[0].numpy()
    drawn = likelihood(table, 40_000).sample(Randomness(1))
    counts = np.bincount(table.rows(drawn).column("x").to_numpy(), minlength=401)
    # Each count is binomial: five standard deviations, and a few for counts that are expected next to never.
    assert (np.abs(counts - 40_000 * expected) < 5 * np.sqrt(40_000 * expected) + 5).all()


def test_the_mode_of_a_category_is_the_likeliest():
    table = Table.fit(pa.table({"x": ["a", "b", "c"] * 5}))
    probabilities = masses(table, ["a", "b", "c"])
    for seed in range(3):
        mode = table.rows(likelihood(table, 1, seed).mode()).column("x").to_pylist()
        assert mode == ["abc"[int(probabilities[seed].argmax())]]


def test_a_missing_cell_is_marked_where_cells_were_missing():
    table = Table.fit(pa.table({"a": [1.5, None, 3.5, 1.0], "b": [1.5, 2.5, 4.0, 1.0], "c": ["x", None, "y", "y"]}))
    features = table.features()
    # a, b, mark of a, y (the commoner), x
    complete = features(table.tensors(pa.table({"a": [2.5], "b": [2.5], "c": ["x"]})))
    gaps = features(table.tensors(pa.table({"a": pa.nulls(1), "b": pa.nulls(1), "c": pa.nulls(1)})))
    assert complete.shape == (1, 5)
    assert complete[0, 2:].tolist() == [0, 0, 1]
    assert gaps[0].tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("fitted", "strange"),
    [
        (np.linspace(0.1, 1.1, 50), [1.1, 3.0, 50.0, 1e30]),
        (np.arange(50), [49, 200, 3000, 2**60]),
        (-np.arange(50), [-49, -200, -3000, -(2**60)]),
    ],
)
def test_strange_values_look_like_the_edge_to_the_network_but_not_to_the_likelihood(fitted, strange):
    table = Table.fit(pa.table({"x": fitted}))
    x = table.tensors(pa.table({"x": strange})).float()
    features = table.features()(x)[:, 0]
    assert features[0].abs() < features[1].abs() == features[2].abs() == features[3].abs() < 10
    scores = likelihood(table, 4).log_prob(x)
    assert (scores.diff() < 0).all()


# Training


def hard_tables() -> dict:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=400)
    spikes = np.where(rng.random(400) < 0.8, 0.0, np.exp(factor * 3))
    return {
        "mixed, with missing cells": mixed_frame(400),
        "heavy tails": pa.table({"a": rng.standard_cauchy(400) * np.exp(factor), "b": np.exp(4 * factor)}),
        "spikes at zero": pa.table({"a": spikes, "b": np.floor(spikes).astype(int), "c": factor}),
        "constant columns": np.column_stack([np.full(400, 3.3), factor, np.ones(400), np.full(400, np.nan)]),
        "copies": pa.table({"a": np.round(factor, 2), "b": np.round(factor, 2), "c": np.round(factor * 10)}),
    }


@every_family
@pytest.mark.parametrize("kind", hard_tables())
@pytest.mark.slow
def test_training_lowers_the_loss_and_stays_finite(family, kind):
    rows = hard_tables()[kind]
    table = Table.fit(rows, family)
    x = table.tensors(rows).float()
    torch.manual_seed(0)
    encoder = table.encoder(2, NetworkOptions(hidden=(32,)))
    decoder = table.decoder(2, NetworkOptions(hidden=(32,)))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 5e-3)
    losses = []
    for _ in range(150):
        loss = -decoder(encoder(x)).log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad is None or torch.isfinite(parameter.grad).all() for parameter in decoder.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.5


@every_family
def test_a_step_reads_no_value_back(family):
    """A step that waits for the device at each batch would be slow: on the meta device there is nothing to read."""
    table = Table.fit(mixed_frame(), family)
    x = table.tensors(mixed_frame()).float().to("meta")
    encoder = table.encoder(2, NetworkOptions()).to("meta")
    decoder = table.decoder(2, NetworkOptions()).to("meta")
    assert decoder(encoder(x)).log_prob(x).shape == (60,)
