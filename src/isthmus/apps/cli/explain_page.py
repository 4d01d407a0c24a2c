"""The page that `isthmus explain` writes: facts in, one self-contained HTML file out."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...estimator.size_search import NEGLIGIBLE_SHARE
from ...report.figures import sparkline
from .sizes import reason


def render(facts: dict[str, Any]) -> str:
    """The page as text; nothing in it is fetched from anywhere. It looks like the comparison's report."""
    environment = Environment(
        loader=PackageLoader("isthmus.apps.cli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = PackageLoader("isthmus.report", "page").get_source(environment, "page.css")[0]
    sizes = reason(facts["size_search"]).capitalize() if "size_search" in facts else ""
    return environment.get_template("explain.html").render(
        facts=facts, units=_units(facts), sizes=sizes, negligible=f"{NEGLIGIBLE_SHARE:.0%}", style=Markup(style)
    )


def _units(facts: dict[str, Any]) -> list[dict[str, Any]]:
    carried = {entry["unit"]: entry["columns"] for entry in facts["carries"]}
    if facts["traversals"]["kind"] == "image":
        heat = facts.get("heat_maps", {})
        return [unit | {"heat": heat.get(str(unit["unit"]))} for unit in facts["traversals"]["units"]]
    ranges = _ranges(facts["traversals"]["units"])
    return [
        {"label": unit["label"], "columns": _columns(unit, carried[unit["unit"]], ranges)}
        for unit in facts["traversals"]["units"]
    ]


def _ranges(units: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """One range per column over all units, so that a flat line means no effect."""
    known: dict[str, list[float]] = {}
    for unit in units:
        for column in unit["columns"]:
            known.setdefault(column["name"], []).extend(v for v in column["values"] if v is not None)
    return {name: (min(values, default=0.0), max(values, default=0.0)) for name, values in known.items()}


def _columns(
    unit: dict[str, Any], carried: list[dict[str, Any]], ranges: dict[str, tuple[float, float]]
) -> list[dict[str, Any]]:
    """The columns that the unit moves, strongest first."""
    walked = {column["name"]: column for column in unit["columns"]}
    return [
        described(walked[entry["name"]])
        | {
            "effect": entry["effect"],
            "line": sparkline(
                unit["positions"],
                walked[entry["name"]]["values"],
                *ranges[entry["name"]],
                f"{entry['name']} along {unit['label']}",
            ),
        }
        for entry in carried
    ]


def described(column: dict[str, Any]) -> dict[str, str]:
    """What a walked column is called, and where it starts and ends, as a person reads them."""
    values = [value for value in column["values"] if value is not None]
    if "of" in column:
        name, ends = f"P({column['name']} = {column['of']})", [f"{value:.2f}" for value in (values[0], values[-1])]
    else:
        suffix = f" ({column['in']})" if "in" in column else ""
        name, ends = column["name"] + suffix, [f"{value:.4g}" for value in (values[0], values[-1])]
    return {"name": name, "low": ends[0], "high": ends[1]}
