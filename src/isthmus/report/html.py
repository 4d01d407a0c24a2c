"""One self-contained page from the facts of a comparison."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..core.errors import DataError
from .views import page

SCHEMA = 1


def render(facts: Mapping[str, Any]) -> str:
    """The page as text. The same facts give the same text; nothing in it is fetched from anywhere.

    Raises DataError when the facts follow another schema than the one this version draws.
    """
    if facts.get("schema") != SCHEMA:
        raise DataError(
            f"these facts follow schema {facts.get('schema')!r} and this version draws schema {SCHEMA}: "
            "run the comparison again, or use the version that wrote them"
        )
    environment = _environment()
    return environment.get_template("page.html").render(
        **page(facts), style=_part("page.css"), script=_part("page.js"), script_hash=_hash(_part("page.js"))
    )


def write(facts: Mapping[str, Any], path: str | Path) -> None:
    """Write the page to a file, encoded as UTF-8."""
    Path(path).write_text(render(facts), encoding="utf-8", newline="\n")


@cache
def _environment() -> Environment:
    """Every value is escaped, and a name that the template misspells is an error."""
    return Environment(
        loader=PackageLoader("isthmus.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _part(name: str) -> Markup:
    """Our own style or script, trusted as it is."""
    return Markup((Path(__file__).parent / "page" / name).read_text(encoding="utf-8"))


def _hash(script: str) -> str:
    """What the page's content security policy knows our script by: no other script may run."""
    return "sha256-" + b64encode(hashlib.sha256(script.encode()).digest()).decode()
