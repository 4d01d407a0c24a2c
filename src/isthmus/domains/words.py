"""Texts as bags of words: which words each has and how often, whatever their order. Units of the code are topics."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from torch import Tensor, nn

from ..core.errors import DataError
from ..core.sparse import HeldRows, SparseRows, dense
from ..parts.networks import Decoder
from .base import NetworkOptions, Rows, Survey
from .counts import Counts
from .text import checked, indexed, is_text

# Letters and digits, and what joins them within a word.
WORD = re.compile(r"\w+(?:['’\-]\w+)*")
MOST_WORDS = 5_000
# Words in fewer texts teach nothing; those in a larger share of many texts tell none from the others.
FEWEST_TEXTS, LARGEST_SHARE, MANY_TEXTS = 2, 0.5, 100
# Words that are told of a row that is expected or shown.
MOST_TOLD = 12
# The spread of initial weights of words in topics.
FIRST_TOPIC = 0.02


class Words(Counts):
    """Texts as counts of their words, in small letters; tensors are those of counts, rows come back as the words that
    they have, in alphabetical order.

    Words in fewer than two texts are left out, and those in more than half of them, where there are many.
    The decoder is a linear map from what is positive of each unit, so that a unit is a topic that a text has more or
    less of, and a row's shares of words are a product of its topics (ProdLDA, Srivastava & Sutton, 2017,
    https://arxiv.org/abs/1703.01488, without a sum of 1 over topics).
    """

    name: ClassVar[str] = "words"
    called: ClassVar[str] = "texts"
    picture_kind: ClassVar[str] = "text"
    column_word: ClassVar[str] = "word"
    checks_rows: ClassVar[bool] = True
    words: tuple[str, ...] = ()

    @classmethod
    def accepts(cls, rows: Rows) -> bool:
        return is_text(rows)

    @classmethod
    def claims(cls, rows: Rows) -> bool:
        return False  # texts are read in their order, unless words are asked for

    @classmethod
    def indexed(cls, rows: Rows) -> Rows:
        return indexed(rows)

    @classmethod
    def numbers_per_row(cls, rows: Rows) -> int:
        return MOST_WORDS

    @classmethod
    def fit(cls, rows: Rows, likelihood: str = "auto", strict: bool = True, missing: str = "auto") -> "Words":
        split = [words_of(text) for text in checked(rows)]
        words = _vocabulary(split)
        if len(words) < 2:
            raise DataError("too few words occur in two texts to learn from them; give more texts, or data='text'")
        matrix = _counted(split, words)
        family = "multinomial" if likelihood == "auto" else likelihood
        domain = super().fit(matrix, family, strict=False, missing=missing)
        assert isinstance(domain, Words)
        domain.words = words
        return domain

    @classmethod
    def fit_together(cls, sets: Mapping[str, Rows]) -> tuple["Words", list[Tensor]]:
        domain = cls.fit(np.concatenate([indexed(rows) for rows in sets.values()]), strict=False)
        return domain, [dense(domain.tensors(rows)) for rows in sets.values()]

    @classmethod
    def survey(cls) -> Survey:
        raise DataError("texts are not read a part at a time; fit takes them whole, as a list of strings")

    @classmethod
    def from_schema(cls, schema: dict[str, Any]) -> "Words":
        domain = super().from_schema(schema)
        assert isinstance(domain, Words)
        domain.words = tuple(str(word) for word in schema["words"])
        if len(domain.words) != domain.width or list(domain.words) != sorted(set(domain.words)):
            raise ValueError("words are as many as their counts, each once, in order")
        return domain

    def schema(self) -> dict[str, Any]:
        return super().schema() | {"words": list(self.words)}

    def tensors(self, rows: Rows) -> SparseRows:
        return super().tensors(_counted([words_of(text) for text in checked(rows)], self.words))

    def rows(self, tensor: HeldRows) -> Rows:
        counts = super().rows(tensor)
        texts = []
        for start, end in pairwise(counts.indptr):
            places = np.repeat(counts.indices[start:end], counts.data[start:end])
            texts.append(" ".join(self.words[place] for place in places))
        return texts

    def guesses(self, tensor: HeldRows) -> Rows:
        """The words that are expected most, the first of them first."""
        return [" ".join(self._first(row)) for row in self.values(tensor)]

    def notes(self) -> list[str]:
        words = f"{self.width:,} words are counted; those in one text alone, and the commonest, are not"
        return [words, *(note for note in super().notes() if not note.startswith("likelihood"))]

    def surprises(self, rows: Rows) -> list[str]:
        known = set(self.words)
        unknown = sum(known.isdisjoint(words_of(text)) for text in checked(rows))
        texts = "1 text holds" if unknown == 1 else f"{unknown:,} texts hold"
        return [f"{texts} none of the words that are counted"] if unknown else []

    def decoder(self, inputs: int, options: NetworkOptions, shared_noise: bool = False) -> Decoder:
        if not isinstance(options.hidden, str):
            return super().decoder(inputs, options, shared_noise)
        head = self.head()
        topics = nn.Linear(inputs, self.width * head.outputs_per_column)
        nn.init.normal_(topics.weight, std=FIRST_TOPIC)
        nn.init.zeros_(topics.bias)
        return Decoder(nn.Sequential(nn.Softplus(), topics), head)

    @property
    def column_names(self) -> list[str]:
        return list(self.words)

    def describe(self) -> dict[str, Any]:
        shown = f"of each text the {MOST_TOLD} words that it has most are shown, with their counts"
        return {"shape": f"counts of {self.width:,} words", "columns": [], "pictures": shown}

    def pictures(self, x: HeldRows) -> list[str]:
        """The words that each row has most, with their counts."""
        return [
            ", ".join(f"{self.words[place]} {_shown(row[place])}" for place in self._most(row))
            for row in self.values(x)
        ]

    def _first(self, counts: np.ndarray) -> list[str]:
        return [self.words[place] for place in self._most(counts)]

    def _most(self, counts: np.ndarray) -> np.ndarray:
        order = np.argsort(-counts, kind="stable")[:MOST_TOLD]
        return order[counts[order] > 0]


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return WORD.findall(text.lower())


def _vocabulary(texts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The words that are counted, in alphabetical order."""
    texts_with = Counter(word for words in texts for word in set(words))
    most = LARGEST_SHARE * len(texts) if len(texts) >= MANY_TEXTS else len(texts)
    kept = [word for word, count in texts_with.items() if FEWEST_TEXTS <= count <= most]
    return tuple(sorted(sorted(kept, key=lambda word: (-texts_with[word], word))[:MOST_WORDS]))


def _counted(texts: Sequence[Sequence[str]], words: Sequence[str]) -> Any:
    """How often each text has each word, a `scipy.sparse.csr_array`."""
    place = {word: number for number, word in enumerate(words)}
    counts = [Counter(place[word] for word in own if word in place) for own in texts]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in counts])])
    columns = np.array([column for own in counts for column in sorted(own)], np.int32)
    values = np.array([own[column] for own in counts for column in sorted(own)], np.int64)
    return scipy.sparse.csr_array((values, columns, starts), shape=(len(counts), len(words)))


def _shown(count: float) -> str:
    return f"{count:.0f}" if count == round(count) else f"{count:.2g}"
