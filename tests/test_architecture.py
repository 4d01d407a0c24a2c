"""What docs/architecture.md promises of the whole: imports point one way, nothing global changes, one declaration."""

import ast
import importlib
import inspect
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import isthmus
from isthmus import variants
from isthmus.estimator import stubs
from isthmus.estimator.public import declared_options

ROOT = Path(isthmus.__file__).parent
DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"

# From the bottom up; what stands on one line does not know each other.
LAYERS = (
    {"core"},
    {"parts", "files", "evaluation", "report"},
    {"variants", "domains"},
    {"training"},
    {"compression"},
    {"estimator"},
    {"saving", "explaining", "evaluating"},
    {"comparison"},
    {"apps"},
)
# The package's front door and `python -m isthmus` stand outside: they name everything and import it when asked.
DOORS = {"__init__", "__main__"}
# Domains that are made of others: a bag of words is counts of what texts hold.
MADE_OF_OTHERS = {"words": {"counts", "text"}}
# Imports that point up, and must be made when they are needed, inside a function.
UPWARD = {
    ("estimator/base.py", "saving"),
    ("estimator/base.py", "explaining"),
    ("estimator/detector.py", "saving"),
}


class Import(NamedTuple):
    file: str
    importer: tuple[str, ...]  # the module's path below isthmus, such as ("variants", "vae")
    imported: tuple[str, ...]
    line: int
    lazy: bool  # inside a function


def imports_of(path: Path) -> Iterator[Import]:
    """The imports of isthmus's own modules, each as a path below isthmus."""
    importer = path.relative_to(ROOT).with_suffix("").parts
    package = importer[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {
        inner
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
    }
    for node in ast.walk(tree):
        targets: list[tuple[str, ...]] = []
        if isinstance(node, ast.ImportFrom) and node.level:
            start = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
            targets = [(*start, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "isthmus":
            targets = [(*node.module.split(".")[1:], alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [tuple(a.name.split(".")[1:]) for a in node.names if a.name.split(".")[0] == "isthmus"]
        for target in targets:
            yield Import(path.relative_to(ROOT).as_posix(), importer, target, node.lineno, node in lazy)


IMPORTS = [found for path in sorted(ROOT.rglob("*.py")) for found in imports_of(path)]


def height(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def test_every_package_has_a_layer() -> None:
    found = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - DOORS == set().union(*LAYERS)


def test_imports_point_down() -> None:
    assert len(IMPORTS) > 100, "the parser sees nothing"
    wrong = [
        f"{found.file}:{found.line} imports {found.imported[0]}"
        for found in IMPORTS
        if found.importer[0] not in DOORS
        and found.imported[0] not in {found.importer[0], "__version__"}
        and height(found.imported[0]) >= height(found.importer[0])
        and not (found.lazy and (found.file, found.imported[0]) in UPWARD)
    ]
    assert not wrong


def test_every_exception_is_still_needed() -> None:
    used = {(found.file, found.imported[0]) for found in IMPORTS}
    assert used >= UPWARD


@pytest.mark.parametrize("family", ["variants", "domains"])
def test_members_of_a_family_know_their_base_only(family: str) -> None:
    """And the family as a whole, in which one that is made of others finds them by name."""
    inside = [found for found in IMPORTS if found.importer[0] == family and found.imported[0] == family]
    wrong = [
        f"{found.file}:{found.line} imports {'.'.join(found.imported)}"
        for found in inside
        if found.importer[1] not in {"__init__", "base"}
        and found.imported[1:2] not in {(), ("base",), found.importer[1:2]}
        and found.imported[1] not in MADE_OF_OTHERS.get(found.importer[1], ())
    ]
    assert inside and not wrong


def test_the_document_draws_the_same_layers() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("## The tree")[2].partition("##")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    drawn = [{name.rstrip("/").removesuffix(".py") for name in re.findall(r"`(.+?)`", row)} for row in rows]
    assert drawn == list(reversed(LAYERS))


@pytest.mark.parametrize("module", ["isthmus", "isthmus.apps.cli", "isthmus.variants", "isthmus.errors"])
def test_importing_is_light(module: str) -> None:
    """`isthmus --help` must not wait for torch."""
    importing = "import isthmus; isthmus.errors" if module == "isthmus.errors" else f"import {module}"
    heavy = ["torch", "sklearn", "scipy", "numpy", "pandas", "polars", "pyarrow", "PIL", "jinja2", "rich.progress"]
    program = f"{importing}; import sys; print(*(name for name in {heavy} if name in sys.modules))"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert process.stdout.split() == []


def global_states() -> list[Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    return [torch.get_rng_state().tolist(), kind, np.asarray(keys).tolist(), rest, random.getstate()]


@pytest.mark.parametrize("name", variants.names())
def test_global_random_states_are_neither_read_nor_changed(name: str) -> None:
    importlib.import_module("sklearn.mixture")  # draws from Python's generator when it is first imported
    x = np.random.default_rng(0).normal(size=(60, 4))
    # rich, which scikit-learn imports, draws numbers for its styles when it is imported: not within what is watched.
    import_module("rich.default_styles")
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        before = global_states()
        model = getattr(isthmus, variants.find(name).__name__)(2, hidden=(8,), epochs=2, random_state=0).fit(x)
        results.append([model.transform(x), model.sample(5), model.score_samples(x), model.predict(x)])
        assert global_states() == before
    for first, second in zip(*results, strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("name", variants.names())
def test_signatures_are_the_declared_options(name: str) -> None:
    kind = getattr(isthmus, variants.find(name).__name__)
    parameters = inspect.signature(kind).parameters
    fields = declared_options(name)
    assert list(parameters) == list(fields)
    assert {name: parameter.default for name, parameter in parameters.items()} == kind().get_params()
    for option, field in fields.items():
        assert parameters[option].default == field.default
        assert f"{option}: {field.description}" in kind.__doc__


def test_the_committed_stubs_are_current() -> None:
    assert stubs.PLACE.read_text(encoding="utf-8") == stubs.stubs(), "run: python -m isthmus.estimator.stubs"


def test_the_stubs_name_what_the_package_has() -> None:
    tree = ast.parse(stubs.PLACE.read_text(encoding="utf-8"))
    named = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    named |= {a.asname for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names if a.asname}
    public = {name for name in named if not name.startswith("_")}
    assert public >= {"VAE", "Autoencoder", "load", "compare", "errors"}
    for name in public:
        assert getattr(isthmus, name) is not None
        assert name in dir(isthmus)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            (constructor,) = (part for part in node.body if isinstance(part, ast.FunctionDef))
            written = [argument.arg for argument in (*constructor.args.args[1:], *constructor.args.kwonlyargs)]
            assert written == list(inspect.signature(getattr(isthmus, node.name)).parameters)
            types = [argument.annotation for argument in (*constructor.args.args[1:], *constructor.args.kwonlyargs)]
            assert all(types)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'isthmus' has no attribute 'GAN'"):
        _ = isthmus.GAN  # pyright: ignore[reportAttributeAccessIssue]
