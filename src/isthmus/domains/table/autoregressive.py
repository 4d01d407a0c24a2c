"""p(row | code) of a table, column by column: each given the code and the columns before it.

A neural autoregressive estimator (Larochelle & Murray, 2011, http://proceedings.mlr.press/v15/larochelle11a.html) over
symbols, with the code beside the columns before: h_j = h(z) + Σ_{i<j} (E_i[symbol_i] + v_i y_i) + b_j, and
p(symbol_j | z, columns before) = softmax(W_j relu(h_j) + c_j). A number's symbol is a range; y_i is the number itself,
or the rank of an ordered category. A decoder that sees so much has no need of codes, and learns to do without (Bowman
et al., 2016, https://arxiv.org/abs/1511.06349). So half of what training raises is the likelihood of each column given
the code alone, with another b_j and no sum; it is also what reconstructions are read from.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from ...core.randomness import Randomness
from ...parts.distributions import Categorical
from ...parts.likelihood import Likelihood
from ...parts.networks import ACTIVATIONS
from .bins import Bins
from .columns import Column
from .evidence import Evidence, Expectations
from .symbols import Symbols

# The share of each column given the code alone in the loss of training.
ALONE = 0.5
# Tables of more columns than this have a fourth of the hidden units and half of the symbols: time and memory of a cell
# grow with the product.
MOST_COLUMNS = 128
# Alphabets are filled up to multiples of this, so that no row's rounding depends on its neighbours (see
# `estimator.inference`).
VECTOR = 16
# Columns whose logits are in memory together, at most.
MOST_TOGETHER = 64
# Draws of each row whose unknown cells are told from all others, and the widest tables for which that is done: it takes
# time with the square of the columns.
REFINED, MOST_REFINED_COLUMNS = 8, 64
# Spreads of initial weights: of all contexts together, and of what reads them.
FIRST_CONTEXT, FIRST_WEIGHT = 0.4, 0.3


class ContextForm(BaseModel):
    """What a model says of how columns tell those after them what they hold; the defaults are those of files of before
    it was said."""

    model_config = ConfigDict(extra="forbid")
    # Hidden units that each column's symbols are told from, at most.
    units: int = Field(default=128, ge=1, le=128)
    # Whether numbers tell where within their symbol they lie.
    within: bool = False

    @classmethod
    def of(cls, columns: int) -> "ContextForm":
        """The form for tables of so many columns: a fourth of the units where there are many."""
        return cls(units=32 if columns > MOST_COLUMNS else 128, within=True)


class AutoregressiveHead(nn.Module):
    """Decoder outputs (..., rows, outputs) → the likelihood of tables."""

    offset: Tensor  # where each column's contexts start
    owner: Tensor  # the column of each context
    middle: Tensor  # and where its symbol lies among those of its column
    grouped: Tensor  # the columns, one alphabet's after another's
    order: Tensor  # where each column is among those

    def __init__(
        self,
        columns: Sequence[Column],
        bins: Sequence[Bins],
        hidden: int,
        activation: str,
        missing_modelled: bool,
        form: ContextForm,
    ):
        super().__init__()
        self.outputs = hidden
        self.symbols = Symbols(columns, bins, missing_modelled)
        self.expectations = Expectations(columns)
        self.activation = ACTIVATIONS[activation]()
        sizes = self.symbols.sizes
        # The last column comes before none.
        before = sum(sizes[:-1])
        spread = FIRST_CONTEXT / math.sqrt(max(len(sizes), 1))
        self.context = nn.Parameter(spread * torch.randn(before, hidden)) if before else None
        # How a context changes along scaled numbers, and along ranks.
        self.slope = nn.Parameter(torch.zeros(len(sizes) - 1, hidden)) if before and form.within else None
        self.context_bias = nn.Parameter(torch.zeros(len(sizes), hidden))
        self.bias = nn.Parameter(torch.zeros(len(sizes), hidden))  # of columns given the code alone
        owner = np.repeat(np.arange(len(sizes) - 1), sizes[:-1]) if before else []
        middle = [self.symbols.places(column) for column in range(len(sizes) - 1)]
        for name, values in {
            "offset": torch.tensor([0, *np.cumsum(sizes[:-2])][: len(sizes) - 1], dtype=torch.long),
            "owner": torch.tensor(owner, dtype=torch.long),
            "middle": torch.cat([torch.zeros(0), *middle]),
        }.items():
            self.register_buffer(name, values, persistent=False)
        groups = _groups(sizes)
        self.groups = nn.ModuleList([Alphabets(group, hidden, self.symbols) for group in groups])
        self.place = {column: (g, place) for g, group in enumerate(groups) for place, column in enumerate(group)}
        grouped = [column for group in groups for column in group]
        self.register_buffer("grouped", torch.tensor(grouped, dtype=torch.long), persistent=False)
        self.register_buffer("order", self.grouped.argsort(), persistent=False)

    @property
    def alphabets(self) -> Iterator["Alphabets"]:
        for group in self.groups:
            assert isinstance(group, Alphabets)
            yield group

    def forward(self, outputs: Tensor) -> "AutoregressiveLikelihood":
        return AutoregressiveLikelihood(self, outputs)

    def logits(self, hidden: Tensor) -> Iterator[tuple["Alphabets", Tensor]]:
        """Logits (..., columns of the group, width) of each group of columns, from hidden units (..., columns, hidden).

        Picked for all groups at once: each pick alone would cost the memory of all columns when gradients go back.
        """
        sizes = [len(group.index) for group in self.alphabets]
        for group, own in zip(self.alphabets, hidden.index_select(-2, self.grouped).split(sizes, dim=-2), strict=True):
            yield group, group(own)

    def contexts(self) -> Tensor:
        """What symbols tell the columns after them, those of all columns but the last: (symbols, hidden)."""
        assert self.context is not None
        return self.context if self.slope is None else self.context + self.middle.unsqueeze(-1) * self.slope[self.owner]

    def aside(self, x: Tensor, symbols: Tensor) -> Tensor | None:
        """What cells of rows (rows, columns of the table) tell beside their symbols, (rows, columns, hidden)."""
        if self.slope is None:
            return None
        off = self.symbols.scaled(x)[..., :-1] - self.middle[symbols[..., :-1] + self.offset]
        return off.nan_to_num(0.0).to(self.slope.dtype).unsqueeze(-1) * self.slope

    def context_of(self, symbols: Tensor, aside: Tensor | None) -> Tensor:
        """What each column knows beside the code, (rows, columns, hidden), for symbols (rows, columns)."""
        first = self.bias.new_zeros(*symbols.shape[:-1], 1, self.outputs)
        if self.context is None:
            return first + self.context_bias
        known = embedding(symbols[..., :-1] + self.offset, self.contexts())
        known = known if aside is None else known + aside
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
        known = self.head.context_of(symbols, self.head.aside(x, symbols)) if self.context else self.head.bias
        logs = self._symbol_log_prob(symbols, known)
        return self.head.symbols.log_prob(x, logs, share, beside)

    def objective(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """The mean of `log_prob` and of that without context, weighted. What was hidden from the encoder is missing to
        later columns, too, where cells of its column may be missing."""
        head = self.head
        symbols, share, beside = head.symbols(x)
        told, marks = x, symbols
        if seen is not None and seen is not x:
            told = torch.where(head.symbols.may_be_missing, seen, x)
            marks = head.symbols(told)[0]
        with_context = self._symbol_log_prob(symbols, head.context_of(marks, head.aside(told, marks)))
        logs = torch.lerp(with_context, self._symbol_log_prob(symbols, head.bias), ALONE)
        return self.head.symbols.log_prob(x, logs, share, beside).sum(-1)

    def sample(self, randomness: Randomness) -> Tensor:
        """Rows, float64, so that values which are frequent in the fitted rows are drawn bit for bit."""
        head, total = self.head, self.outputs
        bias = head.context_bias if self.context else head.bias
        contexts = head.contexts() if self.context and head.context is not None else None
        drawn, numbers = [], {}
        for column in range(len(head.symbols.sizes)):
            symbol = Categorical(head.column_logits(column, total + bias[column])).sample(randomness).long()
            drawn.append(symbol)
            if contexts is not None and column < len(head.offset):
                total = total + embedding(symbol + head.offset[column], contexts)
                number = head.symbols.draw_number(column, symbol, randomness, None) if head.slope is not None else None
                if head.slope is not None and number is not None:
                    numbers[column], off = number
                    total = total + off.to(total.dtype).unsqueeze(-1) * head.slope[column]
        symbols = torch.stack(drawn, dim=-1) if drawn else self.outputs.new_zeros(*self.outputs.shape[:-1], 0).long()
        cells = head.symbols.draw(symbols, randomness)
        for column, own in numbers.items():
            cells[..., int(head.symbols.index[column])] = own
        return cells

    def completed(self, evidence: Evidence, randomness: Randomness) -> tuple[Tensor, Tensor]:
        """Rows (..., rows, columns), float64, with the unknown cells drawn column by column, and log-weights (...,
        rows): each known cell's probability, given the columns before it.

        A draw knows the evidence of earlier columns, not that of later ones: its weight makes up for them (sequential
        importance sampling).
        """
        drawn, numbers, log_weight = self._drawn(evidence, randomness)
        symbols = self.head.symbols
        cells = symbols.draw(drawn, randomness)
        for column, within in symbols.ranges(evidence).items():
            if column not in numbers:
                numbers[column] = within.draw(drawn[..., column], randomness)
        for column, own in numbers.items():
            cells[..., int(symbols.index[column])] = own
        return evidence.imposed_on(cells), log_weight

    def expected(self, evidence: Evidence, log_ratio: Tensor, randomness: Randomness) -> Tensor:
        """What `Expectations` averages, (rows, expectations), over draws (draws, rows) that are weighted by
        exp(log_ratio) and by the known cells.

        Of a few draws, resampled by weight, each unknown cell's own distribution given all other cells of the draw is
        averaged, later ones included, and not the cell itself, which would be noisy (Rao–Blackwell); then it is drawn
        anew from it (one sweep of Gibbs sampling). In half of the draws the other unknown cells are missing instead, in
        columns where the model knows what that is: what the network makes of gaps and what sampling makes of them err
        in different ways.
        """
        drawn, _, log_weight = self._drawn(evidence, randomness)
        weights = (log_ratio + log_weight).softmax(0)
        columns = self.head.expectations
        if drawn.shape[-1] > MOST_REFINED_COLUMNS:
            cells = evidence.imposed_on(self.head.symbols.draw(drawn, randomness))
            return (weights.unsqueeze(-1) * columns.of_cells(cells)).sum(0)
        at = (torch.arange(REFINED, device=weights.device) + 0.5) / REFINED
        chosen = torch.searchsorted(
            weights.T.cumsum(-1).contiguous(), at.expand(weights.shape[1], -1).contiguous().double()
        )
        chosen = chosen.clamp(max=len(weights) - 1).T.unsqueeze(-1)  # (refined, rows, 1)
        outputs = self.outputs.gather(0, chosen.expand(-1, -1, self.outputs.shape[-1]))
        drawn = drawn.gather(0, chosen.expand(-1, -1, drawn.shape[-1]))
        gaps = self._gaps(evidence)
        drawn[: REFINED // 2] = torch.where(gaps >= 0, gaps, drawn[: REFINED // 2])
        return self._refined(outputs, drawn, evidence, randomness)

    def _gaps(self, evidence: Evidence) -> Tensor:
        """The symbol of each unknown cell (rows, columns with symbols) that is left missing; −1 elsewhere."""
        symbols = self.head.symbols
        return symbols.missing.where(evidence.cells.index_select(-1, symbols.index).isnan(), -1)

    def _refined(self, outputs: Tensor, drawn: Tensor, evidence: Evidence, randomness: Randomness) -> Tensor:
        """`expected`, given the draws' decoder outputs (draws, rows, outputs) and symbols (draws, rows, columns)."""
        head, symbols = self.head, self.head.symbols
        aside = head.aside(evidence.cells.to(outputs.dtype), drawn)
        known = outputs.unsqueeze(-2) + head.context_of(drawn, aside)  # (draws, rows, columns, hidden)
        gaps, drawn = self._gaps(evidence), drawn.clone()
        pieces = head.expectations.split(head.expectations.of_cells(evidence.cells))
        for column, place in enumerate(symbols.index.tolist()):
            rows = torch.nonzero(evidence.cells[:, place].isnan()).flatten()
            if not len(rows):
                continue
            logits = head.column_logits(column, known[:, rows, column]).double()
            if symbols.missing[column] >= 0:
                logits[..., -1] = -torch.inf
            logs = logits.log_softmax(-1)
            change = None
            if head.context is not None and column < len(head.offset):
                start = int(head.offset[column])
                each = head.contexts()[start : start + logits.shape[-1]]
                change = each - each[drawn[:, rows, column]].unsqueeze(-2)  # (draws, rows, symbols, hidden)
                for later in range(column + 1, len(symbols.sizes)):
                    told = head.column_logits(later, known[:, rows, later].unsqueeze(-2) + change).log_softmax(-1)
                    there = drawn[:, rows, later]
                    told = told.gather(-1, there[..., None, None].expand(*logs.shape, 1)).squeeze(-1)
                    logs = logs + told.masked_fill((there == gaps[rows, later]).unsqueeze(-1), 0.0)
            pieces[place][rows] = symbols.expectation(column, logs.softmax(-1).mean(0))
            if change is not None:
                now = drawn[:, rows, column]
                new = torch.where(now == gaps[rows, column], now, Categorical(logs).sample(randomness).long())
                step = change.gather(-2, new[..., None, None].expand(*new.shape, 1, change.shape[-1]))
                known[:, rows, column + 1 :] += step
                drawn[:, rows, column] = new
        return torch.cat(pieces, dim=-1)

    def _drawn(self, evidence: Evidence, randomness: Randomness) -> tuple[Tensor, dict[int, Tensor], Tensor]:
        """Symbols (..., rows, columns with symbols), the unknown ones drawn, numbers (..., rows) of columns for which
        the symbol alone did not say enough, and the log-weights of `completed`."""
        head, total, symbols = self.head, self.outputs, self.head.symbols
        bias = head.context_bias if self.context else head.bias
        known, share, beside = symbols(evidence.cells.to(total.dtype))
        contexts = head.contexts() if self.context and head.context is not None else None
        aside = head.aside(evidence.cells.to(total.dtype), known)
        numbers: dict[int, Tensor] = {}
        given = ~evidence.cells.index_select(-1, symbols.index).isnan()
        ranges = symbols.ranges(evidence)
        log_weight = torch.zeros(total.shape[:-1], dtype=torch.float64, device=total.device)
        drawn = []
        for column in range(len(symbols.sizes)):
            logits = head.column_logits(column, total + bias[column]).double()
            if evidence.filled and symbols.missing[column] >= 0:
                logits[..., -1] = -torch.inf
            logs = logits.log_softmax(-1)
            if column in ranges:
                logs = logs + _padded(ranges[column].log_share, logs.shape[-1], -torch.inf)
                log_weight = log_weight + logs.logsumexp(-1)
                # Where no symbol has any of the range the weight says so, and any symbol will do.
                logs = logs.clamp(min=-1e300)
            symbol = Categorical(logs).sample(randomness).long()
            told = known[..., column].expand_as(symbol)
            cell = logs.gather(-1, told.unsqueeze(-1)).squeeze(-1) + share[..., column]
            observed = given[..., column]
            log_weight = log_weight + torch.logaddexp(cell, beside[..., column].double()).masked_fill(~observed, 0.0)
            symbol = torch.where(observed, told, symbol)
            drawn.append(symbol)
            if contexts is not None and column < len(head.offset):
                total = total + embedding(symbol + head.offset[column], contexts)
                if aside is not None and head.slope is not None:
                    total = total + aside[..., column, :]
                    number = symbols.draw_number(column, symbol, randomness, ranges.get(column))
                    if number is not None:
                        numbers[column], off = number
                        off = off.masked_fill(observed, 0.0).to(total.dtype)
                        total = total + off.unsqueeze(-1) * head.slope[column]
        none = symbols.index.new_zeros(*self.outputs.shape[:-1], 0)
        return torch.stack(drawn, dim=-1) if drawn else none, numbers, log_weight

    def mode(self) -> Tensor:
        """Of each column given the codes alone: the expected value of numbers, the most probable category. No cell is
        missing."""
        hidden = self.head.activation(self.outputs.unsqueeze(-2) + self.head.bias)
        numbers, codes = [], []
        for group, logits in self.head.logits(hidden):
            logits = logits.masked_fill(group.unobserved, -torch.inf)
            numbers.append((logits.softmax(-1) * group.centre).sum(-1))
            codes.append(logits.argmax(-1))
        return self.head.symbols.guess(self._in_order(numbers), self._in_order(codes))

    def _symbol_log_prob(self, symbols: Tensor, known: Tensor) -> Tensor:
        """Log-probabilities (..., rows, columns) of symbols (rows, columns), given what is known of each beside the
        code, (rows, columns, hidden)."""
        hidden = self.head.activation(self.outputs.unsqueeze(-2) + known)  # (..., rows, columns, hidden)
        logs = [
            Categorical(logits).log_prob(symbols.index_select(-1, group.index))
            for group, logits in self.head.logits(hidden)
        ]
        return self._in_order(logs)

    def _in_order(self, pieces: list[Tensor]) -> Tensor:
        """Groups' results (..., columns of the group) → (..., columns with symbols)."""
        if not pieces:
            return self.outputs.new_zeros(*self.outputs.shape[:-1], 0)
        return torch.cat(pieces, dim=-1).index_select(-1, self.head.order)


def _padded(values: Tensor, width: int, filling: float = 0.0) -> Tensor:
    return pad(values, (0, width - len(values)), value=filling)
