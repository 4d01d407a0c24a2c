"""What networks see of texts, and the encoder that reads them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from ...parts.recurrence import Part, Recurrence, in_parts

# The spread of initial weights of symbols, which are looked up and not multiplied.
FIRST_SPREAD = 0.1


@dataclass(frozen=True)
class Written:
    """A batch of texts as symbols."""

    symbols: Tensor  # (rows, steps) whole numbers; the last of the alphabet, `count`, is one that is hidden
    lengths: Tensor  # (rows,) how many symbols of each there are
    ended: Tensor  # (rows,) whether the text is known to end there

    @classmethod
    def of(cls, x: Tensor, count: int) -> "Written":
        """Rows (rows, 1 + steps): the length, NaN where a text goes on, and the symbols, NaN for a hidden one."""
        cells, observed = x[:, 1:], ~x[:, 1:].isnan()
        places = torch.arange(1, cells.shape[1] + 1, device=x.device)
        last = (observed * places).amax(-1)
        known = ~x[:, 0].isnan()
        lengths = torch.where(known, x[:, 0].nan_to_num(0.0).round().long().clamp(0, cells.shape[1]), last)
        symbols = torch.where(observed, cells.nan_to_num(0.0), float(count)).round().long().clamp(0, count)
        return cls(symbols, lengths, known)


class TextFeatures(nn.Module):
    """Texts (rows, 1 + steps) → floats of the same shape: `count` where a symbol is hidden and −1 beyond the end; for a
    length that is not known, one more than there can be."""

    def __init__(self, count: int, steps: int):
        super().__init__()
        self.count, self.steps = count, steps

    def forward(self, x: Tensor) -> Tensor:
        text = Written.of(x, self.count)
        beyond = torch.arange(self.steps, device=x.device) >= text.lengths.unsqueeze(-1)
        lengths = torch.where(text.ended, text.lengths, self.steps + 1)
        return torch.cat([lengths.unsqueeze(-1).float(), text.symbols.masked_fill(beyond, -1).float()], -1)

    def inverse(self, features: Tensor) -> Tensor:
        """The texts nearest to such features."""
        lengths, symbols = features[..., :1].round(), features[..., 1:].round()
        going_on = lengths > self.steps
        lengths = torch.where(going_on, torch.nan, lengths.clamp(0, self.steps))
        symbols = symbols.clamp(0, self.count)
        places = torch.arange(self.steps, device=features.device)
        gone = (symbols == self.count) | (places >= lengths)
        gone |= going_on & (features[..., 1:] < -0.5)
        return torch.cat([lengths, symbols.masked_fill(gone, torch.nan)], -1)


class TextEncoder(nn.Module):
    """Features → outputs: a text is read forwards and backwards; the mean and the last of the states, and the mean of
    what its symbols alone say, are what outputs are made of."""

    def __init__(self, features: TextFeatures, width: int, outputs: int):
        super().__init__()
        self.count = features.count
        self.forwards, self.backwards = Reader(self.count, width), Reader(self.count, width)
        self.symbols = nn.Parameter(FIRST_SPREAD * torch.randn(self.count + 1, width))
        self.out = nn.Linear(5 * width + 1, outputs)

    def forward(self, features: Tensor) -> Tensor:
        symbols = features[:, 1:].round().long()
        lengths = (symbols >= 0).sum(-1)
        symbols = symbols.clamp(0, self.count)
        places = torch.arange(symbols.shape[1], device=features.device)
        last_first = symbols.gather(-1, (lengths.unsqueeze(-1) - 1 - places).clamp_min(0))
        said = []
        for part in in_parts(lengths, steady=not self.training):
            own, length = symbols[part.numbers, : len(part.going)], lengths[part.numbers]
            states = self.forwards(own, length, part), self.backwards(last_first[part.numbers], length, part)
            bag = _mean(embedding(own, self.symbols).flatten(0, 1), own.shape, length)
            said.append((part.numbers, torch.cat([*states, bag, torch.log1p(length.unsqueeze(-1).float())], -1)))
        numbers, parts = (torch.cat(each) for each in zip(*said, strict=True))
        # Sequences that fill up a part have the result that they have where they stand.
        return self.out(parts.new_zeros(len(features), parts.shape[-1]).index_put((numbers,), parts))


def _mean(vectors: Tensor, shape: torch.Size, lengths: Tensor) -> Tensor:
    """The mean of the first `lengths` of each row's vectors (rows · steps, width), (rows, width)."""
    rows, steps = shape
    going = torch.arange(steps, device=lengths.device) < lengths.unsqueeze(-1)
    total = (vectors.unflatten(0, (rows, steps)) * going.unsqueeze(-1)).sum(1)
    return total / lengths.clamp_min(1).unsqueeze(-1)


class Reader(nn.Module):
    """Symbols (rows, steps) → the mean of a recurrence's states and the last one, side by side, (rows, 2 width)."""

    def __init__(self, count: int, width: int):
        super().__init__()
        self.given = nn.Parameter(FIRST_SPREAD * torch.randn(count + 1, 3 * width))
        self.recurrence = Recurrence(width)

    def forward(self, symbols: Tensor, lengths: Tensor, part: Part) -> Tensor:
        start = self.given.new_zeros(len(symbols), self.recurrence.width)
        states = self.recurrence.states(
            lambda step, going: embedding(symbols[:going, step], self.given), start, part
        )
        if not len(states):
            return torch.cat([start, start], -1)
        rows = part.rows
        counted = (part.steps < lengths[rows]).unsqueeze(-1)
        total = start.index_add(0, rows, states * counted)
        last = states[part.places((lengths - 1).clamp_min(0))] * (lengths > 0).unsqueeze(-1)
        return torch.cat([total / lengths.clamp_min(1).unsqueeze(-1), last], -1)
