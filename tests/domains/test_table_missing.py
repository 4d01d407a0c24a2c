"""Missing cells as part of a row: they add up to one with the cells, and new rows miss what real ones miss."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.table import Table

MODELLED = pytest.mark.parametrize("family", Table.likelihoods)


def likelihood(table: Table, rows: int):
    torch.manual_seed(0)
    decoder = table.decoder(3, NetworkOptions(hidden=(16,)))
    return decoder(torch.randn(1, 3).mul(3.0).expand(rows, 3))


@MODELLED
@pytest.mark.parametrize("values", [["a", "b", "b", None], [3, 4, 6, None], [True, False, None]])
def test_a_missing_cell_is_one_of_the_things_that_a_cell_may_be(family, values):
    table = Table.fit(pa.table({"x": values}), family, missing="modelled")
    every = [3, 4, 5, 6, None] if 3 in values else list(dict.fromkeys(values))
    made = likelihood(table, len(every)).log_prob(table.tensors(pa.table({"x": every})).float())
    assert made.exp().sum().item() == pytest.approx(1.0, abs=1e-3)


@MODELLED
def test_ignored_missing_cells_are_no_evidence_and_are_not_drawn(family):
    rows = pa.table({"x": [1.5, 2.5, None, 4.0], "y": ["a", None, "b", "b"]})
    table = Table.fit(rows, family, missing="ignored")
    scores = likelihood(table, 4).log_prob_per_feature(table.tensors(rows).float())
    assert scores[2, 0] == scores[1, 1] == 0.0
    assert not likelihood(table, 500).sample(Randomness(0)).isnan().any()


@MODELLED
def test_the_choice_is_kept_in_the_schema(family):
    rows = pa.table({"x": [1.5, 2.5, None, 4.0]})
    for choice in ("ignored", "modelled"):
        schema = Table.fit(rows, family, missing=choice).schema()
        assert Table.from_schema(schema).missing_modelled == (choice == "modelled")
    # Written before there was a choice.
    schema = {name: value for name, value in Table.fit(rows, family).schema().items() if name != "missing_modelled"}
    assert Table.from_schema(schema).missing_modelled == (family == "autoregressive")


def test_columns_without_missing_cells_and_empty_ones_have_no_say():
    rows = pa.table({"full": [1.5, 2.5, 4.0], "empty": pa.nulls(3, pa.float64()), "some": [1.0, None, 2.0]})
    table = Table.fit(rows, strict=False, missing="modelled")
    new = table.tensors(pa.table({"full": [None, 1.5], "empty": [None, None], "some": [2.0, None]})).float()
    scores = likelihood(table, 2).log_prob_per_feature(new)
    assert scores[0, 0] == 0.0 and (scores[:, 1] == 0.0).all() and (scores[:, 2] != 0.0).all()
    drawn = likelihood(table, 400).sample(Randomness(0)).isnan().float().mean(0)
    assert drawn[0] == 0.0 and drawn[1] == 1.0 and 0.0 < drawn[2] < 1.0


def test_new_rows_miss_cells_as_often_and_together():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"kind": rng.choice(["a", "b"], 600), "x": rng.normal(size=600), "y": rng.normal(size=600)})
    # Of one kind only, and both cells at once.
    rows.loc[(rows.kind == "a") & (rng.random(600) < 0.6), ["x", "y"]] = np.nan
    vae = isthmus.VAE(
        2, missing="modelled", epochs=100, batch_size=64, hidden=(32,), learning_rate=0.01, random_state=0
    ).fit(rows)
    new = vae.sample(2000)
    for frame in (rows, new):
        gone = frame.isna()
        assert gone.x.mean() == pytest.approx(0.3, abs=0.08)
        assert (gone.x == gone.y).mean() > 0.8  # 0.58 if they were independent
        assert gone.x[frame.kind == "a"].mean() > gone.x[frame.kind == "b"].mean() + 0.4
    assert not vae.reconstruct(rows).isna().any().any()
    # That a cell is missing is evidence: of a row of the other kind it is unheard of.
    odd = pd.DataFrame({"kind": ["a", "b"], "x": [np.nan] * 2, "y": [np.nan] * 2})
    assert np.diff(vae.score_samples(odd))[0] < -1.0


def test_who_cannot_have_it_says_so():
    with pytest.raises(OptionError, match="images have no missing cells"):
        isthmus.VAE(1, missing="modelled").fit(np.arange(60, dtype=np.uint8).reshape(3, 5, 4))
    rows = pd.DataFrame({"x": np.where(np.arange(40) % 5, np.arange(40.0), np.nan)})
    vae = isthmus.VAE(1, missing="modelled", epochs=1, hidden=(4,)).fit(rows)
    with pytest.raises(DataError, match="missing='modelled'"):
        vae.compress(rows)
