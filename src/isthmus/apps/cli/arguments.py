"""Arguments and options that several commands share, and how their text becomes values."""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ...core.errors import DataError, OptionError

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Rows: a file (.csv .tsv .parquet .arrow .feather .jsonl .npy, or .npz, with FILE.npz:NAME for one of its "
        "arrays), a folder of images or of Parquet, Arrow or .npy files, or a bundled set: digits, penguins.",
    ),
]
Model = Annotated[str, typer.Argument(metavar="M", help="A model file, as `isthmus fit` writes it.")]
_FORMATS = "Where to write; the ending decides the format: .parquet .csv .tsv .arrow .feather .jsonl, .npy .npz."
OneFile = Annotated[Path, typer.Option("--out", metavar="FILE", help=_FORMATS)]
Rows = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE",
        help=f"{_FORMATS} Without an ending, a folder of Parquet files, written part by part.",
    ),
]
SeedOfDraws = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", help="Another seed draws others.  [default: the model's own]", show_default=False
    ),
]
Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed: the same one gives the same result.")]
Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", help="Passes over the rows.", show_default=False)]
Engine = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        "--engine",
        help="Who writes a folder of parts: this process, or Ray's workers (the extra isthmus[ray]).  [default: local]",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="With --engine ray: so many workers at a time.  [default: one for each processor]",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda, or auto: the fastest there is.")]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="COLUMN,…", help="Columns to leave out.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set an option of the model (`isthmus models` lists them); may be given again. Values: numbers, true, "
        "false, none, widths such as 400,200 (one width: 400,), or text.",
        show_default=False,
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Only rows with this value, or, of a column of numbers or dates, within this range: 3500..4000, or 3500.. "
        "for no upper end (of numbers also 3500:4000); may be given again for other columns; all must hold.",
        show_default=False,
    ),
]


def separated(texts: list[str] | None) -> list[str]:
    """What stands between commas, over all the times that an option was given."""
    return [part.strip() for text in texts or [] for part in text.split(",") if part.strip()]


def whole_numbers(text: str, option: str) -> list[int]:
    """`2,8,32` → [2, 8, 32]."""
    parts = separated([text])
    if not parts or not all(re.fullmatch(r"\d+", part) and int(part) > 0 for part in parts):
        raise OptionError(f"{option} {text!r}: give whole numbers of at least 1, such as 2,8,32")
    return [int(part) for part in parts]


def settings(texts: list[str] | None) -> dict[str, Any]:
    """`name=value` texts → options by name."""
    given = _assignments(texts, "--set", "NAME=VALUE, such as beta=4")
    return {name: setting_value(value) for name, value in given.items()}


def conditions(texts: list[str] | None) -> dict[str, str] | None:
    """`column=value` texts → values, still text, by column; None where there are no conditions."""
    return _assignments(texts, "--where", "COLUMN=VALUE, such as sex=male") or None


def _assignments(texts: list[str] | None, option: str, form: str) -> dict[str, str]:
    """`name=value` texts → values by name, each name once."""
    assigned: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise OptionError(f"{option} {text!r}: write {form}")
        if name in assigned:
            raise OptionError(f"{option} {name}: given twice; give it once")
        assigned[name] = value.strip()
    return assigned


def setting_value(text: str) -> Any:
    """`4` and `0.5` are numbers; `true`, `false`, `none` and `null` mean themselves; commas make tuples; else text."""
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
    if "," in inner or inner != text:
        return tuple(setting_value(part.strip()) for part in inner.split(",") if part.strip())
    words = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    # JSON's own strings, quoted to keep `"4"` text; Python's reader also takes NaN and Infinity, which no option wants.
    return value if isinstance(value, str | int) or (isinstance(value, float) and abs(value) < float("inf")) else text


def merged(options: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """`--set` options and those that have a flag of their own; None stands for a flag that was not given."""
    for name, value in flags.items():
        if value is None:
            continue
        if name in options:
            raise OptionError(f"{name} is given twice: by --set and by its own option; give it once")
        options = options | {name: value}
    return options


def check_names(options: dict[str, Any], known: list[str], owner: str) -> None:
    """Refuse an option that the model does not have."""
    for name in options:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise OptionError(f"{owner} has no option '{name}'; {hint}it has {', '.join(known)}")


def check_place(path: Path, folder: bool = False, read: Sequence[str] = ()) -> None:
    """Refuse a place that cannot be written to, or that is one of those to `read`, before hours are spent on what
    should be written there."""
    from os import W_OK, access

    from ...files.failures import shown

    if not path.absolute().parent.is_dir():
        raise DataError(f"{shown(path)}: its folder {shown(path.parent)} does not exist; make it first")
    if not access(path.absolute().parent, W_OK):
        raise DataError(f"{shown(path)}: no permission to write to its folder; choose another place")
    if path.exists() and path.is_dir() != folder:
        kind, wanted = ("a folder", "file") if path.is_dir() else ("a file", "folder")
        raise DataError(f"{shown(path)}: is {kind}; name a {wanted} to write")
    for source in map(Path, read):
        if path.exists() and source.exists() and path.samefile(source):
            raise DataError(f"{shown(path)}: is what is read; name another place, so that it is not overwritten")
