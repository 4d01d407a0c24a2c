"""p(row | code) of a table, column by column: each given the code and the columns before it.

A neural autoregressive estimator (Larochelle & Murray, 2011, http://proceedings.mlr.press/v15/larochelle11a.html) over
symbols, with the code beside the columns before: h_j = h(z) + Σ_{i<j} E_i[symbol_i] + b_j, and p(symbol_j | z, columns
before) = softmax(W_j relu(h_j) + c_j). A decoder that sees so much has no need of codes, and learns to do without
(Bowman et al., 2016, https://arxiv.org/abs/1511.06349). So half of what training raises is the likelihood of each
column given the code alone, with another b_j and no sum; it is also what reconstructions are read from.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from ...core.randomness import Randomness
from ...parts.distributions import Categorical
from ...parts.likelihood import Likelihood
from ...parts.networks import ACTIVATIONS
from .bins import Bins
from .columns import Column
from .symbols import Symbols

# The share of each column given the code alone in the loss of training.
ALONE = 0.5
# Hidden units that each column's symbols are told from, at most.
MOST_HIDDEN = 128
# Alphabets are filled up to multiples of this, so that no row's rounding depends on its neighbours (see
# `estimator.inference`).
VECTOR = 16
# Columns whose logits are in memory together, at most.
MOST_TOGETHER = 64
# Spreads of initial weights: of all contexts together, and of what reads them.
FIRST_CONTEXT, FIRST_WEIGHT = 0.4, 0.3


class AutoregressiveHead(nn.Module):
    """Decoder outputs (..., rows, outputs) → the likelihood of tables."""

    offset: Tensor  # where each column's contexts start
    order: Tensor

    def __init__(
        self,
        columns: Sequence[Column],
        bins: Sequence[Bins],
        hidden: int,
        activation: str,
        missing_modelled: bool = True,
    ):
        super().__init__()
        self.outputs = hidden
        self.symbols = Symbols(columns, bins, missing_modelled)
        self.activation = ACTIVATIONS[activation]()
        sizes = self.symbols.sizes
        # The last column comes before none.
        before = sum(sizes[:-1])
        spread = FIRST_CONTEXT / math.sqrt(max(len(sizes), 1))
        self.context = nn.Parameter(spread * torch.randn(before, hidden)) if before else None
        self.context_bias = nn.Parameter(torch.zeros(len(sizes), hidden))
        self.bias = nn.Parameter(torch.zeros(len(sizes), hidden))  # of columns given the code alone
        self.register_buffer(
            "offset", torch.tensor([0, *np.cumsum(sizes[:-2])][: len(sizes) - 1]).long(), persistent=False
        )
        groups = _groups(sizes)
        self.groups = nn.ModuleList([Alphabets(group, hidden, self.symbols) for group in groups])
        self.place = {column: (g, place) for g, group in enumerate(groups) for place, column in enumerate(group)}
        order = np.argsort([column for group in groups for column in group])
        self.register_buffer("order", torch.tensor(order, dtype=torch.long), persistent=False)

    @property
    def alphabets(self) -> Iterator["Alphabets"]:
        for group in self.groups:
            assert isinstance(group, Alphabets)
            yield group

    def forward(self, outputs: Tensor) -> "AutoregressiveLikelihood":
        return AutoregressiveLikelihood(self, outputs)

    def context_of(self, symbols: Tensor) -> Tensor:
        """What each column knows beside the code, (rows, columns, hidden), for symbols (rows, columns)."""
        first = self.bias.new_zeros(*symbols.shape[:-1], 1, self.outputs)
        if self.context is None:
            return first + self.context_bias
        known = embedding(symbols[..., :-1] + self.offset, self.context)
        return torch.cat([first, known.cumsum(-2)], dim=-2) + self.context_bias

    def column_logits(self, column: int, known: Tensor) -> Tensor:
        """Logits (..., symbols) of one column, given the sum of all that it knows, (..., hidden)."""
        group, place = self.place[column]
        alphabets = self.groups[group]
        assert isinstance(alphabets, Alphabets)
        return alphabets.of(place, self.activation(known))


class Alphabets(nn.Module):
    """Logits of several columns' symbols, from what is known of each."""

    index: Tensor
    beyond: Tensor
    unobserved: Tensor
    centre: Tensor

    def __init__(self, columns: Sequence[int], hidden: int, symbols: Symbols):
        super().__init__()
        shares = [symbols.shares[column] for column in columns]
        self.sizes = [len(share) for share in shares]
        width = -(-max(self.sizes) // VECTOR) * VECTOR
        self.weight = nn.Parameter(torch.randn(len(shares), hidden, width) * FIRST_WEIGHT / math.sqrt(hidden))
        # To begin with, symbols are as frequent as in the fitted rows.
        self.bias = nn.Parameter(
            torch.stack([_padded(torch.from_numpy(share).log().float(), width) for share in shares])
        )
        index = torch.tensor(columns, dtype=torch.long)
        beyond = torch.arange(width) >= torch.tensor(self.sizes).unsqueeze(-1)
        for name, values in {
            "index": index,
            "beyond": beyond,
            "unobserved": beyond | (torch.arange(width) == symbols.missing[index].unsqueeze(-1)),
            "centre": torch.stack([_padded(symbols.centres(column), width) for column in columns]),
        }.items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., columns, hidden) → logits (..., columns, width), −∞ beyond each alphabet."""
        logits = torch.einsum("...ch,chs->...cs", hidden, self.weight) + self.bias
        return logits.masked_fill(self.beyond, -torch.inf)

    def of(self, place: int, hidden: Tensor) -> Tensor:
        """Logits (..., symbols) of one column."""
        size = self.sizes[place]
        return (hidden @ self.weight[place] + self.bias[place])[..., :size]


def _groups(sizes: Sequence[int]) -> list[list[int]]:
    """Columns with alphabets of about one size."""
    groups: dict[int, list[list[int]]] = {}
    for column, size in enumerate(sizes):
        alike = groups.setdefault(math.ceil(math.log2(max(size, VECTOR))), [[]])
        if len(alike[-1]) == MOST_TOGETHER:
            alike.append([])
        alike[-1].append(column)
    return [group for _, alike in sorted(groups.items()) for group in alike]


class AutoregressiveLikelihood(Likelihood):
    """Each column given the codes and the columns before it, in the table's order.

    A missing cell is one of the things that a cell may be, where cells of its column were missing in the fitted rows;
    unless missing cells are to be ignored.
    Whole numbers, categories and missing cells have probabilities, real numbers densities of scaled numbers.
    """

    def __init__(self, head: AutoregressiveHead, outputs: Tensor, context: bool = True):
        self.head, self.outputs, self.context = head, outputs, context

    def without_context(self) -> "AutoregressiveLikelihood":
        return AutoregressiveLikelihood(self.head, self.outputs, context=False)

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        symbols, share, beside = self.head.symbols(x)
        logs = self._symbol_log_prob(symbols, self.context)
        return self.head.symbols.log_prob(x, logs, share, beside)

    def objective(self, x: Tensor) -> Tensor:
        """The mean of `log_prob` and of that without context, weighted."""
        symbols, share, beside = self.head.symbols(x)
        logs = torch.lerp(self._symbol_log_prob(symbols, True), self._symbol_log_prob(symbols, False), ALONE)
        return self.head.symbols.log_prob(x, logs, share, beside).sum(-1)

    def sample(self, randomness: Randomness) -> Tensor:
        """Rows, float64, so that values which are frequent in the fitted rows are drawn bit for bit."""
        head, total = self.head, self.outputs
        bias = head.context_bias if self.context else head.bias
        drawn = []
        for column in range(len(head.symbols.sizes)):
            symbol = Categorical(head.column_logits(column, total + bias[column])).sample(randomness).long()
            drawn.append(symbol)
            if self.context and head.context is not None and column < len(head.offset):
                total = total + embedding(symbol + head.offset[column], head.context)
        symbols = torch.stack(drawn, dim=-1) if drawn else self.outputs.new_zeros(*self.outputs.shape[:-1], 0).long()
        return head.symbols.draw(symbols, randomness)

    def mode(self) -> Tensor:
        """Of each column given the codes alone: the expected value of numbers, the most probable category. No cell is
        missing."""
        hidden = self.head.activation(self.outputs.unsqueeze(-2) + self.head.bias)
        numbers, codes = [], []
        for group in self.head.alphabets:
            logits = group(hidden.index_select(-2, group.index)).masked_fill(group.unobserved, -torch.inf)
            numbers.append((logits.softmax(-1) * group.centre).sum(-1))
            codes.append(logits.argmax(-1))
        return self.head.symbols.guess(self._in_order(numbers), self._in_order(codes))

    def _symbol_log_prob(self, symbols: Tensor, context: bool) -> Tensor:
        """Log-probabilities (..., rows, columns) of symbols (rows, columns)."""
        known = self.head.context_of(symbols) if context else self.head.bias
        hidden = self.head.activation(self.outputs.unsqueeze(-2) + known)  # (..., rows, columns, hidden)
        logs = [
            Categorical(group(hidden.index_select(-2, group.index))).log_prob(symbols.index_select(-1, group.index))
            for group in self.head.alphabets
        ]
        return self._in_order(logs)

    def _in_order(self, pieces: list[Tensor]) -> Tensor:
        """Groups' results (..., columns of the group) → (..., columns with symbols)."""
        if not pieces:
            return self.outputs.new_zeros(*self.outputs.shape[:-1], 0)
        return torch.cat(pieces, dim=-1).index_select(-1, self.head.order)


def _padded(values: Tensor, width: int) -> Tensor:
    return pad(values, (0, width - len(values)))
