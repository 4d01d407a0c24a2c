"""Whole numbers ↔ a bin, a place in the bin, and bits that no model can foretell.

The bin and the place are symbols of small alphabets, whose probabilities a network gives; what is left below the place
is coded as it is. Where round numbers are frequent, the first places are the grades of roundness, and the others parts
of what is not round. A number outside all bins has the bin `len(bins)`, and all of its 64 bits are coded as they are.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..coder import Stack
from ..packing import integer_bytes, integers_of
from .roundness import CANDIDATES, FARTHEST, MOST_STEPS, NO_STEPS, WIDEST, Roundness

# A column with no more values than this has a bin for each.
MOST_VALUES = 128
MOST_BINS = 64
PLACES = 64
# Bins of equal mass to begin with; the others are for where numbers lie unevenly.
EVEN_BINS = 32
# What a bin more costs: its edges, and its weights in the network.
SPLIT_BITS = 30.0
# What a step of roundness more costs: its weights in the network.
STEP_BITS = 400.0
# Steps must save so much, as some fit any numbers by chance.
WORTH_STEPS = 0.98
# Numbers that steps are chosen by.
STEP_SAMPLE = 32768
_MOST_PLACES = PLACES + MOST_STEPS
_PIECE = 32


@dataclass
class Bins:
    """Bins [low, high], in order, which do not overlap; int64 (bins,)."""

    low: np.ndarray
    high: np.ndarray
    roundness: Roundness = NO_STEPS

    def __post_init__(self) -> None:
        self.alone = self.high == self.low
        if len(self.roundness):
            if not self._countable:
                raise ValueError("bins too far or too wide for grades")
            plain = self.roundness.counts(self.low, self.high, np.zeros(len(self), np.int64))
            span = np.where(self.alone, 0, plain - 1).astype(np.uint64)
        else:
            span = (self.high - self.low).astype(np.uint64)  # wraps around to the right number
        self.shift = np.maximum(_bit_length(span) - 6, 0)
        plain = (span >> self.shift.astype(np.uint64)).astype(np.int64) + 1
        self.places = np.where(self.alone, 1, plain + len(self.roundness))

    @property
    def _countable(self) -> bool:
        """Whether numbers of a grade can be counted in all bins."""
        near = bool((self.low >= -FARTHEST).all() and (self.high <= FARTHEST).all())
        return near and bool((self.high - self.low < WIDEST).all())

    def __len__(self) -> int:
        return len(self.low)

    @classmethod
    def fit(cls, numbers: np.ndarray, complete: bool, most: int = MOST_BINS, most_values: int = MOST_VALUES) -> "Bins":
        """Bins for a column's numbers, one alone for each number that is frequent.

        `complete` says that no other numbers will be coded; otherwise bins also cover the gaps between the numbers.
        """
        values, counts = np.unique(numbers, return_counts=True)
        if len(values) <= most_values:
            return cls(values, values.copy())
        frequent = counts > len(numbers) / most
        room = max(most - int(frequent.sum()), 8)
        rare = np.where(frequent, 0, counts)
        group = ((np.cumsum(rare) - rare) / (max(rare.sum(), 1) / min(room, EVEN_BINS))).astype(np.int64)
        starts = np.ones(len(values), bool)
        starts[1:] = (group[1:] != group[:-1]) | frequent[1:] | frequent[:-1]
        edges = _split(values, np.cumsum(counts), np.flatnonzero(starts).tolist(), most)
        first = np.array(edges)
        last = np.append(first[1:], len(values)) - 1
        low, high = values[first], values[last].copy()
        if not complete:
            wide = ~frequent[first[:-1]]
            high[:-1][wide] = low[1:][wide] - 1
        return cls(low, high)

    def tokens(self, numbers: np.ndarray) -> np.ndarray:
        """The bin of each number, `len(self)` for those outside; int64."""
        if not len(self):
            return np.zeros(len(numbers), np.int64)
        index = np.maximum(np.searchsorted(self.low, numbers, side="right") - 1, 0)
        outside = (numbers < self.low[index]) | (numbers > self.high[index])
        return np.where(outside, len(self), index)

    def places_of(self, numbers: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The place of each number in its bin, 0 … `self.places[token]` − 1."""
        place = (self._offset(numbers, tokens) >> self.shift[tokens].astype(np.uint64)).astype(np.int64)
        if not len(self.roundness):
            return place
        grades = self.roundness.grades(numbers)
        place = np.where(grades > 0, grades - 1, place + len(self.roundness))
        return np.where(self.alone[tokens], 0, place)

    def _offset(self, numbers: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The place of each number among those of its bin that are not round, uint64."""
        if not len(self.roundness):
            return (numbers - self.low[tokens]).astype(np.uint64)
        return self._index(numbers, tokens, np.zeros(len(tokens), np.int64)).astype(np.uint64)

    def _index(self, numbers: np.ndarray, tokens: np.ndarray, grades: np.ndarray) -> np.ndarray:
        """The place of each number among those of its bin and of its grade."""
        return self.roundness.ranks(numbers, grades) - self.roundness.ranks(self.low[tokens] - 1, grades) - 1

    def _round(self, tokens: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which of the rows hold a round number, of what grade, and how many of those their bins have."""
        rows = np.flatnonzero(~self.alone[tokens] & (places < len(self.roundness)))
        grades, tokens = places[rows] + 1, tokens[rows]
        return rows, grades, self.roundness.counts(self.low[tokens], self.high[tokens], grades)

    def push_rest(self, stack: Stack, numbers: np.ndarray, tokens: np.ndarray) -> None:
        """Push what is below the place of numbers that lie in bins."""
        rows, grades, counts = self._round(tokens, self.places_of(numbers, tokens))
        bits = self.shift[tokens]
        bits[rows] = 0
        push_bits(stack, self._offset(numbers, tokens), bits)
        stack.push_equal(self._index(numbers[rows], tokens[rows], grades), counts)

    def pop_numbers(self, stack: Stack, tokens: np.ndarray, places: np.ndarray) -> np.ndarray:
        """The numbers of those bins and places, with what is below popped. Raises ValueError where there are none."""
        rows, grades, counts = self._round(tokens, places)
        if (counts < 1).any():
            raise ValueError("a round number where there is none")
        index = stack.pop_equal(counts)
        shift = self.shift[tokens]
        shift[rows] = 0
        plain = np.where(self.alone[tokens], 0, np.maximum(places - len(self.roundness), 0)).astype(np.uint64)
        offset = ((plain << shift.astype(np.uint64)) | pop_bits(stack, shift)).astype(np.int64)
        if not len(self.roundness):
            return self.low[tokens] + offset
        numbers = self._numbers(offset, tokens, np.zeros(len(tokens), np.int64))
        numbers[rows] = self._numbers(index, tokens[rows], grades)
        return np.where(self.alone[tokens], self.low[tokens], numbers)

    def _numbers(self, index: np.ndarray, tokens: np.ndarray, grades: np.ndarray) -> np.ndarray:
        return self.roundness.numbers(index + self.roundness.ranks(self.low[tokens] - 1, grades) + 1, grades)

    def rest_bits(self, numbers: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """How many bits of each number lie below its place; 64 of one outside."""
        bits = np.where(tokens == len(self), 64.0, 0.0)
        inside = np.flatnonzero(tokens < len(self))
        numbers, tokens = numbers[inside], tokens[inside]
        bits[inside] = self.shift[tokens]
        rows, _, counts = self._round(tokens, self.places_of(numbers, tokens))
        bits[inside[rows]] = np.log2(counts)
        return bits

    def bits_within(self, numbers: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """About how many bits tell each number when its bin is known, with places by their frequencies."""
        bits = self.rest_bits(numbers, tokens)
        wide = np.flatnonzero(~np.append(self.alone, True)[tokens])
        numbers, tokens = numbers[wide], tokens[wide]
        group = tokens * _MOST_PLACES + self.places_of(numbers, tokens)
        # Half a number more at each place, as if they were learned one by one (Krichevsky & Trofimov, 1981).
        all_places = np.bincount(tokens, minlength=len(self)) + 0.5 * self.places
        bits[wide] += np.log2(all_places[tokens] / (np.bincount(group)[group] + 0.5))
        return bits

    def with_round_numbers(self, numbers: np.ndarray) -> "Bins":
        """The same bins, and the steps that make numbers the shortest, if any do."""
        tokens = self.tokens(numbers)
        inside = tokens < len(self)
        numbers, tokens = numbers[inside], tokens[inside]
        wide = np.flatnonzero(~self.alone[tokens])
        if not len(wide) or not self._countable:
            return self
        # Evenly spaced rows, so that no two calls differ.
        wide = wide[:: -(-len(wide) // STEP_SAMPLE)]
        numbers, tokens, scale = numbers[wide], tokens[wide], len(inside) / len(wide)
        best, cost = self, self.bits_within(numbers, tokens).sum() * scale * WORTH_STEPS
        while len(best.roundness) < MOST_STEPS:
            trials = []
            for step in CANDIDATES:
                steps = tuple(sorted({*best.roundness.steps, step}))
                if step in best.roundness.steps or any(after % before for before, after in pairwise(steps)):
                    continue
                if 1.5 * len(numbers) > step * (numbers % step == 0).sum():  # no more frequent than by chance
                    continue
                trial = Bins(self.low, self.high, Roundness(steps))
                trials.append((trial.bits_within(numbers, tokens).sum() * scale + STEP_BITS * len(steps), steps))
            if not trials or min(trials)[0] >= cost:
                break
            cost, steps = min(trials)
            best = Bins(self.low, self.high, Roundness(steps))
        return best

    def to_bytes(self) -> bytes:
        before = np.concatenate([np.zeros(1, np.int64), self.high])[:-1]
        return integer_bytes(np.concatenate([self.low - before, self.high - self.low]))

    @classmethod
    def from_bytes(cls, data: bytes, roundness: Roundness = NO_STEPS) -> "Bins":
        """Raises ValueError for bytes that are no bins."""
        steps = integers_of(data)
        if len(steps) % 2 or len(steps) > 2 * 256:
            raise ValueError("not bins")
        apart, width = steps.reshape(2, -1)
        ends = np.cumsum(apart + width)
        low, high = ends - width, ends
        # Sums wrap around: the width of a bin may be more than int64 holds.
        if (low > high).any() or (low[1:] <= high[:-1]).any():
            raise ValueError("bins that overlap")
        return cls(low, high, roundness)


def _split(values: np.ndarray, before: np.ndarray, edges: list[int], most: int) -> list[int]:
    """Edges, as places in `values`, with those bins halved whose halves differ most in how many numbers they hold:
    within a bin all numbers are taken as equally likely, and the far ends of a distribution are not.

    `before` are the running counts of the values.
    """

    def gain(start: int, stop: int) -> tuple[float, int]:
        low, high = int(values[start]), int(values[stop - 1])
        if stop - start < 2 or high - low < 2:
            return 0.0, start
        middle = start + int(np.searchsorted(values[start:stop], low + (high - low) // 2, side="right"))
        left = int(before[middle - 1] - (before[start - 1] if start else 0))
        right = int(before[stop - 1] - before[middle - 1])
        count = left + right
        bits = sum(part * np.log2(2 * part / count) for part in (left, right) if part)
        return float(bits), middle

    bounds = [*edges, len(values)]
    trials = [gain(start, stop) for start, stop in pairwise(bounds)]
    while len(bounds) <= most:
        best = max(range(len(trials)), key=lambda index: trials[index][0])
        bits, middle = trials[best]
        if bits < SPLIT_BITS:
            break
        bounds.insert(best + 1, middle)
        trials[best : best + 1] = [gain(bounds[best], middle), gain(middle, bounds[best + 2])]
    return bounds[:-1]


def push_bits(stack: Stack, values: np.ndarray, bits: np.ndarray) -> None:
    """Push the lowest `bits` (0 … 64) bits of each value, uint64."""
    low = np.minimum(bits, _PIECE)
    high = bits - low
    stack.push_equal(_lowest(values, low), np.int64(1) << low)
    if high.any():
        stack.push_equal(_lowest(values >> np.uint64(_PIECE), high), np.int64(1) << high)


def pop_bits(stack: Stack, bits: np.ndarray) -> np.ndarray:
    """The values whose lowest bits were pushed, uint64."""
    low = np.minimum(bits, _PIECE)
    high = bits - low
    values = np.zeros(len(bits), np.uint64)
    if high.any():
        values |= stack.pop_equal(np.int64(1) << high).astype(np.uint64) << np.uint64(_PIECE)
    return values | stack.pop_equal(np.int64(1) << low).astype(np.uint64)


def _lowest(values: np.ndarray, bits: np.ndarray) -> np.ndarray:
    return (values & ((np.uint64(1) << bits.astype(np.uint64)) - np.uint64(1))).astype(np.int64)


def _bit_length(values: np.ndarray) -> np.ndarray:
    """How many bits each uint64 has: 0 for 0, 64 for the largest."""
    high = (values >> np.uint64(32)).astype(np.float64)
    low = (values & np.uint64(2**32 - 1)).astype(np.float64)
    return np.where(high > 0, 32 + np.frexp(high)[1], np.frexp(low)[1]).astype(np.int64)
