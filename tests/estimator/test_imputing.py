"""Missing cells filled in: as closed forms say, observed cells as they were, and each row on its own."""

import datetime
import itertools

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.table.evidence import Evidence
from isthmus.domains.table.likelihood import TableLikelihood
from isthmus.estimator import imputing

DRAWS = np.random.default_rng(0)
# Scaled numbers x = W z + b + noise, with z ~ N(0, 1).
WEIGHTS = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, -1.0]])
BIAS, NOISE = torch.tensor([0.3, 0.0, -0.2]), 0.5


@pytest.fixture(scope="module")
def linear():
    """A linear Gaussian model with these numbers, whose encoder knows nothing: q(z|x) = p(z)."""
    rows = pd.DataFrame(DRAWS.normal([5, -3, 100], [1, 2, 30], (200, 3)), columns=list("abc"))
    model = isthmus.VAE(2, hidden=(), epochs=1, random_state=0, device="cpu").fit(rows)
    with torch.no_grad():
        for weights in model.model_.encoder.parameters():
            weights.zero_()
        (layer,) = model.model_.decoder.network
        layer.weight.copy_(WEIGHTS)
        layer.bias.copy_(BIAS)
        model.model_.decoder.head.blocks[0].log_scale.fill_(np.log(NOISE))
    return model


def conditional(model, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of column a given b and c, in its own units: the normal distribution's own formula."""
    covariance = (WEIGHTS @ WEIGHTS.T + NOISE**2 * torch.eye(3)).double().numpy()
    scaled = model.domain_.matrix(model.domain_.tensors(rows))[:, 1:]
    gain = covariance[:1, 1:] @ np.linalg.inv(covariance[1:, 1:])
    mean = BIAS[0].item() + (scaled - BIAS[1:].double().numpy()) @ gain.T
    deviation = np.sqrt(covariance[0, 0] - gain @ covariance[1:, :1])
    units = model.domain_.from_matrix(np.column_stack([mean, scaled]))
    spread = model.domain_.columns[0].scale.width * 2.0 ** model.domain_.columns[0].exponent
    return model.domain_.values(units)[:, 0], deviation[0] * spread


def gaps() -> pd.DataFrame:
    return pd.DataFrame({"a": [np.nan] * 3, "b": [-3.0, -5.0, 0.0], "c": [100.0, 130.0, 60.0]})


def test_the_best_guess_is_the_conditional_mean(linear, monkeypatch):
    monkeypatch.setattr(imputing, "DRAWS", 4096)
    mean, deviation = conditional(linear, gaps())
    guess = linear.impute(gaps())
    # At least a tenth of 4,096 draws count: the standard error is below deviation / √400, and evenly spread draws do
    # better than that.
    assert (guess.a - mean).abs().max() < 0.1 * deviation
    assert guess.b.equals(gaps().b) and guess.c.equals(gaps().c)


def test_draws_have_the_conditional_mean_and_spread(linear, monkeypatch):
    monkeypatch.setattr(imputing, "DRAWS", 4096)
    mean, deviation = conditional(linear, gaps())
    x = linear.domain_.tensors(gaps())
    made = imputing.imputed(linear.model_, linear.domain_, x, 1500, 0, torch.device("cpu"))
    copies = np.stack([linear.domain_.values(copy)[:, 0] for copy in made])
    assert np.abs(copies.mean(0) - mean).max() < 0.15 * deviation
    assert copies.std(0) == pytest.approx(np.full(3, deviation[0]), rel=0.15)


def test_guesses_without_weights_are_caught(linear, monkeypatch):
    """A planted bug: codes that are not weighted by what the observed cells say of them."""
    monkeypatch.setattr(imputing, "DRAWS", 4096)
    monkeypatch.setattr(TableLikelihood, "log_prob_of_cells", lambda self, x: torch.zeros(*self.leading, 3))
    mean, deviation = conditional(linear, gaps())
    assert (linear.impute(gaps()).a - mean).abs().max() > 0.5 * deviation


@pytest.fixture(scope="module")
def pairs():
    """A model of two categories and a number that has no use for codes: what it says of columns, it says itself."""
    kind = DRAWS.integers(0, 3, 400)
    rows = pd.DataFrame(
        {
            "first": np.array(["x", "y", "z"])[kind],
            "count": kind + DRAWS.integers(0, 2, 400),
            "last": np.where(DRAWS.random(400) < 0.8, np.array(["u", "v", "v"])[kind], "w"),
        }
    )
    options = {"likelihood": "autoregressive", "hidden": (32,), "epochs": 20, "learning_rate": 0.01, "device": "cpu"}
    model = isthmus.VAE(1, random_state=0, **options).fit(rows)
    with torch.no_grad():
        *_, layer = model.model_.decoder.network
        layer.weight.zero_()
    return model, rows


def test_where_columns_depend_on_those_before_later_ones_count_too(pairs):
    """p(first | count, last) by Bayes' rule over all that the first column may be, and as shares of draws."""
    model, rows = pairs
    every = pd.DataFrame({"first": ["x", "y", "z"], "count": [1, 1, 1], "last": ["v", "v", "v"]})
    x = model.domain_.tensors(every).float()
    with torch.no_grad():
        joint = model.model_.likelihood(torch.zeros(3, 1)).log_prob(x).softmax(0).numpy()
    gap = every[:1].assign(first=None)
    draws = np.concatenate(
        [copy["first"] for copy in model.impute(pd.concat([gap] * 100, ignore_index=True), draws=30)]
    )
    shares = np.array([(draws == name).mean() for name in "xyz"])
    # 100 rows of 64 weighted draws each: at least 1,000 that count, and a standard error of a share below 0.016.
    assert shares == pytest.approx(joint, abs=0.07)
    before = rows["first"].value_counts(normalize=True)[["x", "y", "z"]].to_numpy()
    assert np.abs(before - joint).max() > 0.3  # what a draw without weights would give
    assert model.impute(gap)["first"][0] == "xyz"[joint.argmax()]


def test_one_missing_cell_is_told_from_all_others_without_noise(pairs):
    """Of a row with one gap, draw by draw: p(cell | all other cells), as shares of the joint probability."""
    model, rows = pairs
    domain, seen = model.domain_, {name: sorted(rows[name].unique()) for name in rows}
    every = pd.DataFrame(list(itertools.product(*seen.values())), columns=list(seen))
    with torch.no_grad():
        likelihood = model.model_.likelihood(torch.zeros(4, len(every), 1))
        joint = likelihood.log_prob(domain.tensors(every).float())[0].exp().numpy()
        for gone, columns in (("first", slice(0, 3)), ("count", slice(3, 4)), ("last", slice(4, 7))):
            gaps = domain.tensors(every.astype({"count": float})).index_fill(
                1, torch.tensor(list(seen).index(gone)), torch.nan
            )
            told = likelihood.expected(Evidence.of_rows(gaps), torch.zeros(4, len(every)), Randomness(0, "told"))
            others = [name for name in seen if name != gone]
            for row in range(len(every)):
                alike = (every[others] == every.loc[row, others]).all(axis=1)
                shares = joint[alike] / joint[alike].sum()
                cells = domain.tensors(every[alike]).numpy()[:, list(seen).index(gone)]
                wanted = [cells @ shares] if gone == "count" else [shares[cells == code].sum() for code in range(3)]
                # What lies outside of all bins has a ten-thousandth of the probability.
                assert told[row, columns].numpy() == pytest.approx(wanted, abs=1e-3)


MIXED = pd.DataFrame(
    {
        "real": DRAWS.normal(0.1, 3, 60),
        "single": DRAWS.normal(0.1, 3, 60).astype(np.float32),
        "whole": pd.array(DRAWS.integers(-5, 9, 60), "Int64"),
        "flag": pd.array(DRAWS.random(60) < 0.5, "boolean"),
        "kind": pd.Categorical(DRAWS.choice(["a", "b"], 60), categories=["b", "a", "never"]),
        "name": DRAWS.choice(["x", "y", "z"], 60),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(DRAWS.integers(0, 99, 60), unit="D"),
    }
)


@pytest.fixture(scope="module", params=["VAE", "Autoencoder", "autoregressive"])
def mixed(request):
    options = {"likelihood": "autoregressive"} if request.param == "autoregressive" else {}
    kind = getattr(isthmus, "VAE" if options else request.param)
    return kind(2, hidden=(8,), epochs=2, random_state=0, device="cpu", **options).fit(MIXED)


def with_gaps() -> tuple[pd.DataFrame, np.ndarray]:
    gone = np.random.default_rng(1).random(MIXED.shape) < 0.3
    return MIXED.mask(gone).astype(MIXED.dtypes.to_dict()), gone


def test_observed_cells_stay_and_no_other_is_missing(mixed):
    rows, gone = with_gaps()
    for filled in (mixed.impute(rows), *mixed.impute(rows, draws=2)):
        assert filled.dtypes.equals(MIXED.dtypes)
        assert not filled.isna().any().any()
        for place, name in enumerate(MIXED):
            kept = ~gone[:, place]
            assert filled[name][kept].tolist() == MIXED[name][kept].tolist()
        assert set(filled.kind) <= {"a", "b"} and filled.day.between("2024-01-01", "2024-05-01").all()


def test_a_row_is_filled_in_by_itself(mixed):
    rows, _ = with_gaps()
    together = mixed.impute(rows)
    for row in (0, 17, 59):
        alone = mixed.impute(rows[row : row + 1])
        pd.testing.assert_frame_equal(alone, together[row : row + 1].reset_index(drop=True), check_exact=True)


def test_a_seed_decides_draws_and_they_differ(mixed):
    rows, gone = with_gaps()
    first, second = mixed.impute(rows, draws=2)
    assert first.equals(mixed.impute(rows, draws=2)[0])
    assert not first.equals(second)
    assert not first.equals(mixed.impute(rows, draws=2, random_state=7)[0])
    assert not first["real"][gone[:, 0]].equals(mixed.impute(rows)["real"][gone[:, 0]])


def test_what_was_never_seen_stays(mixed):
    """Categories that were not fitted, and numbers beyond the fitted ones, in every container."""
    rows, _ = with_gaps()
    rows = rows.assign(name=rows.name.where(rows.index != 3, "new"), real=rows.real.where(rows.index != 4, 1e9))
    for held in (rows, pa.Table.from_pandas(rows, preserve_index=False)):
        filled = pa.table(mixed.impute(held)).to_pandas()
        assert filled.name[3] == "new" and filled.real[4] == 1e9
    new = rows.assign(kind=rows.kind.cat.add_categories("new"))
    new.loc[5, "kind"] = "new"
    filled = mixed.impute(new)
    assert filled.kind[5] == "new" and filled.kind.cat.categories.tolist() == ["b", "a", "never", "new"]


@pytest.mark.parametrize("container", ["polars", "arrow", "array"])
def test_rows_come_in_the_container_that_was_fitted(container):
    frame = MIXED[["real", "single"]].astype(float)
    made = {"polars": pl.from_pandas(frame), "arrow": pa.table(frame), "array": frame.to_numpy()}[container]
    gap = frame.copy()
    gap.loc[2, "real"] = np.nan
    rows = {"polars": pl.from_pandas(gap), "arrow": pa.table(gap.to_dict("list")), "array": gap.to_numpy()}[container]
    filled = isthmus.VAE(1, hidden=(), epochs=1, random_state=0).fit(made).impute(rows)
    assert type(filled) is type(made)
    values = filled if container == "array" else np.column_stack([filled["real"], filled["single"]])
    assert np.isfinite(values[2, 0]) and np.array_equal(np.delete(values, 4), np.delete(frame.to_numpy(), 4))


def test_what_cannot_be_filled_in_is_said_in_one_line(mixed):
    images = DRAWS.integers(0, 255, (40, 5, 6)).astype(np.uint8)
    with pytest.raises(DataError, match="missing cells are those of tables and series; the model was fitted to images"):
        isthmus.VAE(2, hidden=(8,), epochs=1, random_state=0).fit(images).impute(images)
    with pytest.raises(OptionError, match="draws=0"):
        mixed.impute(MIXED, draws=0)
    with pytest.raises(DataError, match="'whole' should hold int64"):
        mixed.impute(MIXED.assign(whole=0.5))
    with pytest.raises(OptionError, match="mask_fraction hides cells of tables"):
        isthmus.VAE(2, hidden=(8,), epochs=1, mask_fraction=0.2).fit(images)


def test_a_table_without_gaps_is_given_back(mixed):
    assert mixed.impute(MIXED).equals(MIXED)
    assert mixed.impute(MIXED.assign(day=datetime.datetime(2024, 1, 2))).day.eq("2024-01-02").all()


def test_hidden_cells_are_marked_and_reconstructed():
    """With mask_fraction the encoder is told which cells are missing, also where none was when fitted."""
    rows = pd.DataFrame({"a": np.linspace(-1, 1, 64), "b": np.linspace(3, 5, 64)})
    plain, hiding = (
        isthmus.VAE(1, hidden=(4,), epochs=2, mask_fraction=share, random_state=0).fit(rows) for share in (0.0, 0.5)
    )
    x = torch.tensor([[0.0, torch.nan]])
    assert plain.model_.encoder.features(x).shape == (1, 2)
    assert hiding.model_.encoder.features(x)[0, 2:].tolist() == [0.0, 1.0]
    assert not np.allclose(plain.history_[-1]["train"]["kl"], hiding.history_[-1]["train"]["kl"])
