"""Texts as sequences of whole numbers and back, exactly: bytes, or pairs of bytes that were learned."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from ...core.errors import DataError, OptionError

# The most symbols that are learned; fewer where texts are few.
MOST_PAIRS = 2048
# So many characters of text teach one symbol.
CHARACTERS_PER_PAIR = 250
# A pair that occurs less often is not one.
LEAST_OCCURRENCES = 2


class Symbols(ABC):
    """An alphabet of `count` symbols, in which every text can be written."""

    name: ClassVar[str]
    count: int

    @abstractmethod
    def written(self, texts: Sequence[str]) -> list[list[int]]:
        """The symbols of each text."""

    @abstractmethod
    def read(self, symbols: Sequence[int]) -> str:
        """The text of these symbols. Bytes that are no UTF-8 become U+FFFD, as in texts that are drawn."""

    @abstractmethod
    def spelt(self, symbol: int) -> bytes:
        """The bytes of one symbol."""

    @abstractmethod
    def facts(self) -> str | None:
        """What was learned of the texts, as text."""


class Bytes(Symbols):
    """The 256 bytes of UTF-8."""

    name: ClassVar[str] = "bytes"
    count = 256

    def written(self, texts: Sequence[str]) -> list[list[int]]:
        return [list(text.encode("utf-8")) for text in texts]

    def read(self, symbols: Sequence[int]) -> str:
        return bytes(symbols).decode("utf-8", "replace")

    def spelt(self, symbol: int) -> bytes:
        return bytes([symbol])

    def facts(self) -> None:
        return None


class BytePairs(Symbols):
    """Bytes, and sequences of bytes that are frequent in the texts that were learned from (Sennrich et al., 2016,
    https://arxiv.org/abs/1508.07909; of bytes: Radford et al., 2019). By the library tokenizers."""

    name: ClassVar[str] = "byte_pairs"

    def __init__(self, description: str):
        """Raises ValueError if the description is none that `facts` gave."""
        library = _library()
        stated = json.loads(description)
        # What is not ours is not handed to a library that trusts its files.
        if not isinstance(stated, dict) or (stated.get("model") or {}).get("type") != "BPE" or stated.get("normalizer"):
            raise ValueError("pairs of bytes are described by a BPE model without a normaliser")
        try:
            self._tokeniser = library.Tokenizer.from_str(description)
        except Exception as failure:  # the library raises nothing more particular
            raise ValueError(f"pairs of bytes are not described by this: {failure}") from None
        self.count = self._tokeniser.get_vocab_size()
        spellings = {value: key for key, value in _letters_of_bytes().items()}
        vocabulary = self._tokeniser.get_vocab()
        self._spelt = [b""] * self.count
        for spelling, number in vocabulary.items():
            self._spelt[number] = bytes(spellings[letter] for letter in spelling)
        if {spelt for spelt in self._spelt if len(spelt) == 1} != {bytes([byte]) for byte in range(256)}:
            raise ValueError("pairs of bytes should hold each of the 256 bytes")

    @classmethod
    def learned(cls, texts: Sequence[str]) -> "BytePairs":
        library = _library()
        count = min(MOST_PAIRS, 256 + sum(map(len, texts)) // CHARACTERS_PER_PAIR)
        tokeniser = library.Tokenizer(library.models.BPE())
        tokeniser.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokeniser.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=count,
            min_frequency=LEAST_OCCURRENCES,
            show_progress=False,
            initial_alphabet=sorted(_letters_of_bytes().values()),
        )
        tokeniser.train_from_iterator(texts, trainer, length=len(texts))
        return cls(tokeniser.to_str())

    def written(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokeniser.encode_batch(list(texts), add_special_tokens=False)]

    def read(self, symbols: Sequence[int]) -> str:
        return b"".join(self._spelt[symbol] for symbol in symbols).decode("utf-8", "replace")

    def spelt(self, symbol: int) -> bytes:
        return self._spelt[symbol]

    def facts(self) -> str:
        return self._tokeniser.to_str()


ALPHABETS = (Bytes.name, BytePairs.name)


def learned(name: str, texts: Sequence[str]) -> Symbols:
    """The alphabet of this name, learned from texts where there is something to learn."""
    return Bytes() if name == Bytes.name else BytePairs.learned(texts)


def revived(name: str, facts: Any) -> Symbols:
    """The alphabet of this name that `facts` described; raises ValueError if they describe none."""
    if name not in ALPHABETS:
        raise ValueError(f"no alphabet is called {name!r}")
    return Bytes() if name == Bytes.name else BytePairs(str(facts))


def _letters_of_bytes() -> dict[int, str]:
    """The printable letter that stands for each byte in the library's files: Radford et al.'s table."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise OptionError(
            "likelihood='byte_pairs' needs the library tokenizers: pip install 'isthmus[text]', or leave it at 'bytes'"
        ) from None
    return tokenizers


def check_symbols(sequences: Sequence[Sequence[int]]) -> None:
    """Raises DataError where no text holds anything."""
    if not any(len(each) for each in sequences):
        raise DataError("every text is empty: there is nothing to learn")
