"""Tables ↔ chunks of an archive."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from ...core.errors import DataError
from ..codec import MOST_CHUNK_ROWS, Codec
from ..coder import Stack
from ..packing import LARGEST_BLOCK, framed, integer_bytes, integers_of, packed, unframed, unpacked
from .cells import MOST_WORDS, Cells, from_plain_bytes, plain_bytes, stored, whole
from .columns import MOST_DEPTH, Column, ColumnPlan
from .network import ColumnNetwork, ColumnShape

# What the network is told of each column of a table, in this order: how many rows of its context came before, the
# column itself, and how round its number is.
SLOTS, DEPTH, BIN, GRADE = 3, 0, 1, 2
# Rows whose probabilities are computed at once: few enough for the processor's cache.
BLOCK = 2048
# A chunk has at most so many cells, and takes at most about so many nanoseconds to decode.
MOST_CELLS = 2**25
MOST_NANOSECONDS = 10**10


class TableCodec(Codec):
    """Columns one after another in the order of `order`, each foretold from those before it.

    `plans[i]` is that of the i-th column in that order, and speaks of other columns by their place in it;
    `positions[i]` is the column's place in the table.
    """

    kind = "table"

    def __init__(self, plans: list[ColumnPlan], positions: list[int], network: ColumnNetwork, hidden: int):
        self.plans, self.positions, self.hidden = plans, positions, hidden
        self.network = network
        # Bytes that each column has taken in the chunks encoded so far, by its name.
        by_position = sorted(zip(positions, plans, strict=True), key=lambda pair: pair[0])
        self.spent = {plan.form.name: 0.0 for _, plan in by_position}

    @property
    def schema(self) -> pa.Schema:
        types = {plan.form.name: plan.form.type for plan in self.plans}
        return pa.schema([(name, types[name]) for name in self.spent])

    @property
    def most_rows(self) -> int:
        cost = sum(plan.cost(self.hidden) for plan in self.plans)
        return max(1, min(MOST_CHUNK_ROWS, MOST_CELLS // max(len(self.plans), 1), MOST_NANOSECONDS // max(cost, 1)))

    # Rows ↔ one chunk.

    @threadpool_limits.wrap(1, "blas")  # products this small take longer in two threads than in one
    def encode(self, rows: pa.Table) -> bytes:
        count, cells = rows.num_rows, self._cells(rows)
        columns, odd, bases = self._columns(cells, count)
        stack = Stack()
        known = columns.__getitem__
        total = self._total(columns, known, count)
        for index in reversed(range(len(self.plans))):
            plan = self.plans[index]
            self._tell(total, index, columns[index], sign=-1)
            before = stack.bits
            if not plan.packed:
                symbols, residuals = plan.symbols_of(columns[index], known, bases[index])
                plan.push(stack, columns[index], symbols, residuals, known)
                self._push_symbols(stack, index, total, symbols, residuals)
            self.spent[plan.form.name] += (stack.bits - before) / 8 + len(odd[index])
            if plan.recall:
                self.network.add(total, SLOTS * index + DEPTH, plan.depth(known, count), sign=-1)
        packs = []
        for plan, position in zip(self.plans, self.positions, strict=True):
            if plan.packed:
                packs.append(packed(plain_bytes(stored(whole(rows.column(position))))))
                self.spent[plan.form.name] += len(packs[-1])
        return framed([stack.to_bytes(), packed(integer_bytes(np.array(bases))), packed(framed(odd)), *packs])

    def rounded(self, rows: pa.Table) -> pa.Table:
        """Rows as they will come back: within their tolerance, where columns have one."""
        self._check(rows)
        for plan, position in zip(self.plans, self.positions, strict=True):
            if plan.form.kind == "grid":
                column = pa.chunked_array([plan.form.rounded(whole(rows.column(position)))], plan.form.type)
                rows = rows.set_column(position, plan.form.name, column)
        return rows

    @threadpool_limits.wrap(1, "blas")
    def decode(self, chunk: bytes, count: int) -> pa.Table:
        blocks = unframed(chunk)
        if len(blocks) != 3 + sum(plan.packed for plan in self.plans):
            raise ValueError("another number of blocks than columns need")
        stack, bases = Stack.from_bytes(blocks[0]), integers_of(unpacked(blocks[1]))
        kept = unpacked(blocks[2])
        odd, packs = unframed(kept), iter(blocks[3:])
        room = 2 * LARGEST_BLOCK - len(kept)  # for all texts, and numbers of categories beside them
        if len(bases) != len(self.plans) or len(odd) != len(self.plans):
            raise ValueError("another number of columns")
        columns: list[Column] = []
        restored: list[pa.Array] = []
        known = columns.__getitem__
        total = self.network.start(count)
        for index, plan in enumerate(self.plans):
            if plan.recall:
                self.network.add(total, SLOTS * index + DEPTH, plan.depth(known, count))
            if plan.packed:
                cells = unpacked(next(packs), min(room, LARGEST_BLOCK))
                room -= len(cells)
                restored.append(from_plain_bytes(cells, _storage(plan), count))
                columns.append(self._seen(plan, restored[-1]))
                if pa.types.is_dictionary(plan.form.type):
                    held = Cells(columns[-1].numbers, columns[-1].states, restored[-1][:0])
                    room = _less(room, plan.form.text_bytes(held))
                    restored[-1] = plan.form.restored(held)
            else:
                symbols, places = self._pop_symbols(stack, index, total)
                columns.append(plan.pop(stack, symbols, places, known, int(bases[index])))
                apart = from_plain_bytes(odd[index], _storage(plan)) if odd[index] else pa.array([], _storage(plan))
                held = Cells(columns[-1].numbers, columns[-1].states, apart)
                room = _less(room, plan.form.text_bytes(held))
                restored.append(plan.form.restored(held))
            self._tell(total, index, columns[-1])
        if not stack.empty:
            raise ValueError("bits that no column has used")
        by_position = dict(zip(self.positions, restored, strict=True))
        return pa.Table.from_arrays([by_position[position] for position in range(len(restored))], schema=self.schema)

    def _cells(self, rows: pa.Table) -> list[Cells | None]:
        """Each column as whole numbers, in the order of coding. Raises DataError for rows of another table."""
        self._check(rows)
        cells: list[Cells | None] = []
        for plan, position in zip(self.plans, self.positions, strict=True):
            column = whole(rows.column(position))
            known = plan.form.categories
            # By their bits: NaN equals no NaN.
            if known is not None and plain_bytes(column.dictionary) != plain_bytes(known):
                raise DataError(f"column '{plan.form.name}' has other categories than the model was made for")
            cells.append(None if plan.form.kind == "text" else plan.form.cells(column))
        return cells

    def _check(self, rows: pa.Table) -> None:
        if rows.schema.names != self.schema.names:
            raise DataError(f"columns {rows.schema.names} are not those the model was made for, {self.schema.names}")
        for plan, position in zip(self.plans, self.positions, strict=True):
            column = rows.column(position)
            if column.type != plan.form.type:
                raise DataError(
                    f"column '{plan.form.name}' holds {column.type}; the model was made for {plan.form.type}"
                )

    def _columns(self, cells: list[Cells | None], count: int) -> tuple[list[Column], list[bytes], list[int]]:
        """Columns, odd cells as bytes, and the number that a sorted column begins with."""
        columns, odd, bases = [], [], []
        for plan, held in zip(self.plans, cells, strict=True):
            if held is None:
                columns.append(Column.of_nothing(count))
                odd.append(b"")
                bases.append(0)
                continue
            tokens = plan.context_tokens(held.numbers, held.states)
            columns.append(Column(held.numbers, held.states, tokens))
            odd.append(plain_bytes(held.odd) if len(held.odd) and not plan.packed else b"")
            first = np.flatnonzero(held.present)
            bases.append(int(held.numbers[first[0]]) if plan.relation.previous_row and len(first) else 0)
        return columns, odd, bases

    def _seen(self, plan: ColumnPlan, cells: pa.Array) -> Column:
        """What others see of a packed column."""
        if plan.form.kind == "text":
            return Column.of_nothing(len(cells))
        if plan.form.categories is not None:
            cells = pa.DictionaryArray.from_arrays(cells, plan.form.categories, ordered=plan.form.type.ordered)
        held = plan.form.cells(cells)
        return Column(held.numbers, held.states, plan.context_tokens(held.numbers, held.states))

    def _total(self, columns: list[Column], known: Callable[[int], Column], count: int) -> np.ndarray:
        total = self.network.start(count)
        for index, plan in enumerate(self.plans):
            if plan.recall:
                self.network.add(total, SLOTS * index + DEPTH, plan.depth(known, count))
            self._tell(total, index, columns[index])
        return total

    def _tell(self, total: np.ndarray, index: int, column: Column, sign: int = 1) -> None:
        """Let the later columns know this one, or forget it."""
        self.network.add(total, SLOTS * index + BIN, column.contexts, sign)
        if self.plans[index].grades:
            self.network.add(total, SLOTS * index + GRADE, self.plans[index].grades_of(column), sign)

    def _push_symbols(
        self, stack: Stack, index: int, total: np.ndarray, symbols: np.ndarray, residuals: np.ndarray
    ) -> None:
        plan, network, place = self.plans[index], self.network, SLOTS * index + BIN
        starts = range(0, len(symbols), BLOCK)
        if plan.places:
            allowed = plan.allowed
            for start in reversed(starts):
                block = slice(start, start + BLOCK)
                rows = np.flatnonzero(allowed[symbols[block]] > 1) + start
                if len(rows):
                    weights = network.place_weights(total[rows], place, symbols[rows], allowed[symbols[rows]])
                    stack.push(plan.bins.places_of(residuals[rows], symbols[rows]), weights)
        for start in reversed(starts):
            block = slice(start, start + BLOCK)
            stack.push(symbols[block], network.symbol_weights(total[block], place))

    def _pop_symbols(self, stack: Stack, index: int, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        plan, network, place = self.plans[index], self.network, SLOTS * index + BIN
        symbols, places = np.empty(len(total), np.int64), np.zeros(len(total), np.int64)
        starts = range(0, len(total), BLOCK)
        for start in starts:
            block = slice(start, start + BLOCK)
            symbols[block] = stack.pop(network.symbol_weights(total[block], place))
        if plan.places:
            allowed = plan.allowed
            for start in starts:
                block = slice(start, start + BLOCK)
                rows = np.flatnonzero(allowed[symbols[block]] > 1) + start
                if len(rows):
                    weights = network.place_weights(total[rows], place, symbols[rows], allowed[symbols[rows]])
                    places[rows] = stack.pop(weights)
        return symbols, places

    # What is kept.

    def settings(self) -> dict[str, Any]:
        return {
            "columns": [plan.settings() for plan in self.plans],
            "positions": self.positions,
            "hidden": self.hidden,
        }

    def parameters(self) -> bytes:
        # Plans and the lists of words are alike from column to column: together they pack better.
        plans = framed([plan.parameters() for plan in self.plans])
        if len(plans) > LARGEST_BLOCK:
            raise DataError(f"the columns' categories take {len(plans):,} bytes; the most are {LARGEST_BLOCK:,}")
        return framed([packed(plans), self.network.to_bytes()])

    @classmethod
    def restored(cls, settings: dict[str, Any], parameters: bytes) -> "TableCodec":
        held, weights = unframed(parameters)
        parts = unframed(unpacked(held))
        positions = [int(position) for position in settings["positions"]]
        if sorted(positions) != list(range(len(parts))) or len(settings["columns"]) != len(parts):
            raise ValueError("places of columns that are not those of a table")
        plans = [
            ColumnPlan.from_settings(column, part, index, range(index))
            for index, (column, part) in enumerate(zip(settings["columns"], parts, strict=True))
        ]
        if sum(len(plan.form.words) for plan in plans) > MOST_WORDS:
            raise ValueError("too many words")
        hidden = int(settings["hidden"])
        return cls(plans, positions, ColumnNetwork.from_bytes(weights, shapes_of(plans), hidden), hidden)

    def canonical(self, rows: pa.Table) -> bytes:
        parts = []
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            parts += [json.dumps([name, str(column.type)]).encode(), plain_bytes(whole(column))]
        return framed(parts)

    def joined(self, parts: list[pa.Table]) -> pa.Table:
        return pa.concat_tables(parts) if parts else self.schema.empty_table()

    def part(self, rows: pa.Table, start: int, stop: int) -> pa.Table:
        return rows.slice(start, stop - start)


def shapes_of(plans: list[ColumnPlan]) -> list[ColumnShape]:
    """The network's columns, `SLOTS` for each of the table's."""
    shapes = []
    for plan in plans:
        shapes.append(ColumnShape(MOST_DEPTH if plan.recall else 0, 0, 0))
        if plan.form.kind == "text":
            shapes.append(ColumnShape(0, 0, 0))
        elif plan.packed:
            shapes.append(ColumnShape(plan.contexts, 0, 0))
        else:
            shapes.append(ColumnShape(plan.contexts, plan.symbols, plan.places))
        shapes.append(ColumnShape(plan.grades, 0, 0))
    return shapes


def _less(room: int, taken: int) -> int:
    """The room that is left. Raises ValueError where there is none."""
    if taken > room:
        raise ValueError("more text than a chunk may have")
    return room - taken


def _storage(plan: ColumnPlan) -> pa.DataType:
    """The type of a column's cells as they are packed: of categories, their numbers."""
    return plan.form.type.index_type if pa.types.is_dictionary(plan.form.type) else plan.form.type
