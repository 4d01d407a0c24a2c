"""Columns as tokens that attend to one another."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .networks import ACTIVATIONS

# Numbers that stand for a column, and the parts that they attend in.
TOKEN_WIDTH, HEADS = 32, 4
LAYERS = 2
# Products have as many terms as a multiple of this, so that no row's rounding depends on its neighbours (see
# `estimator.inference`).
VECTOR = 16


class ColumnTokens(nn.Module):
    """Features (..., features) → a token of each column, (..., columns, TOKEN_WIDTH): Σ feature · w + b over its own.

    A number is value · w + b, a category the w of its one-hot code, an embedding; a mark of a missing cell adds
    a token of its own (Gorishniy et al., 2021, https://arxiv.org/abs/2106.11959, Section 3.3). `features_of` says which
    features are each column's.
    """

    order: Tensor

    def __init__(self, features_of: Sequence[Sequence[int]]):
        super().__init__()
        groups: dict[int, list[int]] = {}
        for column, own in enumerate(features_of):
            groups.setdefault(math.ceil(math.log2(max(len(own), VECTOR))), []).append(column)
        alike = [groups[size] for size in sorted(groups)]
        self.groups = nn.ModuleList([_TokensOfGroup([features_of[column] for column in group]) for group in alike])
        order = torch.tensor([column for group in alike for column in group], dtype=torch.long).argsort()
        self.register_buffer("order", order, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        # One feature more, which is 0, stands where a column has fewer features than others of its group.
        filled = pad(features, (0, 1))
        return torch.cat([group(filled) for group in self.groups], dim=-2).index_select(-2, self.order)


class _TokensOfGroup(nn.Module):
    """Columns that have about as many features each."""

    index: Tensor  # the features of each column one after another, −1 for none, (columns · most features,)

    def __init__(self, features_of: Sequence[Sequence[int]]):
        super().__init__()
        self.columns = len(features_of)
        self.most = -(-max(len(own) for own in features_of) // VECTOR) * VECTOR
        index = torch.full((self.columns, self.most), -1)
        for place, own in enumerate(features_of):
            index[place, : len(own)] = torch.tensor(own)
        self.register_buffer("index", index.flatten(), persistent=False)
        spread = TOKEN_WIDTH**-0.5
        self.weight = nn.Parameter(spread * torch.randn(self.columns, self.most, TOKEN_WIDTH))
        self.bias = nn.Parameter(spread * torch.randn(self.columns, TOKEN_WIDTH))

    def forward(self, filled: Tensor) -> Tensor:
        index = self.index % filled.shape[-1]  # −1 is the last
        own = filled.index_select(-1, index).unflatten(-1, (self.columns, self.most))
        return torch.einsum("...cf,cfw->...cw", own, self.weight) + self.bias


class AttentionLayer(nn.Module):
    """x + attention(normalised x), then x + perceptron(normalised x), for tokens (..., columns, width)
    (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762; normalised before: Xiong et al., 2020)."""

    def __init__(self, width: int, heads: int, activation: str):
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.together = nn.Linear(width, 3 * width), nn.Linear(width, width)
        between = ACTIVATIONS[activation]()
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), between, nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.together(self._attended(self.first_norm(x)))
        return x + self.perceptron(self.second_norm(x))

    def _attended(self, x: Tensor) -> Tensor:
        parts = self.query_key_value(x).unflatten(-1, (3, self.heads, -1))  # (..., columns, 3, heads, width of a head)
        query, key, value = (part.transpose(-2, -3) for part in parts.unbind(-3))  # (..., heads, columns, width)
        weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
        return (weights @ value).transpose(-2, -3).flatten(-2)


class ColumnAttention(nn.Sequential):
    """Features (rows, features) → all columns' tokens, side by side, after they have attended to one another,
    (rows, columns · TOKEN_WIDTH)."""

    def __init__(self, features_of: Sequence[Sequence[int]], activation: str):
        layers = [AttentionLayer(TOKEN_WIDTH, HEADS, activation) for _ in range(LAYERS)]
        super().__init__(ColumnTokens(features_of), *layers, nn.LayerNorm(TOKEN_WIDTH), nn.Flatten(-2))
        self.outputs = len(features_of) * TOKEN_WIDTH
