"""Rounds of measurements taken in turn, and what they say: medians, spreads and ratios.

A machine that others share changes its speed by the minute. In a round every contender is measured once, one after the
other; a ratio is taken within a round, and the rounds' median says how two contenders compare.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


@dataclass
class Rounds(Generic[Measured]):
    """What each contender did, by round; a contender may lack rounds."""

    results: dict[str, dict[int, Measured]] = field(default_factory=dict)

    def note(self, name: str, round_number: int, result: Measured) -> None:
        self.results.setdefault(name, {})[round_number] = result

    def values(self, name: str, of: Callable[[Measured], float]) -> dict[int, float]:
        """A number of a contender's, by round."""
        return {number: of(result) for number, result in self.results.get(name, {}).items()}

    def spread(self, name: str, of: Callable[[Measured], float]) -> Spread:
        return Spread.of(list(self.values(name, of).values()))

    def ratios(self, name: str, other: str, of: Callable[[Measured], float]) -> Spread | None:
        """`name` over `other`, taken in each round that both were measured in; None where there is no such round."""
        ours, theirs = self.values(name, of), self.values(other, of)
        shared = [ours[number] / theirs[number] for number in ours if number in theirs]
        return Spread.of(shared) if shared else None


def steady_rate(rows_per_second: Sequence[float]) -> float:
    """The median rate of all epochs but the first, which compiles and warms up; of one epoch, its own."""
    return statistics.median(rows_per_second[1:] or rows_per_second)


def turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Every name once in each round; each round starts with another, so that nobody always follows the same one."""
    for number in range(rounds):
        start = number % len(names)
        for name in [*names[start:], *names[:start]]:
            yield number, name
