"""From a table to a codec: the order of its columns, how each is coded, and the network that foretells them.

Costs are estimated in bits from counts over the first rows; what they cannot say is measured: a column that the
trained network codes in more bytes than a general compressor is packed by that compressor instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..packing import packed
from .bins import MOST_BINS, Bins
from .cells import LONGEST_WORDS, MOST_WORDS, Form, plain_bytes, stored, whole
from .codec import BIN, DEPTH, GRADE, SLOTS, TableCodec, shapes_of
from .columns import MOST_CONTEXT, Column, ColumnPlan
from .network import MOST_WEIGHTS, ColumnNetwork
from .recall import Context, joint_keys
from .relations import PREVIOUS_ROW, Relation, Term, found
from .training import learned

# Rows that plans are made from: one chunk's worth, as they stand, so that repeats are as frequent as in a chunk.
PLANNING_ROWS = 65536
# Rows that contexts are looked for in.
SEARCH_ROWS = 16384
# A column of fewer bits per row is foretold well enough.
FORETOLD_BITS = 0.05
# Rows among which relations are looked for.
RELATION_ROWS = 4096
# What a number that a table of counts must hold costs, in bits.
ENTRY_BITS = 6.0
# Each bin has weights in the network, which fewer rows do not repay.
MANY_ROWS, FEWER_BINS = 100_000, 48
# Columns that others see by no more bins than this, where they are not coded by these bins.
SEEN_BINS = 32
# Weights of a column for each hidden unit, at most.
LARGEST_COLUMN = 1024
_WIDTHS = (1, 2, 5, 10)
# Kinds of columns whose numbers can be reckoned with.
NUMERIC = ("whole", "clock", "decimal", "grid")


def fitted(
    rows: pa.Table,
    total_rows: int,
    budget_seconds: float,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    tolerances: Mapping[str, float] | None = None,
) -> TableCodec:
    """A codec for a table of `total_rows`, of which `rows` are all, or a sample in the table's order; numbers of the
    columns that `tolerances` names may be off by that share of the column's range."""
    complete = rows.num_rows == total_rows
    allowed_error = tolerances or {}
    forms = [
        Form.fit(field.name, whole(column), allowed_error.get(field.name))
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    _keep_words_within_bounds(forms)
    numbers = [_numbers(form, whole(column)) for form, column in zip(forms, rows.columns, strict=True)]
    order = _order(forms, numbers)
    most = MOST_BINS if total_rows >= MANY_ROWS else FEWER_BINS
    plans: list[ColumnPlan] = []
    columns: list[Column] = []
    for position in order:
        plan = _plan(forms[position], numbers[position], plans, columns, complete, most)
        plans.append(plan)
        held = numbers[position]
        tokens = np.zeros(rows.num_rows, np.int64)
        if forms[position].kind != "text":
            tokens = plan.context_tokens(held.numbers, held.states)
        columns.append(Column(held.numbers, held.states, tokens))
    plans, columns, order = _with_a_plain_column_last(plans, columns, order)
    hidden = _hidden(total_rows, len(order))
    symbols = _symbols(plans, columns, rows.num_rows)
    allowed = [np.ones(1, np.int64)] * (SLOTS * len(plans))
    for index, plan in enumerate(plans):
        allowed[SLOTS * index + BIN] = plan.allowed
    network, bits = learned(symbols, shapes_of(plans), allowed, total_rows, hidden, budget_seconds, seed, progress)
    if _pack_what_is_smaller(plans, order, network, rows, bits[BIN::SLOTS]):
        network = _without_what_is_packed(plans, network)
    return TableCodec(plans, order, network, hidden)


def _with_a_plain_column_last(
    plans: list[ColumnPlan], columns: list[Column], order: list[int]
) -> tuple[list[ColumnPlan], list[Column], list[int]]:
    """The same columns with one last, and so first on the stack, that recalls nothing: pointers are drawn from bits
    that are already there. It is the one with most bits among those that no other plan asks for."""
    asked = {other for plan in plans for other in plan.asks_for}
    free = [
        index
        for index, plan in enumerate(plans)
        if index not in asked and not plan.recall and not plan.packed and not plan.relation.previous_row
    ]
    if not free or not any(plan.recall for plan in plans):
        return plans, columns, order
    last = max(free, key=lambda index: _entropy(columns[index].contexts)[0])
    moved = [*(index for index in range(len(plans)) if index != last), last]
    place = {old: new for new, old in enumerate(moved)}
    for plan in plans:
        plan.renumber(place)
    return [plans[index] for index in moved], [columns[index] for index in moved], [order[index] for index in moved]


def _keep_words_within_bounds(forms: list[Form]) -> None:
    """Lists of words that a reader would not take together become text, the longest first."""
    sizes = {index: sum(len(word.encode()) for word in form.words) for index, form in enumerate(forms) if form.words}
    while sizes and (
        sum(sizes.values()) > LONGEST_WORDS or sum(len(forms[index].words) for index in sizes) > MOST_WORDS
    ):
        longest = max(sizes, key=lambda index: (sizes[index], len(forms[index].words)))
        forms[longest].kind, forms[longest].words = "text", []
        del sizes[longest]


def _numbers(form: Form, cells: pa.Array) -> Column:
    if form.kind == "text":
        return Column.of_nothing(len(cells))
    held = form.cells(cells)
    return Column(held.numbers, held.states, np.zeros(len(cells), np.int64))


def _hidden(rows: int, columns: int) -> int:
    cells = rows * columns
    wanted = 16 if cells < 30_000 else 32 if cells < 300_000 else 64
    return max(1, min(wanted, MOST_WEIGHTS // (LARGEST_COLUMN * columns)))


def _order(forms: list[Form], numbers: list[Column]) -> list[int]:
    """Columns that the rows are sorted by first, then those with few values: what others can be foretold from."""

    def rank(position: int) -> tuple[int, int, int]:
        column = numbers[position]
        held = column.numbers[column.present][:PLANNING_ROWS]
        distinct = len(np.unique(column.numbers[column.present]))
        return (0 if _sorted_by(held) else 1, distinct, position)

    return sorted(range(len(forms)), key=rank)


def _sorted_by(held: np.ndarray) -> bool:
    """Whether steps from row to row are much cheaper than the numbers themselves."""
    if len(held) < 32 or len(np.unique(held)) < 3:
        return False
    return density_bits(np.diff(held)) < 0.6 * density_bits(held)


def density_bits(numbers: np.ndarray) -> float:
    """Bits for each number alone: by their frequencies, or by 64 bins of about equal mass, whichever is less."""
    if not len(numbers):
        return 0.0
    values, counts = np.unique(numbers, return_counts=True)
    share = counts / len(numbers)
    own = float(-(share * np.log2(share)).sum()) + len(values) * (ENTRY_BITS + 6) / len(numbers)
    if len(values) < 16:
        return own
    bins = Bins.fit(numbers, True, most_values=0)
    tokens = bins.tokens(numbers)
    width = np.log2((bins.high - bins.low).astype(np.uint64).astype(np.float64) + 1)
    share = np.bincount(tokens, minlength=len(bins)) / len(numbers)
    some = share > 0
    return min(own, float((share[some] * (width[some] - np.log2(share[some]))).sum()))


def _entropy(*parts: np.ndarray) -> tuple[float, int]:
    """(bits in all, how many combinations) of several columns of whole numbers."""
    keys = joint_keys(list(parts), len(parts[0]))
    counts = np.bincount(keys)
    return float(-(counts * np.log2(counts / len(keys))).sum()), len(counts)


def _plan(
    form: Form, column: Column, plans: list[ColumnPlan], columns: list[Column], complete: bool, most: int
) -> ColumnPlan:
    plan = ColumnPlan(form)
    if form.kind == "text":
        plan.packed = True
        return plan
    present = column.present
    numbers = column.numbers
    held = numbers[present]
    if len(held) > 2 and _sorted_by(held[:PLANNING_ROWS]):
        plan.relation = Relation([Term(PREVIOUS_ROW)], [0])
        steps = np.diff(held, prepend=held[0])
        plan.bins, plan.seen = Bins.fit(steps, False, most), Bins.fit(held, False, SEEN_BINS, SEEN_BINS)
        return plan
    distinct = len(np.unique(held[:PLANNING_ROWS]))
    plan.bins = Bins.fit(held, complete, most)
    costs = _costs(plan.bins, numbers, column.states, columns)
    if distinct > 16 and costs.in_all > FORETOLD_BITS and form.kind in NUMERIC:
        relation = _relation(column, plans, columns)
        residuals = numbers - relation.expected(lambda other: columns[other].numbers, len(numbers))
        bins = Bins.fit(residuals[present], complete, most)
        with_relation = _costs(bins, residuals, column.states, columns)
        if relation.terms and with_relation.in_all < 0.97 * costs.in_all:
            plan.relation, plan.bins, costs = relation, bins, with_relation
            plan.seen = Bins.fit(held, complete, SEEN_BINS, SEEN_BINS)
    if costs.in_all < FORETOLD_BITS:
        return plan
    if not plan.relation.terms and form.kind in NUMERIC:
        plan.bins = plan.bins.with_round_numbers(held)
    plan.copies = _copies(plan, column, columns)
    _plan_recall(plan, column, plans, columns, costs.foretold / max(costs.alone, 1e-9))
    if plan.recall_first:  # what is pointed to is seldom told by its grade
        plan.bins = Bins(plan.bins.low, plan.bins.high)
    return plan


@dataclass(frozen=True)
class _Costs:
    """Bits per row of a column: of its bins by their frequencies, of its bins given the best single earlier column, and
    of what tells the numbers of a bin apart, if all are equally likely."""

    alone: float
    foretold: float
    within: float

    @property
    def in_all(self) -> float:
        return self.foretold + self.within


def _costs(bins: Bins, numbers: np.ndarray, states: np.ndarray, columns: list[Column]) -> _Costs:
    rows = slice(0, PLANNING_ROWS)
    numbers, states = numbers[rows], states[rows]
    tokens = np.where(states == 0, bins.tokens(numbers), len(bins) + states)
    count = max(len(tokens), 1)
    bits, entries = _entropy(tokens)
    alone = best = bits + ENTRY_BITS * entries
    for other in columns:
        seen = other.contexts[rows]
        both, entries = _entropy(tokens, seen)
        best = min(best, both - _entropy(seen)[0] + ENTRY_BITS * entries)
    width = np.log2((bins.high - bins.low).astype(np.uint64).astype(np.float64) + 1)
    within = float(width[tokens[tokens < len(bins)]].sum())
    return _Costs(alone / count, best / count, within / count)


def _relation(column: Column, plans: list[ColumnPlan], columns: list[Column]) -> Relation:
    """The relation to earlier columns that leaves the cheapest residuals in a sample of rows."""
    present = np.flatnonzero(column.present)
    picked = present[np.random.default_rng(0).permutation(len(present))[:RELATION_ROWS]]
    earlier = [index for index, plan in enumerate(plans) if plan.form.kind in NUMERIC and plan.form.categories is None]
    return found(column.numbers[picked], earlier, lambda other: columns[other].numbers[picked], density_bits)


def _copies(plan: ColumnPlan, column: Column, columns: list[Column]) -> list[int]:
    """Up to three earlier columns that hold the same number in many rows in which it is no bin alone."""
    rows = slice(0, PLANNING_ROWS)
    numbers = column.numbers[rows]
    alone = np.append(plan.bins.alone, False)
    free = column.present[rows] & ~alone[plan.bins.tokens(numbers)]
    chosen: list[int] = []
    while len(chosen) < 3 and free.any():
        gains = [int((free & other.present[rows] & (other.numbers[rows] == numbers)).sum()) for other in columns]
        best = int(np.argmax(gains)) if gains else 0
        if not gains or gains[best] < 0.02 * len(numbers):
            break
        chosen.append(best)
        free &= columns[best].numbers[rows] != numbers
    return chosen


def _plan_recall(
    plan: ColumnPlan, column: Column, plans: list[ColumnPlan], columns: list[Column], share: float
) -> None:
    """Contexts in which earlier rows with the same number are worth pointing to; `share` of the bits that the bins have
    by their frequencies are left when they are foretold."""
    options = [(index, width) for index, plan_ in enumerate(plans) for width in _widths(plan_)]
    residuals = column.numbers - plan.relation.expected(lambda other: columns[other].numbers, len(column.numbers))
    search, chunk = (
        _RecallSearch(column, residuals, plan.bins, columns, options, share, most_rows)
        for most_rows in (SEARCH_ROWS, PLANNING_ROWS)
    )
    best: tuple[float, list[int], bool] = (chunk.nothing, [], False)
    for everything in (False, True):
        level = search.grown([], everything)
        cost = chunk.cost(level, everything)
        if cost < best[0] * (0.97 if not everything else 0.5):
            # Repeats are rarer in few rows than in a chunk, and what tells them apart is worth less there.
            level = chunk.grown(level, everything)
            best = (chunk.cost(level, everything), level, everything)
    if best[0] < 0.97 * chunk.nothing:
        plan.recall, plan.recall_first = [[options[each] for each in best[1]]], best[2]


class _RecallSearch:
    """What contexts would cost, in bits, over the first rows of a column. Options are (earlier column, width)."""

    def __init__(
        self,
        column: Column,
        residuals: np.ndarray,
        bins: Bins,
        columns: list[Column],
        options: list[tuple[int, int]],
        share: float,
        most_rows: int,
    ):
        rows = slice(0, most_rows)
        self.present = column.present[rows]
        tokens = np.where(self.present, bins.tokens(residuals[rows]), len(bins) + 1)
        # What each number costs without a pointer: places are foretold about as well as bins are.
        numbers, held = residuals[rows], np.minimum(tokens, len(bins))
        within = np.where(self.present, bins.bits_within(numbers, held), 0.0)
        rest = np.where(self.present, bins.rest_bits(numbers, held), 0.0)
        self.wide = rest > 0
        self.own = rest + share * (_bits_of_each(tokens) + within - rest)
        self.nothing = float(self.own.sum())
        self.numbers = np.unique(column.numbers[rows], return_inverse=True)[1]
        self.options = range(len(options))
        self.codes = [
            np.unique(columns[other].numbers[rows] // width, return_inverse=True)[1] for other, width in options
        ]

    def grown(self, level: list[int], everything: bool) -> list[int]:
        """The context with columns added, the best first, while each saves something."""
        cost = self.cost(level, everything)
        while len(level) < MOST_CONTEXT:
            trials = [(self.cost([*level, each], everything), each) for each in self.options if each not in level]
            if not trials or min(trials)[0] > 0.995 * cost:
                break
            cost, chosen = min(trials)
            level = [*level, chosen]
        return level

    def cost(self, level: list[int], everything: bool) -> float:
        """Bits of all rows with one context. Without `everything`, only numbers of which something lies below their
        places are looked for."""
        free = self.present if everything else self.wide
        if not free.any():
            return np.inf
        keys = np.zeros(len(free), np.int64)
        for each in level:
            keys = keys * (int(self.codes[each].max()) + 1) + self.codes[each]
            if int(keys.max()) >= 2**40:
                keys = np.unique(keys, return_inverse=True)[1]
        context = Context(np.where(free, keys, -1))
        numbered = keys * (int(self.numbers.max()) + 1) + self.numbers
        same = Context(np.where(free, numbered, -1)).earlier
        pointing = free & (same > 0)
        pointers = np.log2(context.earlier[pointing] / same[pointing]).sum()
        depth = np.frexp(context.earlier[free].astype(np.float64))[1]
        flags = _bits_of(2 * depth + pointing[free]) - _bits_of(depth)
        return float(pointers + flags + self.own[~pointing].sum())


def _widths(plan: ColumnPlan) -> tuple[int, ...]:
    if plan.form.kind == "text":
        return ()
    return _WIDTHS if len(plan.visible) > 16 and plan.form.kind != "words" else (1,)


def _bits_of_each(symbols: np.ndarray) -> np.ndarray:
    """Bits of each of many small whole numbers by their own frequencies."""
    return np.log2(len(symbols) / np.bincount(symbols)[symbols]) if len(symbols) else np.zeros(0)


def _bits_of(symbols: np.ndarray) -> float:
    """Bits of small whole numbers by their own frequencies."""
    counts = np.bincount(symbols)
    counts = counts[counts > 0]
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def _symbols(plans: list[ColumnPlan], columns: list[Column], count: int) -> np.ndarray:
    """What the network learns from: (rows, 3 · columns) contexts, symbols and places."""
    symbols = np.zeros((count, len(plans), SLOTS, 3), np.int64)
    symbols[..., 2] = -1
    known = columns.__getitem__
    for index, plan in enumerate(plans):
        if plan.recall:
            symbols[:, index, DEPTH, 0] = plan.depth(known, count)
        symbols[:, index, BIN, 0] = columns[index].contexts
        if plan.grades:
            symbols[:, index, GRADE, 0] = plan.grades_of(columns[index])
        if plan.packed:
            continue
        first = np.flatnonzero(columns[index].present)
        base = int(columns[index].numbers[first[0]]) if len(first) else 0
        own, residuals = plan.symbols_of(columns[index], known, base)
        symbols[:, index, BIN, 1] = own
        many = plan.allowed[own] > 1
        symbols[many, index, BIN, 2] = plan.bins.places_of(residuals[many], own[many])
    return symbols.reshape(count, 3 * SLOTS * len(plans))


def _pack_what_is_smaller(
    plans: list[ColumnPlan], order: list[int], network: ColumnNetwork, rows: pa.Table, bits: np.ndarray
) -> bool:
    """Pack the columns that a general compressor makes smaller than the network does, its weights for them counted;
    whether there are any."""
    sample = rows.slice(0, PLANNING_ROWS)
    count = max(sample.num_rows, 1)
    shares = network.share_of_bytes()
    changed = False
    for index, (plan, position) in enumerate(zip(plans, order, strict=True)):
        if plan.packed or plan.recall:
            continue
        own = bits[index] * count / 8 + _rest_bits(plan, sample, position) / 8
        own += shares[SLOTS * index + BIN] * count / max(rows.num_rows, 1)
        if own > len(packed(plain_bytes(stored(whole(sample.column(position)))))):
            plan.packed, changed = True, True
    return changed


def _without_what_is_packed(plans: list[ColumnPlan], network: ColumnNetwork) -> ColumnNetwork:
    """The network without the weights that foretold columns which are packed now."""
    shapes = shapes_of(plans)
    weights = [
        {name: held[name] for name in shape.weights(1)} for shape, held in zip(shapes, network.integers, strict=True)
    ]
    return ColumnNetwork(shapes, network.hidden, weights)


def _rest_bits(plan: ColumnPlan, sample: pa.Table, position: int) -> float:
    held = plan.form.cells(whole(sample.column(position)))
    if plan.relation.terms:
        return 0.0
    numbers = held.numbers[held.present]
    tokens = plan.bins.tokens(numbers)
    inside = tokens < len(plan.bins)
    return float(plan.bins.rest_bits(numbers[inside], tokens[inside]).sum())
