"""Figures as Markdown tables, to be printed and pasted."""

from collections.abc import Sequence

from rounds import Spread


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A titled table."""
    lines = ["", title, "", _line(columns), _line(["---"] * len(columns)), *map(_line, rows)]
    return "\n".join(lines)


def shown(spread: Spread | None, form: str) -> str:
    """median (least … greatest), the latter only where they differ; a dash for nothing."""
    if spread is None:
        return "–"
    median, least, greatest = (form.format(value) for value in (spread.median, spread.least, spread.greatest))
    return median if least == greatest else f"{median} ({least} … {greatest})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
