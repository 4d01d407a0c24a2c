"""What every domain is: rows ↔ one tensor, the networks that suit them, and how likely a row is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from ..core.errors import DataError, OptionError
from ..core.randomness import Randomness
from ..core.sparse import HeldRows, dense
from ..parts.networks import Encoder

Rows = Any  # what a user hands over: a DataFrame, an array, a list of images


@dataclass(frozen=True)
class NetworkOptions:
    """How large the networks are. `hidden="auto"` and `network="auto"` leave the choice to the domain."""

    hidden: tuple[int, ...] | str = "auto"
    network: str = "auto"  # "auto", "dense", "convolutional", "residual" or "attention"
    activation: str = "relu"

    def given_widths(self, convolutional: bool) -> tuple[int, ...] | None:
        """The widths that were asked for, None for "auto"; raises OptionError where convolutions would have none."""
        if isinstance(self.hidden, str):
            return None
        if convolutional and not self.hidden:
            raise OptionError("hidden=(): a convolutional network needs at least one width; give some, or 'auto'")
        return self.hidden


class Survey(ABC):
    """What a schema must know of all rows, learned from one pass over them, a few at a time.

    A schema is fitted to a sample and to the witnesses: rows that are extreme or unlike the others in some column, few
    in number. With them the ranges of numbers, and whether cells are ever missing or ever whole, are those of all rows.
    """

    @abstractmethod
    def add(self, rows: Rows, first: int) -> None:
        """Look at some rows; `first` is the number of the first of them, for messages. Raises DataError for cells that
        cannot be modelled."""

    @abstractmethod
    def witnesses(self) -> Rows:
        """The rows to fit beside the sample; only after some were added."""

    def refined(self, domain: "Domain") -> "Domain":
        """The domain that was fitted to the sample and the witnesses, with what was counted over all rows."""
        return domain


class Domain(ABC):
    """Rows of one kind. `fit` learns a schema from them; the schema is plain JSON and all there is to save.

    Tensors have rows first and NaN where a cell is missing. They are exact: `rows(tensors(x))` gives x back. Rows of
    few numbers other than 0 are held as `SparseRows`; batches of them, and what networks see, are dense tensors.
    """

    name: ClassVar[str]
    called: ClassVar[str]  # rows of this kind in a sentence: "the model was fitted to images"
    picture_kind: ClassVar[str]  # what `pictures` gives: "image", "table" or "text"
    named_columns: ClassVar[bool] = False  # whether each column has a meaning and a scale; pixels share theirs
    explicable: ClassVar[bool] = False  # whether scores are told by columns: each can be missing, and be expected
    column_word: ClassVar[str]  # what one column of `matrix` is: a column, a pixel, a step
    effect_unit: ClassVar[str]  # what differences in `matrix` are counted in, in words
    detectable: ClassVar[bool] = True  # whether a detector can learn from such rows
    checks_rows: ClassVar[bool] = False  # whether rows are not for scikit-learn's checks: `tensors` makes them all
    family: str  # the likelihood that was asked for or chosen, in a word
    likelihoods: ClassVar[tuple[str, ...]]  # what `likelihood=` may be, besides "auto"
    fit_options: ClassVar[tuple[str, ...]] = ()  # options of rows of this kind alone that `fit` takes besides
    place_name: ClassVar[str | None] = None  # "step" or "pixel": what `places` are, for rows that have them
    augmentations: ClassVar[tuple[str, ...]] = ()  # what `augment=` may hold
    # Whether a row is numbers and categories side by side, so that distances and missing cells mean something.
    side_by_side: bool = True
    # Nats that each latent unit may carry for nothing, where a decoder would else learn to do without codes.
    free_bits: float = 0.0
    # So many fitted rows say, at most, which scores are unusual.
    calibration_rows: ClassVar[int] = 5_000
    # How many numbers networks hold for each cell while they go through a row; it says how many rows a batch has.
    numbers_per_cell: ClassVar[int] = 1

    @classmethod
    @abstractmethod
    def accepts(cls, rows: Rows) -> bool:
        """Whether rows of this type can be this domain's."""

    @classmethod
    def claims(cls, rows: Rows) -> bool:
        """Whether rows of this type belong here when `data="auto"`."""
        return cls.accepts(rows)

    @classmethod
    def indexed(cls, rows: Rows) -> Rows:
        """The same rows in a container of which some can be picked by their numbers, which a list is not."""
        return rows

    @classmethod
    def numbers_per_row(cls, rows: Rows) -> int:
        """How many numbers a row holds, of rows of several lengths the longest: scikit-learn's `n_features_in_`."""
        return max(1, math.prod(rows.shape[1:]))

    @classmethod
    @abstractmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Domain":
        """Learn the schema. `strict` refuses columns from which nothing can be learned, by name. `missing` cells are
        "ignored" or "modelled" by the likelihood, or as it is usual with it."""

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Domain", list[Tensor]]:
        """A domain that knows the rows of all these named sets, and each set's tensor, to compare them by.

        Nothing is refused for being constant. Raises DataError, naming the set, where its rows cannot stand beside
        those of the first.
        """
        first, *others = sets
        for other in others:
            shapes = [tuple(np.shape(sets[name])[1:]) for name in (first, other)]
            if shapes[0] != shapes[1]:
                raise DataError(f"{other}: each of shape {shapes[1]}, where {first} are of shape {shapes[0]}")
        domain = cls.fit(np.concatenate(list(sets.values())), strict=False)
        return domain, [dense(domain.tensors(rows)) for rows in sets.values()]

    @classmethod
    @abstractmethod
    def survey(cls) -> Survey:
        """A survey of rows of this kind that are too many to be fitted at once."""

    @classmethod
    @abstractmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Domain":
        """The domain that `schema` described; raises KeyError, TypeError or ValueError if it is not one."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """All that was learned, as JSON."""

    @abstractmethod
    def tensors(self, rows: Rows) -> HeldRows:
        """Rows → tensor (rows, …). Raises DataError naming the place if they do not fit the schema."""

    @abstractmethod
    def rows(self, tensor: HeldRows) -> Rows:
        """Tensor → rows, in the container (DataFrame, array, …), names and types that were fitted."""

    def guesses(self, tensor: HeldRows) -> Rows:
        """`rows` of what is expected, for domains whose expected values say more than the rows nearest to them."""
        return self.rows(tensor)

    def held(self, batch: Tensor) -> HeldRows:
        """A batch of new rows in the form that `tensors` gives, so that many of them take no more memory than it."""
        return batch

    @property
    def text_columns(self) -> list[str]:
        """Columns whose cells are text: who reads them from a file of text must not make a number of 01234."""
        return []

    def notes(self) -> list[str]:
        """Sentences about the fitted rows that their owner may want to act on, such as a column of names."""
        return []

    def surprises(self, rows: Rows) -> list[str]:
        """Sentences about what these rows hold that the fitted ones did not, such as unseen categories."""
        return []

    def with_heavy_tails(self) -> "Domain":
        """A domain of the same tensors, for networks that outliers should not pull: what has an order, whole numbers
        too, is a density with heavy tails there."""
        return self

    def draw(self, x: Tensor, randomness: Randomness) -> Tensor:
        """A batch as one pass of training sees it: the rows themselves, unless the likelihood asks for draws."""
        return x

    def augmented(self, x: Tensor, kinds: tuple[str, ...], randomness: Randomness) -> Tensor:
        """A batch changed at random in ways that leave rows what they are, some of `augmentations`; training alone sees
        it."""
        return x

    @property
    def places(self) -> np.ndarray | None:
        """For series and images: at which step or pixel each cell of a row's tensor is, −1 for what is at none."""
        return None

    def maps(self, shares: np.ndarray) -> list[str]:
        """Shares from 0 to 1 of the columns of `matrix`, (maps, columns), drawn where the columns are: PNG files in
        base64. For rows with `places`."""
        raise DataError(f"{self.name} data has no places to draw on")

    # What networks see, and what the decoder says.

    @abstractmethod
    def features(self) -> nn.Module:
        """A fixed map from tensors to floats (rows, feature_count) without NaN."""

    @abstractmethod
    def from_features(self, features: Tensor) -> Tensor:
        """The rows nearest to such features: the inverse of `features` for rows without missing cells."""

    @abstractmethod
    def encoder(self, outputs: int, options: NetworkOptions, hides_cells: bool = False) -> Encoder:
        """Tensors → (rows, outputs). With `hides_cells`, any cell may be missing, also where none was when fitted.

        Raises OptionError where no cell can be missing.
        """

    @abstractmethod
    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> nn.Module:
        """Codes (..., inputs) → a Likelihood of tensors. With `shared_noise`, densities share one learned scale."""

    @abstractmethod
    def log_volume(self, x: HeldRows) -> Tensor:
        """What to add to a likelihood's log_prob so that it is that of the rows as the user knows them, shape (rows,).

        log |d scaled / d value| of features with a density, since likelihoods speak of scaled numbers; features that
        have a probability mass contribute nothing. And the log-probability of whatever else of a row the likelihood
        takes as known, such as the total of its counts."""

    # What evaluation sees.

    @abstractmethod
    def matrix(self, x: HeldRows) -> np.ndarray:
        """float64 (rows, columns), NaN where missing: scaled numbers, category codes where `categorical` says so."""

    @abstractmethod
    def from_matrix(self, matrix: np.ndarray) -> Tensor:
        """The tensor of rows in the form of `matrix`, which may hold cells that no row ever had: its inverse."""

    @abstractmethod
    def values(self, x: HeldRows) -> np.ndarray:
        """As `matrix`, with numbers in the user's own units."""

    def summary(self, x: HeldRows) -> tuple[np.ndarray, np.ndarray]:
        """What sets of rows are compared by: a matrix like that of `matrix`, and which of its columns are categories.

        The same as `matrix`, where cells in one place have the same meaning in every row."""
        return self.matrix(x), self.categorical

    @property
    def summary_names(self) -> list[str]:
        """Names of the columns of `summary`."""
        return self.column_names

    @property
    @abstractmethod
    def density(self) -> np.ndarray:
        """Boolean mask over the columns of `matrix`: those whose likelihood is a density, not a probability."""

    @property
    @abstractmethod
    def categorical(self) -> np.ndarray:
        """Boolean mask over the columns of `matrix`."""

    @property
    @abstractmethod
    def column_names(self) -> list[str]:
        """Names of the columns of `matrix`."""

    @property
    def turned_names(self) -> list[str]:
        """Names of what turning a latent unit moves: the columns of `matrix`, or the symbols of
        `Likelihood.shares`."""
        return self.column_names

    # What a report shows.

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """{"shape": such as "8 × 8 pixels" or "7 columns", "columns": [{"name", "kind"}], which images leave empty,
        and "pictures": what they show, where that needs saying}."""

    def heat(self, x: Tensor, log_prob: np.ndarray) -> list[list[tuple[str, float]]] | None:
        """Each row in pieces, with how surprising each piece is in nats, given the log-probabilities of its steps
        (rows, steps); None for rows that are not read piece by piece."""
        return None

    def told(self, values: np.ndarray, steps: range, worst: int) -> str:
        """A stretch of steps of a row of `values`, for domains that go step by step: the numbers at its worst step."""
        return ", ".join("missing" if np.isnan(value) else f"{value:.6g}" for value in values[self.places == worst])

    @abstractmethod
    def pictures(self, x: HeldRows) -> list[Any]:
        """Each row as a person can look at it: a PNG file in base64, a list of cells as text, None where missing, or a
        text."""


class DomainNetworks:
    """The networks of one domain at one size: what a variant is given to build itself from."""

    def __init__(self, domain: Domain, options: NetworkOptions):
        self.domain, self.options = domain, options

    @property
    def free_bits(self) -> float:
        return self.domain.free_bits

    def encoder(self, outputs: int, hides_cells: bool = False) -> Encoder:
        return self.domain.encoder(outputs, self.options, hides_cells)

    def decoder(self, inputs: int, shared_noise: bool = False) -> nn.Module:
        return self.domain.decoder(inputs, self.options, shared_noise)
