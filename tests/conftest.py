"""What tests of several folders share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def article() -> ModuleType:
    """`examples/article.py`, as a module."""
    found = importlib.util.spec_from_file_location("article", Path(__file__).parents[1] / "examples" / "article.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
