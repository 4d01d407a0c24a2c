"""`isthmus evaluate`: how good synthetic rows are, whoever made them."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import DataError, OptionError
from . import arguments

if TYPE_CHECKING:
    from ...evaluating import Evaluation

Holdout = Annotated[
    str | None,
    typer.Option(
        "--holdout",
        metavar="DATA",
        help="Real rows that the generator never saw: what tells copying from likeness.",
        show_default=False,
    ),
]


def evaluate(
    real: Annotated[
        str,
        typer.Argument(
            metavar="REAL", help="The rows that the generator learned from: a file, a folder or a bundled set."
        ),
    ],
    synthetic: Annotated[str, typer.Argument(metavar="SYNTHETIC", help="Rows that it made, with the same columns.")],
    holdout: Holdout = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="COL",
            help="A column to predict of real rows, once learned from synthetic rows and once from real ones.",
            show_default=False,
        ),
    ] = None,
    drop: arguments.Drop = None,
    seed: arguments.Seed = 0,
    as_json: arguments.Json = False,
) -> None:
    """Say how good synthetic rows are, whoever made them: how like real ones, how useful, and what they give away.

    With --holdout likeness is measured against rows that the generator never saw, real rows' own figures stand beside,
    and rows that were remembered are found out. Images are measured as tables are, pixel by pixel.
    """
    from ...evaluating import evaluate as evaluated

    if target is not None and target in arguments.separated(drop):
        raise OptionError(f"--target {target}: is dropped, too; keep it or leave --target away")
    rows = read_alike(real, synthetic, holdout, drop=arguments.separated(drop))
    print_evaluation(evaluated(*rows, target=target, random_state=seed), as_json)


def read_alike(first: str, *others: str | None, drop: Sequence[str] = ()) -> list[Any]:
    """The rows of each place, without the columns to drop, which not all need have; None where there is no place.

    What is text in the first is text in all of them.
    """
    from .inputs import read_rows, text_columns

    rows = [read_rows(first, []).rows]
    texts = text_columns(rows[0])
    rows += [None if place is None else read_rows(place, [], texts).rows for place in others]
    has = [set(getattr(each, "column_names", [])) for each in rows]
    for name in drop:
        if not any(name in names for names in has):
            raise DataError(f"--drop {name}: neither {first} nor the others have such a column")
    unwanted = [sorted(names & set(drop)) for names in has]
    return [each.drop_columns(names) if names else each for each, names in zip(rows, unwanted, strict=True)]


def print_evaluation(evaluation: "Evaluation", as_json: bool) -> None:
    """The facts as JSON, or the table."""
    print(json.dumps(evaluation.facts, ensure_ascii=False, allow_nan=False, indent=2) if as_json else evaluation)
