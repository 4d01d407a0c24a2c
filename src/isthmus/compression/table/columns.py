"""One column's plan: how its numbers become symbols for the network, places, bits and pointers, and numbers again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..coder import Stack
from ..packing import framed, unframed
from .bins import Bins, pop_bits, push_bits
from .cells import MISSING, ODD, PRESENT, Form
from .recall import Context, joint_keys, resolve
from .relations import Relation, Term
from .roundness import Roundness

# Rows that came before in a context are told to the network by the bit length of their count, up to this.
MOST_DEPTH = 20
# Contexts of a column, and columns of a context: finding the rows of one takes time.
MOST_LEVELS, MOST_CONTEXT = 2, 4

Known = Callable[[int], "Column"]


@dataclass
class Column:
    """A column of a chunk: numbers (rows,) int64, 0 where not present, states (rows,), and bins that others see."""

    numbers: np.ndarray
    states: np.ndarray
    contexts: np.ndarray

    @classmethod
    def of_nothing(cls, count: int) -> "Column":
        """A column that others see nothing of."""
        return cls(np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64))

    @property
    def present(self) -> np.ndarray:
        return self.states == PRESENT


@dataclass
class ColumnPlan:
    """How one column is coded. `recall` is a list of contexts to look for earlier rows in, each a list of
    (earlier column, width): rows share a context if these columns' numbers, divided by the width and rounded down,
    agree (statistics are often published by groups of five or ten years)."""

    form: Form
    packed: bool = False
    relation: Relation = field(default_factory=Relation)
    bins: Bins = field(default_factory=lambda: Bins(np.empty(0, np.int64), np.empty(0, np.int64)))
    seen: Bins | None = None  # what others see of it, if not the bins it is coded by
    copies: list[int] = field(default_factory=list)
    recall: list[list[tuple[int, int]]] = field(default_factory=list)
    recall_first: bool = False  # also for numbers of which nothing lies below their place

    @property
    def asks_for(self) -> set[int]:
        """The other columns that it cannot be decoded without."""
        recalled = {other for level in self.recall for other, _ in level}
        return {*self.copies, *recalled, *(other for term in self.relation.terms for other in term.columns)}

    def renumber(self, place: dict[int, int]) -> None:
        """Speak of the other columns by their new places."""
        self.copies = [place[other] for other in self.copies]
        self.recall = [[(place[other], width) for other, width in level] for level in self.recall]
        terms = [Term(term.kind, tuple(place[other] for other in term.columns)) for term in self.relation.terms]
        self.relation = Relation(terms, self.relation.coefficients, self.relation.offset)

    @property
    def visible(self) -> Bins:
        return self.bins if self.seen is None else self.seen

    @property
    def outside(self) -> int:
        """The symbol of numbers that lie in no bin; those of missing and of odd cells follow."""
        return len(self.bins)

    @property
    def symbols(self) -> int:
        return len(self.bins) + 3 + len(self.copies) + len(self.recall)

    @property
    def contexts(self) -> int:
        return len(self.visible) + 3

    @property
    def allowed(self) -> np.ndarray:
        """How many places each symbol has, (symbols,)."""
        return np.concatenate([self.bins.places, np.ones(self.symbols - len(self.bins), np.int64)])

    @property
    def places(self) -> int:
        """The largest number of places of a bin; 0 where none has more than one."""
        most = int(self.allowed.max())
        return most if most > 1 else 0

    @property
    def grades(self) -> int:
        """How many grades of roundness later columns are told; 0 where no number is round."""
        return len(self.bins.roundness) + 1 if len(self.bins.roundness) else 0

    def grades_of(self, column: Column) -> np.ndarray:
        """How round each number is, (rows,); 0 where there is none."""
        return np.where(column.present, self.bins.roundness.grades(column.numbers), 0)

    def context_tokens(self, numbers: np.ndarray, states: np.ndarray) -> np.ndarray:
        """What later columns see, (rows,)."""
        tokens = self.visible.tokens(numbers)
        return np.where(states == PRESENT, tokens, len(self.visible) + states)

    # Rows' contexts, from the columns that are known before.

    def keys(self, level: int, known: Known, rows: int) -> np.ndarray:
        parts = []
        for column, width in self.recall[level]:
            other = known(column)
            parts.extend((other.numbers // width, other.states))
        return joint_keys(parts, rows)

    def depth(self, known: Known, rows: int) -> np.ndarray:
        """The bit length of how many rows of the first context came before, (rows,)."""
        earlier = Context(self.keys(0, known, rows)).earlier
        return np.minimum(np.frexp(earlier.astype(np.float64))[1], MOST_DEPTH - 1)

    def expected(self, known: Known, numbers: np.ndarray, present: np.ndarray, base: int) -> np.ndarray:
        if self.relation.previous_row:
            held = np.concatenate([[base], numbers[present][:-1]])[: int(present.sum())]
            expected = np.zeros(len(numbers), np.int64)
            expected[present] = held
            return expected
        return self.relation.expected(lambda column: known(column).numbers, len(numbers))

    def symbols_of(self, column: Column, known: Known, base: int) -> tuple[np.ndarray, np.ndarray]:
        """(symbols, residuals), both (rows,)."""
        numbers, present = column.numbers, column.present
        residuals = numbers - self.expected(known, numbers, present, base)
        symbols = self.bins.tokens(residuals)
        free = present.copy()
        if not self.recall_first:
            free &= self.bins.rest_bits(residuals, symbols) > 0  # all else is foretold
        for index, other in enumerate(self.copies):
            source = known(other)
            same = free & source.present & (source.numbers == numbers)
            symbols[same] = len(self.bins) + 3 + index
            free &= ~same
        for level in range(len(self.recall)):
            keys = self.keys(level, known, len(numbers))
            context = Context(np.where(present, keys, -1))
            same = free & (context.with_numbers(numbers).earlier > 0)
            symbols[same] = len(self.bins) + 3 + len(self.copies) + level
            free &= ~same
        symbols[column.states == MISSING] = self.outside + MISSING
        symbols[column.states == ODD] = self.outside + ODD
        return symbols, residuals

    def push(self, stack: Stack, column: Column, symbols: np.ndarray, residuals: np.ndarray, known: Known) -> None:
        """Push all of a column but its symbols and places."""
        rows = np.flatnonzero(symbols >= len(self.bins) + 3 + len(self.copies))
        if len(rows):
            earlier, same, index_of = self._pointers(column, symbols, rows, known)
            occurrence = stack.pop_equal(same)
            stack.push_equal(index_of(occurrence), earlier)
        outside = symbols == self.outside
        push_bits(stack, residuals[outside].astype(np.uint64), np.full(int(outside.sum()), 64))
        inside = symbols < len(self.bins)
        self.bins.push_rest(stack, residuals[inside], symbols[inside])

    def _pointers(
        self, column: Column, symbols: np.ndarray, rows: np.ndarray, known: Known
    ) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """For rows that recall: how many rows came before in their context, and with their number; and the index among
        the former of the so-many-th of the latter."""
        earlier, same = np.ones(len(rows), np.int64), np.ones(len(rows), np.int64)
        held = []
        for level in range(len(self.recall)):
            mine = symbols[rows] == len(self.bins) + 3 + len(self.copies) + level
            context = Context(np.where(column.present, self.keys(level, known, len(symbols)), -1))
            numbered = context.with_numbers(column.numbers)
            earlier[mine], same[mine] = context.earlier[rows[mine]], numbered.earlier[rows[mine]]
            held.append((mine, context, numbered))

        def index_of(occurrence: np.ndarray) -> np.ndarray:
            index = np.zeros(len(rows), np.int64)
            for mine, context, numbered in held:
                source = numbered.row(rows[mine], occurrence[mine])
                index[mine] = context.earlier[source]
            return index

        return earlier, same, index_of

    def pop(self, stack: Stack, symbols: np.ndarray, places: np.ndarray, known: Known, base: int) -> Column:
        """The column of symbols (rows,) and places (rows,). Raises ValueError for what no encoder pushed."""
        first = len(self.bins) + 3
        states = np.zeros(len(symbols), np.int64)
        for state in (MISSING, ODD):
            states[symbols == self.outside + state] = state
        present = states == PRESENT
        inside, outside = symbols < len(self.bins), symbols == self.outside
        numbers = np.zeros(len(symbols), np.int64)
        numbers[inside] = self.bins.pop_numbers(stack, symbols[inside], places[inside])
        numbers[outside] = pop_bits(stack, np.full(int(outside.sum()), 64)).astype(np.int64)
        if self.relation.previous_row:
            numbers[present] = np.cumsum(numbers[present]) + base
        else:
            fresh = inside | outside
            numbers[fresh] += self.expected(known, numbers, present, base)[fresh]
        for index, other in enumerate(self.copies):
            mine = symbols == first + index
            numbers[mine] = known(other).numbers[mine]
        rows = np.flatnonzero(symbols >= first + len(self.copies))
        if len(rows):
            numbers = self._recalled(stack, numbers, present, symbols, rows, known)
        numbers[~present] = 0
        return Column(numbers, states, self.context_tokens(numbers, states))

    def _recalled(
        self,
        stack: Stack,
        numbers: np.ndarray,
        present: np.ndarray,
        symbols: np.ndarray,
        rows: np.ndarray,
        known: Known,
    ) -> np.ndarray:
        levels = symbols[rows] - len(self.bins) - 3 - len(self.copies)
        earlier, targets = np.ones(len(rows), np.int64), np.zeros(len(rows), np.int64)
        contexts = []
        for level in range(len(self.recall)):
            context = Context(np.where(present, self.keys(level, known, len(symbols)), -1))
            earlier[levels == level] = context.earlier[rows[levels == level]]
            contexts.append(context)
        if (earlier < 1).any():
            raise ValueError("a pointer where no row came before")
        index = stack.pop_equal(earlier)
        for level, context in enumerate(contexts):
            mine = levels == level
            targets[mine] = context.row(rows[mine], index[mine])
        numbers = resolve(numbers, rows, targets)
        # Give back the bits that chose among the rows with the same number.
        same, occurrence = np.ones(len(rows), np.int64), np.zeros(len(rows), np.int64)
        for level, context in enumerate(contexts):
            mine = levels == level
            numbered = context.with_numbers(numbers)
            same[mine], occurrence[mine] = numbered.earlier[rows[mine]], numbered.earlier[targets[mine]]
        stack.push_equal(occurrence, same)
        return numbers

    def cost(self, hidden: int) -> int:
        """About how many nanoseconds it takes to decode a cell."""
        foretold = 0 if self.packed else (self.symbols + self.places) * (hidden // 16 + 4)
        return 200 + foretold + 800 * sum(2 * len(level) + 1 for level in self.recall)

    # To be kept.

    def settings(self) -> dict[str, Any]:
        held: dict[str, Any] = {"form": self.form.settings()}
        if self.packed:
            held["packed"] = True
        if self.relation.terms or self.relation.offset:
            held["relation"] = self.relation.settings()
        if len(self.bins.roundness):
            held["steps"] = self.bins.roundness.steps
        if self.copies:
            held["copies"] = self.copies
        if self.recall:
            held["recall"] = self.recall
            held["recall_first"] = self.recall_first
        return held

    def parameters(self) -> bytes:
        seen = b"" if self.seen is None else b"+" + self.seen.to_bytes()
        return framed([self.form.parameters(), self.bins.to_bytes(), seen])

    @classmethod
    def from_settings(cls, settings: dict[str, Any], parameters: bytes, column: int, earlier: range) -> "ColumnPlan":
        """Raises KeyError, TypeError or ValueError for what is no plan of a column after those `earlier`."""
        form, bins, seen = unframed(parameters)
        plan = cls(Form.from_settings(settings["form"], form), bool(settings.get("packed")))
        plan.bins = Bins.from_bytes(bins, Roundness(tuple(int(step) for step in settings.get("steps", ()))))
        plan.seen = Bins.from_bytes(seen[1:]) if seen else None
        if "relation" in settings:
            if plan.grades:
                raise ValueError(f"column {column} is both round and expected")
            plan.relation = Relation.from_settings(settings["relation"], column, earlier)
        plan.copies = [int(other) for other in settings.get("copies", ())]
        plan.recall = [[(int(other), int(width)) for other, width in level] for level in settings.get("recall", ())]
        plan.recall_first = bool(settings.get("recall_first"))
        if not all(other in earlier for other in plan.asks_for) or any(
            not 1 <= width < 2**63 for level in plan.recall for _, width in level
        ):
            raise ValueError(f"column {column} needs columns that are not known before it")
        if len(plan.recall) > MOST_LEVELS or any(len(level) > MOST_CONTEXT for level in plan.recall):
            raise ValueError("too many contexts")
        if plan.symbols > 256 or plan.contexts > 256:
            raise ValueError("too many symbols")
        return plan
