"""What goes where: results to stdout, notes and errors to stderr, one line each."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

# A terminal folds lines itself; what is piped into a file is better whole.
WIDTH_WITHOUT_TERMINAL = 160
# The usual status of a program that Ctrl-C ended: 128 and the number of the signal.
INTERRUPTED = 130


def print_error(message: str) -> None:
    """The one line that bad input gets."""
    print(f"isthmus: error: {' '.join(message.split())}", file=sys.stderr)


def print_interrupted(what: str = "") -> None:
    """The one line that Ctrl-C gets."""
    print(f"isthmus: interrupted {what}".rstrip(), file=sys.stderr)


def print_notes(notes: Iterable[str]) -> None:
    """What the user should know about the data, though the command goes on."""
    for note in notes:
        print(f"isthmus: note: {' '.join(note.split())}", file=sys.stderr)


def print_result(facts: dict[str, Any], sentence: str, as_json: bool) -> None:
    """A command's result: JSON for programs, or a sentence."""
    print(json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=2) if as_json else sentence)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """A table whose first `left` columns are text, and the others numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    print_rich(table)


def print_rich(table: "Table") -> None:
    """Draw on stdout. Cells are shown as they are: a name in brackets is no markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)


def number(value: float | None, digits: int = 3) -> str:
    """A measurement in a cell: a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"
