"""p(text | code), symbol by symbol: each given the code and the symbols before it.

A recurrent decoder (Bowman et al., 2016, https://arxiv.org/abs/1511.06349) that has the code at its start, at each step
and where symbols are read off. A decoder that sees what came before has little need of codes, and learns to do without.
So part of what training raises is the likelihood of each symbol given the code alone, whatever its place, as in a bag
of words (Zhao et al., 2017, https://arxiv.org/abs/1703.10960): it keeps codes in use, and says what a code stands for.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding

from ...core.randomness import Randomness
from ...parts.distributions import Categorical
from ...parts.likelihood import Likelihood
from ...parts.recurrence import STEADY_ROWS, Part, Recurrence, in_parts
from .networks import FIRST_SPREAD, Written

# The share of symbols given the code alone in the loss of training.
ALONE = 0.5
# Logits of so many symbols are in memory together where rows need not be steady.
MOST_TOGETHER = 4096


class TextHead(nn.Module):
    """Decoder outputs (..., rows, outputs) → the likelihood of texts of up to `steps` symbols.

    There are `count` symbols, and one more: at the end it stands for the end, before the first one for the beginning,
    and elsewhere for a symbol that is hidden. `frequencies`, (count + 1,), are those of the fitted texts, the end's
    last: to begin with, symbols are as frequent.
    """

    def __init__(self, outputs: int, width: int, steps: int, frequencies: Tensor):
        super().__init__()
        self.outputs, self.steps, self.count = outputs, steps, len(frequencies) - 1
        self.given = nn.Parameter(FIRST_SPREAD * torch.randn(self.count + 1, 3 * width))
        self.recurrence = Recurrence(width)
        self.start, self.of_code = nn.Linear(outputs, width), nn.Linear(outputs, 3 * width)
        self.beside, self.alone = nn.Linear(outputs, width), nn.Linear(outputs, width)
        self.out = nn.Linear(width, self.count + 1)
        with torch.no_grad():
            self.out.bias.copy_(((frequencies + 0.5) / (frequencies + 0.5).sum()).log())

    def forward(self, outputs: Tensor) -> "TextLikelihood":
        return TextLikelihood(self, outputs)

    def begun(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the codes' part (rows, outputs): the first state, what each step is given, and what is beside states where
        symbols are read off."""
        return torch.tanh(self.start(outputs)), self.of_code(outputs), self.beside(outputs)


class TextLikelihood(Likelihood):
    """Each symbol given the codes and the symbols before it, and that the text ends where it does.

    The end's log-probability is that of the length, the first number of a row. A text that goes on (its length is NaN)
    and a hidden symbol have none.
    """

    def __init__(self, head: TextHead, outputs: Tensor, context: bool = True):
        self.head, self.outputs, self.context = head, outputs, context

    def without_context(self) -> "TextLikelihood":
        return TextLikelihood(self.head, self.outputs, context=False)

    def log_prob_per_feature(self, x: Tensor) -> Tensor:
        text = Written.of(x, self.head.count)
        return self._features(self._logs(text) if self.context else self._logs_alone(text), x, text)

    def objective(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """The mean of `log_prob` and of that without context, weighted."""
        text = Written.of(x, self.head.count)
        logs = torch.lerp(self._logs(text), self._logs_alone(text), ALONE)
        return self._features(logs, x, text).sum(-1)

    def mode(self) -> Tensor:
        """The most probable symbol, again and again, until the text ends."""
        return self._drawn(lambda logits: logits.argmax(-1))

    def sample(self, randomness: Randomness) -> Tensor:
        return self._drawn(lambda logits: Categorical(logits).sample(randomness).long())

    def shares(self) -> Tensor:
        logits = self.head.out(self.head.alone(self.outputs))
        return torch.softmax(logits[..., :-1], -1)

    def guess_beside(self, x: Tensor) -> Tensor:
        """The most probable symbol at each place of the texts x, given what stands before it there."""
        text = Written.of(x, self.head.count)
        symbols = self._told(text, lambda logits, _: logits[:, :-1].argmax(-1).to(logits.dtype))
        guesses = torch.cat([x[..., :1].expand(*symbols.shape[:-1], 1), symbols[..., :-1]], -1)
        return guesses.masked_fill(x.isnan(), torch.nan)

    def _features(self, logs: Tensor, x: Tensor, text: Written) -> Tensor:
        """Logs (..., rows, steps + 1) of what comes at each place → those of the length and of the symbols."""
        shape = (*logs.shape[:-1], 1)
        end = logs.gather(-1, text.lengths.unsqueeze(-1).expand(shape))
        end = end.masked_fill(~text.ended.unsqueeze(-1), 0.0)
        places = torch.arange(self.head.steps, device=x.device)
        silent = x[:, 1:].isnan() | (places >= text.lengths.unsqueeze(-1))
        return torch.cat([end, logs[..., :-1].masked_fill(silent, 0.0)], -1)

    def _targets(self, text: Written) -> Tensor:
        """What comes at each place, (rows, steps + 1): symbols, and the end."""
        places = torch.arange(self.head.steps + 1, device=text.lengths.device)
        symbols = torch.nn.functional.pad(text.symbols, (0, 1), value=self.head.count)
        return torch.where(places < text.lengths.unsqueeze(-1), symbols, self.head.count)

    def _logs_alone(self, text: Written) -> Tensor:
        logs = torch.log_softmax(self.head.out(self.head.alone(self.outputs)), -1)
        targets = self._targets(text)
        return logs.gather(-1, targets.expand(*logs.shape[:-1], targets.shape[-1]))

    def _logs(self, text: Written) -> Tensor:
        return self._told(text, lambda logits, targets: -cross_entropy(logits, targets, reduction="none"))

    def _told(self, text: Written, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """What `of` (logits, targets) says of each place, (..., rows, steps + 1), 0 after the end."""
        head, rows = self.head, len(text.lengths)
        outputs = self.outputs.reshape(-1, self.outputs.shape[-1])
        sequences = torch.arange(len(outputs), device=outputs.device)
        targets = self._targets(text)
        found = []
        steady = not head.training
        for part in in_parts(text.lengths[sequences % rows] + 1, steady):
            row = part.numbers % rows
            hidden = self._read(outputs[part.numbers], targets[row], part)
            places, counted = part.steps, part.rows
            told = torch.cat(
                [
                    of(head.out(some), wanted)
                    for some, wanted in zip(
                        hidden.split(STEADY_ROWS if steady else MOST_TOGETHER),
                        targets[row[counted], places].split(STEADY_ROWS if steady else MOST_TOGETHER),
                        strict=True,
                    )
                ]
            )
            told = told.masked_fill(places > text.lengths[row[counted]], 0.0)
            found.append((part.numbers[counted], places, told))
        sequence, place, told = (torch.cat(each) for each in zip(*found, strict=True))
        values = told.new_zeros(len(outputs), head.steps + 1).index_put((sequence, place), told)
        return values.view(*self.outputs.shape[:-1], -1)

    def _read(self, outputs: Tensor, targets: Tensor, part: Part) -> Tensor:
        """What symbols are read off, (states, width), while the texts are gone through."""
        head = self.head
        state, of_code, beside = head.begun(outputs)
        # Before the first symbol stands the one that is none.
        before = torch.nn.functional.pad(targets, (1, 0), value=head.count)
        rows = part.rows
        given = embedding(before[rows, part.steps], head.given) + of_code[rows]
        return head.recurrence.states(given, state, part) + beside[rows]

    def _drawn(self, choose: Callable[[Tensor], Tensor]) -> Tensor:
        """Texts in the form of tensors, symbol by symbol."""
        head = self.head
        outputs = self.outputs.reshape(-1, self.outputs.shape[-1])
        state, of_code, beside = head.begun(outputs)
        alone = head.out(head.alone(outputs)) if not self.context else None
        symbol = torch.full((len(outputs),), head.count, device=outputs.device)
        lengths = torch.full_like(symbol, head.steps)
        drawn = outputs.new_full((len(outputs), head.steps), torch.nan)
        for step in range(head.steps):
            if alone is None:
                state = head.recurrence(embedding(symbol, head.given) + of_code, state)
                symbol = choose(head.out(state + beside))
            else:
                symbol = choose(alone)
            lengths = torch.where((lengths == head.steps) & (symbol == head.count), step, lengths)
            going = lengths == head.steps
            if not going.any():
                break
            drawn[:, step] = torch.where(going, symbol.to(drawn.dtype), torch.nan)
        texts = torch.cat([lengths.unsqueeze(-1).to(drawn.dtype), drawn], -1)
        return texts.view(*self.outputs.shape[:-1], -1)
