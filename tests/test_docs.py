"""The documentation does what it says: its code runs, its generated parts are current, its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.apps.cli import main
from isthmus.estimator.fitting import Fitting
from isthmus.training.run import Plan

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Pages whose models are large, and how many epochs are enough for what these pages assert.
LONG_TRAINING = ("README.md", "article.md", "getting_started.md")
MOST_EPOCHS = 12


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """Line, language and text of each block of Python or of shell commands."""
    text = page.read_text("utf-8")
    return [(text[: found.start()].count("\n") + 2, found[1], found[2]) for found in BLOCK.finditer(text)]


def commands(block: str) -> Iterator[list[str]]:
    """The `isthmus` commands of a block; installation and make are tried elsewhere."""
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith("isthmus "):
            yield shlex.split(line, comments=True)[1:]


def test_every_page_with_code_is_found():
    with_code = {page.name for page in PAGES if blocks(page)}
    assert {"README.md", "getting_started.md", "article.md", "data.md"} <= with_code


def train_briefly(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages' code must run and what it asserts must hold; how good models get in more epochs is tested elsewhere.
    Processes of a comparison's own would know nothing of this, and take longer to start than to train so briefly."""
    monkeypatch.setattr("isthmus.estimator.detector.STEPS", 20)
    monkeypatch.setattr("isthmus.comparison.compare.workers", lambda *_: 1)
    if page.name in LONG_TRAINING:
        plan = Fitting.plan

        def shorter(own: Fitting, rows: int) -> Plan:
            planned = plan(own, rows)
            return replace(planned, epochs=min(planned.epochs, MOST_EPOCHS))

        monkeypatch.setattr(Fitting, "plan", shorter)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_code_in_the_documentation_runs(page, tmp_path, monkeypatch, capsys):
    train_briefly(page, monkeypatch)
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "documentation"}
    for line, language, text in blocks(page):
        if language == "python":
            # Blank lines before it, so that a failure names the page's own line.
            exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)
        else:
            for command in commands(text):
                assert main(command) == 0, f"{page.name}, line {line}: isthmus {shlex.join(command)}"


@pytest.mark.slow
def test_generated_pages_are_current_and_links_lead_somewhere():
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_readme_names_every_command_of_its_promise():
    shell = [text for _, language, text in blocks(ROOT / "README.md") if language == "sh"]
    given = {command[0] for text in shell for command in commands(text)}
    assert given == {
        "compare",
        "fit",
        "encode",
        "decode",
        "generate",
        "impute",
        "evaluate",
        "score",
        "compress",
        "decompress",
        "explain",
        "info",
    }
