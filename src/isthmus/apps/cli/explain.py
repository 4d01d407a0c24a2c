"""`isthmus explain`: what each latent unit of a model stands for."""

import json
from typing import Annotated, Any

import typer

from . import arguments
from .screen import number, print_table

# Units or features on the screen; all of them are in the page.
MOST_SHOWN = 12
MOST_SYMBOLS = 6


def explain(
    model: arguments.Model,
    out: arguments.Folder,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]", help="Rows whose codes are walked through; without them the model draws some."
        ),
    ] = None,
    as_json: arguments.Json = False,
) -> None:
    """Write what each latent unit stands for.

    Each unit is turned from low to high while the others stay put: which columns or pixels move, and by how much, in
    their own units. Also: which units are unused, which columns the model treats alike, and of a topk_autoencoder
    the rows and columns that light each feature. A model of --latent auto says why it has that many. DIR gets
    explain.html to look at and explain.json to read by program.
    """
    arguments.check_place(out, folder=True)

    from ...files.atomic import replacing
    from ...saving import load_estimator
    from .explain_page import render
    from .inputs import read_rows_for

    estimator = load_estimator(model)
    rows = None if data is None else read_rows_for(estimator, data)[1]
    facts = estimator.explain(rows) | {"file": model, "data": data}
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1)
    out.mkdir(exist_ok=True)
    for name, content in (("explain.json", text), ("explain.html", render(facts))):
        with replacing(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    if as_json:
        print(text)
    else:
        _show(facts)
        print(f"The page: {out / 'explain.html'}")


def _show(facts: dict[str, Any]) -> None:
    from .explain_page import summary

    if facts["features"]:
        print_table(["feature", "lit by", "column", "rows that light it", "all rows"], _features(facts), left=5)
    elif facts["traversals"]["kind"] == "table":
        print_table(["unit", "moves", "from", "to"], _moves(facts), left=2)
    elif facts["traversals"]["kind"] == "text":
        print_table(["unit", "more frequent", "less frequent"], _symbols(facts), left=3)
    else:
        strengths = [[f"unit {entry['unit']}", number(entry["columns"][0]["effect"])] for entry in facts["carries"]]
        unit, column = facts["effect_unit"], facts["column_word"]
        print_table(["unit", f"largest change of a {column} ({unit})"], strengths)
    for sentence in summary(facts):
        print(sentence)
    if "size_search" in facts:
        from .sizes import reason

        print(f"{reason(facts['size_search']).capitalize()}.")


def _symbols(facts: dict[str, Any]) -> list[list[str]]:
    """For each unit the symbols that become more and less frequent from its low end to its high one."""
    rows = []
    for entry in facts["carries"][:MOST_SHOWN]:
        ends = [
            [column["name"] for column in entry["columns"] if (column["to"] > column["from"]) == more][:MOST_SYMBOLS]
            for more in (True, False)
        ]
        rows.append([f"unit {entry['unit']}", *(" ".join(names) for names in ends)])
    return rows


def _moves(facts: dict[str, Any]) -> list[list[str]]:
    """For each unit the columns that it moves most, and what they are at its ends."""
    from .explain_page import ends

    rows = []
    for entry in facts["carries"][:MOST_SHOWN]:
        for place, column in enumerate(entry["columns"][:3]):
            shown = ends(column)
            name = f"P({shown['name']} = {shown['values'][0]})" if shown["values"] else shown["name"]
            rows.append([f"unit {entry['unit']}" if place == 0 else "", name, shown["low"][0], shown["high"][0]])
    return rows


def _features(facts: dict[str, Any]) -> list[list[str]]:
    """For each feature the columns in which the rows that light it differ most from all."""
    from .explain_page import compared, percent

    rows = []
    for feature in facts["features"][:MOST_SHOWN]:
        head = [f"feature {feature['feature']}", percent(feature["lit"])]
        for place, column in enumerate(feature["columns"][:2] or [None]):
            shown = compared(column) if column else {"name": "", "lit": [], "all": []}
            beside = ["; ".join(shown["lit"]), "; ".join(shown["all"])]
            rows.append([*(head if place == 0 else ["", ""]), shown["name"], *beside])
    return rows
