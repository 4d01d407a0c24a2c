"""Writes command_line.md from what `isthmus COMMAND --help` says, so that the two cannot differ."""

import contextlib
import io
import os
from pathlib import Path
from unittest.mock import patch

from isthmus.apps.cli import main
from isthmus.apps.cli.program import COMMANDS

PAGE = Path(__file__).with_name("command_line.md")

INTRODUCTION = """# The command line

Written by `docs/command_line.py` from the commands' own help; do not edit it here.

Results go to stdout, everything else to stderr; `--json` makes stdout pure JSON. A progress bar shows on a terminal
only. What the user can mend ends in one line, `isthmus: error: …`, and status 2; nothing half-written is left. Ctrl-C
ends in status 130.
"""


def page() -> str:
    """The whole page."""
    names = [command.__name__ for command in COMMANDS]
    return "\n".join([INTRODUCTION, _block(), *(f"## {name}\n\n{_block(name)}" for name in names)])


def _block(*command: str) -> str:
    """The help of one command, as a terminal of 80 columns shows it."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), patch.dict(os.environ, COLUMNS="80"):
        main([*command, "--help"])
    lines = [line.rstrip() for line in text.getvalue().strip().splitlines()]
    return "\n".join(["```", *lines, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
