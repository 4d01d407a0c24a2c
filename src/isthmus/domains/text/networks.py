"""What networks see of texts, and the encoder that reads them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from ...parts.networks import ACTIVATIONS, Perceptron
from ...parts.recurrence import in_parts

# The spread of initial weights of symbols, which are looked up and not multiplied.
FIRST_SPREAD = 0.1
# Symbols that are looked at together, an odd number.
WINDOW = 5


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
    """Features → outputs: what a window of a few symbols says at each place, its sum and its maximum over the text,
    then dense layers (windows: Kim, 2014, https://arxiv.org/abs/1408.5882).

    A window's part is looked up symbol by symbol: Σ_k E_k[symbol at place + k], a convolution of one-hot codes.
    """

    def __init__(self, features: TextFeatures, width: int, outputs: int, activation: str):
        super().__init__()
        self.count = features.count
        self.symbols = nn.ParameterList(WINDOW**-0.5 * torch.randn(self.count + 1, width) for _ in range(WINDOW))
        self.bias = nn.Parameter(torch.zeros(width))
        self.activation = ACTIVATIONS[activation]()
        self.out = nn.Sequential(nn.LayerNorm(2 * width + 1), Perceptron(2 * width + 1, (width,), outputs, activation))

    def forward(self, features: Tensor) -> Tensor:
        symbols = features[:, 1:].round().long()
        lengths = (symbols >= 0).sum(-1)
        said = []
        for part in in_parts(lengths, steady=not self.training):
            own, length = symbols[part.numbers, : len(part.going)], lengths[part.numbers]
            said.append((part.numbers, self.out(self._pooled(own, length))))
        numbers, outputs = (torch.cat(each) for each in zip(*said, strict=True))
        # Sequences that fill up a part have the result that they have where they stand.
        return torch.zeros_like(outputs[: len(features)]).index_put((numbers,), outputs)

    def _pooled(self, symbols: Tensor, lengths: Tensor) -> Tensor:
        """(rows, 2 width + 1): the sum over each text's places, by the root of their number, the maximum, and
        log(1 + length)."""
        rows, steps = symbols.shape
        logs = torch.log1p(lengths.unsqueeze(-1).float())
        width = len(self.bias)
        if steps == 0:
            return torch.cat([logs.new_zeros(rows, 2 * width), logs], -1)
        # Before the beginning and after the end stands the symbol that is hidden.
        around = pad(symbols.masked_fill(symbols < 0, self.count), (WINDOW // 2, WINDOW // 2), value=self.count)
        windows = sum(
            embedding(around[:, k : k + steps].clamp(0, self.count), each) for k, each in enumerate(self.symbols)
        )
        found = windows + self.bias  # (rows, steps, width)
        going = (torch.arange(steps, device=symbols.device) < lengths.unsqueeze(-1)).unsqueeze(-1)
        # In the mean texts would differ little: the sum of so many numbers varies as the root of how many they are.
        total = (found * going).sum(1) * lengths.clamp_min(1).unsqueeze(-1).rsqrt()
        largest = self.activation(found).masked_fill(~going, -torch.inf).amax(1)
        largest = largest.masked_fill(lengths.unsqueeze(-1) == 0, 0.0)
        return torch.cat([total, largest, logs], -1)
