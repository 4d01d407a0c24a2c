"""Columns that attend to one another: against torch's own layer, and with every variant."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import isthmus
from isthmus import variants
from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import DomainNetworks, NetworkOptions
from isthmus.domains.table import MOST_ATTENDING, Table
from isthmus.parts.attention import HEADS, TOKEN_WIDTH, AttentionLayer, ColumnAttention, ColumnTokens
from isthmus.parts.networks import built
from isthmus.training.loop import train, train_together
from isthmus.training.run import Plan
from isthmus.variants.base import Variant


def frame(rows: int = 64) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    one = rng.normal(size=rows)
    numbers = pd.DataFrame({"length": one, "count": rng.poisson(np.exp(one)), "large": one > 0.5})
    numbers.loc[::7, "length"] = np.nan
    return numbers.assign(kind=rng.choice(["a", "b", None], rows), name=rng.choice([f"n{i}" for i in range(40)], rows))


def test_a_layer_is_that_of_torch():
    """The same numbers as torch.nn.TransformerEncoderLayer, normalised first, with the same weights."""
    torch.manual_seed(0)
    ours = AttentionLayer(TOKEN_WIDTH, HEADS, "relu")
    theirs = nn.TransformerEncoderLayer(
        TOKEN_WIDTH, HEADS, 2 * TOKEN_WIDTH, 0.0, batch_first=True, norm_first=True, activation="relu"
    )
    pairs = [
        (theirs.self_attn.in_proj_weight, ours.query_key_value.weight),
        (theirs.self_attn.in_proj_bias, ours.query_key_value.bias),
        (theirs.self_attn.out_proj.weight, ours.together.weight),
        (theirs.self_attn.out_proj.bias, ours.together.bias),
    ]
    first, _, second = ours.perceptron
    for layer, own in ((theirs.linear1, first), (theirs.linear2, second)):
        pairs += [(layer.weight, own.weight), (layer.bias, own.bias)]
    with torch.no_grad():
        for target, source in pairs:
            target.copy_(source)
        x = torch.randn(5, 9, TOKEN_WIDTH)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_a_token_is_made_of_its_own_columns_features_only():
    torch.manual_seed(0)
    features_of = [[0], [2, 3, 4], [1, 25], list(range(5, 25))]
    tokens = ColumnTokens(features_of)
    x = torch.randn(3, 26)
    for feature in range(26):
        moved = x.clone()
        moved[:, feature] += 1.0
        changed = (tokens(moved) - tokens(x)).abs().amax((0, 2)) > 1e-3
        assert changed.tolist() == [feature in own for own in features_of]
    # Value · w + b: linear but for what an empty row gives.
    none = tokens(torch.zeros(3, 26))
    torch.testing.assert_close(tokens(2 * x) - none, 2 * (tokens(x) - none), rtol=1e-4, atol=1e-4)


def test_every_feature_of_a_table_belongs_to_one_column():
    table = Table.fit(frame())
    features = table.features()
    assert sorted(feature for own in features.of_columns for feature in own) == list(range(features.count))
    x = table.tensors(frame()).float()[1:2]
    for column, own in enumerate(features.of_columns):
        gone = x.clone()
        gone[:, column] = torch.nan
        assert set((features(gone) != features(x))[0].nonzero().flatten().tolist()) <= set(own)


def model_of(name: str, table: Table, seed: int) -> Variant:
    networks = DomainNetworks(table, NetworkOptions(hidden=(8,), network="attention", activation="silu"))
    kind = variants.find(name)
    model = built(lambda: kind(networks, 2, kind.Options()), Randomness(seed, "model"))
    assert isinstance(model, Variant)
    assert any(isinstance(layer, ColumnAttention) for layer in model.modules())
    return model


@pytest.mark.parametrize("name", variants.names())
def test_every_variant_trains_with_it_alone_and_in_a_stack(name):
    table = Table.fit(frame())
    x = table.tensors(frame()).float()
    plans = [Plan(2, 32, 1e-3, seed=seed, compiled=False) for seed in range(2)]
    alone, together = ([model_of(name, table, seed) for seed in range(2)] for _ in range(2))
    before = [parameter.detach().clone() for parameter in together[0].encoder.parameters()]
    for model, plan in zip(alone, plans, strict=True):
        train(model, x, None, plan, table.draw)
    train_together(together, x, None, plans, table.draw)
    assert all((old != new).any() for old, new in zip(before, together[0].encoder.parameters(), strict=True))
    for one, other in zip(alone, together, strict=True):
        for first, second in zip(one.parameters(), other.parameters(), strict=True):
            # Four steps of Adam, each of at most 0.001: rounding alone moves a number by far less than one of them.
            torch.testing.assert_close(first, second, rtol=0, atol=5e-4)


def test_an_estimator_keeps_it_and_rows_do_not_depend_on_their_neighbours(tmp_path):
    rows = frame(100)
    vae = isthmus.VAE(3, network="attention", hidden=(16,), epochs=2, random_state=0).fit(rows)
    codes = vae.transform(rows)
    np.testing.assert_array_equal(vae.transform(rows.iloc[::-1])[::-1], codes)
    np.testing.assert_array_equal(vae.transform(rows.iloc[7:8]), codes[7:8])
    vae.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(isthmus.load(tmp_path / "m.safetensors").transform(rows), codes)
    with pytest.raises(DataError, match="cannot code rows"):
        vae.compress(rows)


def test_who_cannot_have_it_says_so():
    with pytest.raises(OptionError, match="network='attention' is for tables"):
        isthmus.VAE(2, network="attention").fit(np.arange(80, dtype=np.uint8).reshape(4, 5, 4))
    wide = np.random.default_rng(0).normal(size=(10, MOST_ATTENDING + 1))
    with pytest.raises(OptionError, match=f"up to {MOST_ATTENDING} columns; this table has {MOST_ATTENDING + 1}"):
        isthmus.VAE(2, network="attention").fit(wide)
