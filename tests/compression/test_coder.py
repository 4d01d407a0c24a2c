"""The stack of bits: what is pushed is popped, at the price that probabilities ask, and popping first costs nothing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.compression.coder import LARGEST_WEIGHT, MOST_SYMBOLS, Stack
from isthmus.compression.exact import EXACT_IN_FLOAT32, LOGIT_UNIT, exponentials, softmax_weights


def draw(seed: int, rows: int, alphabet: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weights = random.integers(0, LARGEST_WEIGHT + 1, (rows, alphabet)).astype(np.float32)
    weights[:, 0] += 1 - np.minimum(weights.sum(1), 1)
    return weights, random.integers(0, alphabet, rows)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.integers(0, 300), st.integers(1, MOST_SYMBOLS))
def test_pops_what_was_pushed(seed: int, rows: int, alphabet: int) -> None:
    weights, symbols = draw(seed, rows, alphabet)
    stack = Stack()
    stack.push(symbols, weights)
    again = Stack.from_bytes(stack.to_bytes())
    np.testing.assert_array_equal(again.pop(weights), symbols)
    assert again.empty


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.lists(st.integers(1, 2**52), max_size=50))
def test_equals_cost_their_logarithm_whatever_their_size(seed: int, sizes: list[int]) -> None:
    size = np.array(sizes, np.int64)
    values = (np.random.default_rng(seed).random(len(size)) * size).astype(np.int64)
    stack = Stack()
    stack.push_equal(values, size)
    assert stack.bits <= np.log2(size.astype(float)).sum() + 0.01 * len(size) + 32
    np.testing.assert_array_equal(stack.pop_equal(size), values)
    assert stack.empty


@pytest.mark.parametrize("words", [0, 1, 5, 100])
def test_pushing_back_what_was_popped_restores_the_stack_even_when_it_ran_empty(words: int) -> None:
    random = np.random.default_rng(words)
    stack = Stack(random.integers(1, 2**32, words, dtype=np.uint32))
    before = stack.to_bytes()
    weights, _ = draw(words, 60, 17)
    sizes = random.integers(1, 2**40, 40)
    symbols, equals = stack.pop(weights), stack.pop_equal(sizes)
    stack.push_equal(equals, sizes)
    stack.push(symbols, weights)
    assert stack.to_bytes() == before


def test_a_symbol_costs_minus_the_logarithm_of_its_probability() -> None:
    weights = np.array([6, 3, 2, 1], np.float32)
    symbols = np.random.default_rng(0).choice(4, 50_000, p=weights / 12)
    stack = Stack()
    stack.push(symbols, weights)
    ideal = -np.log2(weights[symbols] / 12).sum()
    assert abs(stack.bits - ideal) < 40  # the state's own word, and rounding


def test_the_arrangement_in_batches_is_the_coders_own_business() -> None:
    weights, symbols = draw(3, 1000, 9)
    whole, parts = Stack(), Stack()
    whole.push(symbols, weights)
    bounds = [0, 1, 8, 264, 1000]
    for start, stop in reversed(list(pairwise(bounds))):
        parts.push(symbols[start:stop], weights[start:stop])
    assert whole.to_bytes() == parts.to_bytes()


def test_every_symbol_can_be_coded_however_unlikely() -> None:
    for alphabet in (2, 3, 64, 255):
        for seed in range(200):
            logits = np.random.default_rng(seed).integers(-3000, 0, (1, alphabet)).astype(np.float32)
            logits[0, -3:] = -20_000
            for symbol in range(max(alphabet - 3, 0), alphabet):
                stack = Stack()
                stack.push(np.array([symbol]), softmax_weights(logits))
                assert stack.pop(softmax_weights(logits)).tolist() == [symbol]


def test_bytes_that_are_no_words_are_refused() -> None:
    with pytest.raises(ValueError):
        Stack.from_bytes(b"12345")
    with pytest.raises(ValueError):
        Stack.from_bytes(b"\0" * 8)


def test_exponentials_are_the_rounded_ones_and_their_sums_exact() -> None:
    table = exponentials()
    np.testing.assert_allclose(table, LARGEST_WEIGHT * np.exp(-np.arange(len(table)) / LOGIT_UNIT), atol=0.5 + 1e-9)
    assert table[-1] == 0 and table[-2] > 0
    assert table[0] * MOST_SYMBOLS < EXACT_IN_FLOAT32


def test_softmax_weights_are_the_softmax() -> None:
    logits = np.random.default_rng(0).integers(-2000, 2000, (50, 11)).astype(np.float32)
    weights = softmax_weights(logits)
    expected = np.exp((logits - logits.max(1, keepdims=True)) / LOGIT_UNIT)
    np.testing.assert_allclose(weights / LARGEST_WEIGHT, expected, atol=2e-5)  # the last weight is at least 1
    np.testing.assert_array_equal(weights, np.rint(weights))


class ClearStack:
    """The stack of docs/format.md, a symbol at a time, in Python's own whole numbers: what `Stack` must agree with."""

    def __init__(self, data: bytes):
        self.words = [int(word) for word in np.frombuffer(data, "<u4")]
        self.state = 0
        while self.words and self.state < 2**32:
            self.state = self.state << 32 | self.words.pop()

    def _take(self, bounds: list[int]) -> int:
        quantile = self.state % 2**24
        symbol = max(k for k in range(len(bounds) - 1) if bounds[k] <= quantile)
        self.state = (self.state >> 24) * (bounds[symbol + 1] - bounds[symbol]) + quantile - bounds[symbol]
        if self.state < 2**32 and self.words:
            self.state = self.state << 32 | self.words.pop()
        return symbol

    def weighted(self, weights: np.ndarray) -> int:
        count = len(weights)
        scale = np.float32(2**24 - count) / np.float32(weights.sum())
        before = np.concatenate([[0], np.cumsum(weights)[:-1]]).astype(np.float32)
        return self._take([*(int(scale * sum_) + k for k, sum_ in enumerate(before)), 2**24])

    def equal(self, size: int) -> int:
        shift = max((size - 1).bit_length() - 16, 0)
        value = self._digit(((size - 1) >> shift) + 1) << shift
        while shift:
            bits = min(shift, 16)
            shift -= bits
            value += self._digit(1 << bits) << shift
        return value

    def _digit(self, size: int) -> int:
        if size == 1:
            return 0
        share = 2**24 // size
        symbol = min(self.state % 2**24 // share, size - 1)
        left, right = symbol * share, 2**24 if symbol == size - 1 else (symbol + 1) * share
        self.state = (self.state >> 24) * (right - left) + self.state % 2**24 - left
        if self.state < 2**32 and self.words:
            self.state = self.state << 32 | self.words.pop()
        return symbol


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(2, MOST_SYMBOLS))
def test_agrees_with_the_format_as_it_is_written_down(seed: int, rows: int, alphabet: int) -> None:
    weights, symbols = draw(seed, rows, alphabet)
    sizes = np.random.default_rng(seed).integers(1, 2**20, rows) << np.random.default_rng(seed).integers(0, 31, rows)
    values = sizes // 3
    stack = Stack()
    stack.push(symbols, weights)
    for value, size in zip(values[::-1], sizes[::-1], strict=True):
        stack.push_equal(np.array([value]), np.array([size]))
    clear = ClearStack(stack.to_bytes())
    assert [clear.equal(int(size)) for size in sizes] == values.tolist()
    assert [clear.weighted(row) for row in weights] == symbols.tolist()
    assert clear.state == 0 and not clear.words
