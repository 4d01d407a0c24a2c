"""Round numbers: people pay 5,000 and not 5,013, and clocks are read to five minutes.

Steps, each a multiple of the one before, divide whole numbers into grades: grade 0 are the multiples of no step, grade
k those of the k-th step but not of the next. Within a bin a grade is foretold first, and then one of the bin's numbers
of that grade, of which there are few if they are round.
"""

from dataclasses import dataclass, field

import numpy as np

MOST_STEPS = 8
# Numbers whose grades are counted lie within this, in bins no wider than that, so that nothing overflows.
FARTHEST, WIDEST = 2**53, 2**32
# What people round to: powers of ten and their halves, quarters and doubles, dozens, and the parts of hours and days.
_FIRST = (2, 4, 8, 16, 5, 10, 20, 25, 50, 12, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
CANDIDATES = tuple(sorted({*_FIRST, *(part * 10**power for power in range(1, 8) for part in (10, 20, 25, 50))}))


@dataclass(frozen=True)
class Roundness:
    """Steps in rising order; none, and all numbers are of grade 0."""

    steps: tuple[int, ...] = ()
    _steps: np.ndarray = field(init=False, repr=False, compare=False)
    _ratios: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        before = (1, *self.steps)
        if len(self.steps) > MOST_STEPS or any(
            step <= last or step % last or step >= WIDEST for last, step in zip(before, self.steps, strict=False)
        ):
            raise ValueError(f"steps {list(self.steps)} that are no multiples of each other")
        object.__setattr__(self, "_steps", np.array(before, np.int64))
        # Of the multiples of a grade's step, every so-many-th is one of the next step too; of the last grade none is.
        object.__setattr__(self, "_ratios", self._steps[1:] // self._steps[:-1])

    def __len__(self) -> int:
        return len(self.steps)

    def grades(self, numbers: np.ndarray) -> np.ndarray:
        """The grade of each number, 0 … `len(self)`."""
        grades = np.zeros(len(numbers), np.int64)
        for grade, step in enumerate(self.steps, 1):
            grades[numbers % step == 0] = grade
        return grades

    def ranks(self, numbers: np.ndarray, grades: np.ndarray) -> np.ndarray:
        """How many numbers of a grade lie above 0 and up to each number; below 0, less 1 for each that lies between.

        The numbers of a grade have ranks that follow one another.
        """
        multiples = numbers // self._steps[grades]
        below = grades < len(self.steps)
        multiples[below] -= multiples[below] // self._ratios[grades[below]]
        return multiples

    def numbers(self, ranks: np.ndarray, grades: np.ndarray) -> np.ndarray:
        """The number of each rank in its grade."""
        multiples = ranks.copy()
        below = grades < len(self.steps)
        multiples[below] += (ranks[below] - 1) // (self._ratios[grades[below]] - 1)
        return multiples * self._steps[grades]

    def counts(self, low: np.ndarray, high: np.ndarray, grades: np.ndarray) -> np.ndarray:
        """How many numbers of a grade each range [low, high] holds."""
        return self.ranks(high, grades) - self.ranks(low - 1, grades)


NO_STEPS = Roundness()
