"""`isthmus explain`: what each latent unit of a model stands for."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import arguments
from .screen import number, print_table

if TYPE_CHECKING:
    from ...estimator.base import Estimator


EFFECT_UNITS = {
    "counts": "log(1 + count)",
    "image": "share of black to white",
    "table": "standard deviations of the column; for categories the probability that moves",
}
COLUMNS = {"counts": "column", "image": "pixel"}


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
    their own units. A model of --latent auto also says why it has that many. DIR gets explain.html to look at and
    explain.json to read by program.
    """
    arguments.check_place(out, folder=True)

    from ...explaining import prior_codes
    from ...files.atomic import replacing
    from ...saving import load_estimator
    from .explain_page import render
    from .inputs import read_rows_for

    estimator = load_estimator(model)
    codes = prior_codes(estimator) if data is None else estimator.transform(read_rows_for(estimator, data)[1])
    facts = explanation(estimator, codes) | {"file": model, "data": data}
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


def explanation(estimator: "Estimator", codes: Any) -> dict[str, Any]:
    """Facts about each unit: what it moves, by how much, and walks along it."""
    from ...explaining import effects, heat_maps, strongest, traversals

    domain, effect = estimator.domain_, effects(estimator, codes)
    facts = {
        "model": estimator.variant_name,
        "title": estimator.variant().title,
        "domain": domain.name,
        "latent_dim": estimator.latent_dim_,
        "rows": len(codes),
        "carries": strongest(effect, domain.column_names),
        "effect_unit": EFFECT_UNITS[domain.name],
        "traversals": traversals(estimator, codes),
    }
    if hasattr(estimator, "size_search_"):
        facts["size_search"] = estimator.size_search_
    if domain.name == "image":
        maps = heat_maps(estimator, effect)
        facts["heat_maps"] = {str(entry["unit"]): maps[entry["unit"]] for entry in facts["carries"]}
    return facts


def _show(facts: dict[str, Any]) -> None:
    asleep = facts["latent_dim"] - len(facts["carries"])
    if facts["traversals"]["kind"] == "table":
        print_table(["unit", "moves", "from", "to"], _moves(facts), left=2)
    else:
        strengths = [[f"unit {entry['unit']}", number(entry["columns"][0]["effect"])] for entry in facts["carries"]]
        print_table(["unit", f"largest change of a {COLUMNS[facts['domain']]} ({facts['effect_unit']})"], strengths)
    if asleep:
        print(f"{asleep} of {facts['latent_dim']} units move{'s' * (asleep == 1)} next to nothing.")
    if "size_search" in facts:
        from .sizes import reason

        print(f"{reason(facts['size_search']).capitalize()}.")


def _moves(facts: dict[str, Any]) -> list[list[str]]:
    """For each unit the columns that it moves most, and where they stand at the ends of the walk."""
    from .explain_page import described

    rows = []
    carried = {entry["unit"]: [column["name"] for column in entry["columns"][:3]] for entry in facts["carries"]}
    for unit in facts["traversals"]["units"]:
        walked = {column["name"]: column for column in unit["columns"]}
        for place, name in enumerate(carried[unit["unit"]]):
            column = described(walked[name])
            rows.append([unit["label"] if place == 0 else "", column["name"], column["low"], column["high"]])
    return rows
