"""Variants, one file each, found by file name: adding `variants/my_vae.py` adds the variant `my_vae`."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from ..core.errors import OptionError

if TYPE_CHECKING:
    from .base import Variant


@cache
def names() -> tuple[str, ...]:
    """The names of all variants; reads the folder, imports nothing."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name != "base"))


def find(name: str) -> "type[Variant]":
    """The variant of this name; only names in this folder are ever imported."""
    if name not in names():
        raise OptionError(f"unknown model '{name}'; the models are {', '.join(names())}")
    from .base import Variant

    module = import_module(f"{__name__}.{name}")
    (variant,) = (
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Variant) and thing.__module__ == module.__name__
    )
    return variant
