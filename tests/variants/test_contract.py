"""Every variant that is found by name keeps the contract, on tables and on images."""

from collections.abc import Callable

import pytest
import torch

from isthmus import variants
from isthmus.core.options import Options
from isthmus.variants.base import Variant

from . import contract


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("domain", ["table", "image"])
@pytest.mark.parametrize("name", variants.names())
def test_variant(name: str, domain: str, check: Callable[[type[Variant], contract.Toy], None]) -> None:
    torch.set_num_threads(1)
    check(variants.find(name), contract.toy(domain))


@pytest.mark.parametrize("name", variants.names())
def test_variant_describes_itself(name: str) -> None:
    kind = variants.find(name)
    assert kind.__name__.lower() == name.replace("_", "")
    assert kind.title and "http" in kind.paper and kind.__doc__
    assert issubclass(kind.Options, Options)
    for option, field in kind.Options.declared().items():
        assert field.description, f"{option} has no line of help"
        kind.Options.check({option: field.default}, name)
