"""Round numbers: grades, their ranks, and what they save."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isthmus
from isthmus.compression.coder import Stack
from isthmus.compression.table.bins import Bins
from isthmus.compression.table.roundness import CANDIDATES, FARTHEST, MOST_STEPS, WIDEST, Roundness


@st.composite
def chains(draw) -> tuple[int, ...]:
    steps, last = [], 1
    for ratio in draw(st.lists(st.integers(2, 12), max_size=MOST_STEPS)):
        last *= ratio
        steps.append(last)
    return tuple(step for step in steps if step < WIDEST)


@given(chains(), st.lists(st.integers(-FARTHEST, FARTHEST), min_size=1, max_size=30))
def test_a_rank_and_a_grade_are_a_number(steps: tuple[int, ...], values: list[int]) -> None:
    roundness, numbers = Roundness(steps), np.array(values)
    grades = roundness.grades(numbers)
    assert (roundness.numbers(roundness.ranks(numbers, grades), grades) == numbers).all()


@given(chains(), st.integers(-500, 500), st.integers(0, 500))
def test_counts_are_those_of_counting(steps: tuple[int, ...], low: int, width: int) -> None:
    roundness = Roundness(steps)
    grades = roundness.grades(np.arange(low, low + width + 1))
    for grade in range(len(steps) + 1):
        count = roundness.counts(np.array([low]), np.array([low + width]), np.array([grade]))
        assert count[0] == (grades == grade).sum()


@given(chains(), st.lists(st.integers(-5000, 5000), min_size=2, max_size=60), st.integers(2, 20))
def test_numbers_in_bins_come_back(steps: tuple[int, ...], values: list[int], every: int) -> None:
    numbers = np.array(values)
    edges = np.unique(numbers)[::every]
    bins = Bins(edges, np.append(edges[1:] - 1, numbers.max()), Roundness(steps))
    tokens = bins.tokens(numbers)
    places = bins.places_of(numbers, tokens)
    assert ((places >= 0) & (places < bins.places[tokens])).all()
    stack = Stack()
    bins.push_rest(stack, numbers, tokens)
    assert (bins.pop_numbers(stack, tokens, places) == numbers).all()
    assert stack.empty


@pytest.mark.parametrize(
    "steps", [(1,), (10, 25), (10, 10), (50, 10), (2**32,), (-5,), tuple(2**k for k in range(1, 10))]
)
def test_steps_that_do_not_divide_one_another_are_refused(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples"):
        Roundness(steps)


def test_bins_whose_grades_cannot_be_counted_are_refused() -> None:
    with pytest.raises(ValueError, match="too far or too wide"):
        Bins(np.array([0]), np.array([2**40]), Roundness((10,)))


def test_a_place_that_holds_no_round_number_is_refused() -> None:
    bins = Bins(np.array([11]), np.array([19]), Roundness((10,)))
    with pytest.raises(ValueError, match="none"):
        bins.pop_numbers(Stack(), np.array([0]), np.array([0]))


def test_the_steps_of_what_people_pay_are_found() -> None:
    bins = Bins.fit(_amounts(20_000, share=0.5), True, 32)
    found = bins.with_round_numbers(_amounts(20_000, share=0.5)).roundness.steps
    assert 1000 in found
    assert not bins.with_round_numbers(_amounts(20_000, share=0.0)).roundness.steps
    assert set(found) <= set(CANDIDATES)


def test_round_amounts_take_fewer_bytes() -> None:
    """Half of the amounts are thousands: of 500,000 numbers these take log₂ 1000 bits fewer each, less a bit to say so.

    What a network without grades can save of that is nearly nothing: its places are thousands wide.
    """
    amounts = _amounts(20_000, share=0.5)
    rows = pa.table({"amount": amounts})
    entropy = 20_000 * (1 + 0.5 * np.log2(500_000) + 0.5 * np.log2(500)) / 8
    size = len(isthmus.compress(rows, budget=5))
    assert size < 1.02 * entropy + 1500  # 1,500 bytes: the header, and places whose frequencies are learned
    assert size < 0.85 * 20_000 * np.log2(500_000) / 8


def _amounts(rows: int, share: float) -> np.ndarray:
    generator = np.random.default_rng(0)
    amounts = generator.integers(1, 500_000, rows)
    thousands = 1000 * generator.integers(1, 500, rows)
    return np.where(generator.random(rows) < share, thousands, amounts)
