"""Domains, one file or folder each, found by name: adding `domains/my_rows.py` adds the domain `my_rows`."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from ..core.errors import DataError, OptionError

if TYPE_CHECKING:
    from .base import Domain


@cache
def names() -> tuple[str, ...]:
    """The names of all domains; reads the folder, imports nothing."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name != "base"))


def find(name: str) -> "type[Domain]":
    """The domain of this name; only names in this folder are ever imported."""
    if name not in names():
        raise OptionError(f"unknown kind of data '{name}'; the kinds are {', '.join(names())}")
    from .base import Domain

    module = import_module(f"{__name__}.{name}")
    (domain,) = (
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Domain) and getattr(thing, "name", None) == name
    )
    return domain


def choose(rows: Any) -> "type[Domain]":
    """The domain whose rows these are."""
    for name in names():
        domain = find(name)
        if domain.claims(rows):
            return domain
    raise DataError(
        f"data of type {type(rows).__name__} is neither a table, images, counts, texts nor series; give a DataFrame, "
        "a 2-D array, an array of images n×h×w or n×h×w×c, a scipy sparse matrix, a list of texts, a list of series, "
        "one array each, or several of these by name"
    )
