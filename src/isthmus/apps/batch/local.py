"""The engine `local`: this process writes the parts, one after another, with all its threads."""

from collections.abc import Iterable, Iterator

from .manifest import Part
from .parts import PartWriter, Written


def write(writer: PartWriter, parts: Iterable[Part]) -> Iterator[Written]:
    """Write parts, and tell each as it is done."""
    for part in parts:
        yield writer.write(part)
