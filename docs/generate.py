"""Writes the generated pages from the code and checks every link: `make docs`.

With --check nothing is written: it ends in status 1 if a page is not what the code says, or if a link leads nowhere.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import command_line
from pydantic.fields import FieldInfo

from isthmus.estimator import models
from isthmus.estimator.options import SharedOptions
from isthmus.estimator.public import declared_options

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted(ROOT.glob("docs/*.md"))]
PAGES += sorted(ROOT.glob("benchmarks/*.md"))

MODELS_INTRODUCTION = """# The models and their options

Written by `docs/generate.py` from the declarations in `src/isthmus/variants` and in
`src/isthmus/estimator/models.py`; do not edit it here. `isthmus models` shows the same with the values that each option
takes. Give options by name: `isthmus.VAE(8, beta=4.0)` in Python, `--set beta=4` on the command line. To add a model,
see [CONTRIBUTING](../CONTRIBUTING.md).
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something would change")
    check = parser.parse_args().check
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text("utf-8") != text]
    if not check:
        for path in stale:
            path.write_text(generated()[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    complaints = [f"{path.relative_to(ROOT)}: is not what the code says; run `make docs`" for path in stale if check]
    complaints += broken_links()
    print("\n".join(complaints) or f"{len(PAGES)} pages, every link leads somewhere")
    return 1 if complaints else 0


def generated() -> dict[Path, str]:
    """The text of every page that the code writes, or writes a part of."""
    shortest = (ROOT / "src/isthmus/variants/iwae.py").read_text("utf-8")
    return {
        command_line.PAGE: command_line.page(),
        ROOT / "docs" / "models.md": models_page(),
        ROOT / "README.md": with_part(ROOT / "README.md", "models", models_table()),
        ROOT / "CONTRIBUTING.md": with_part(ROOT / "CONTRIBUTING.md", "iwae", f"```py\n{shortest}```"),
    }


def with_part(page: Path, name: str, part: str) -> str:
    """The page with what stands between its two marks of this name replaced."""
    start, end = f"<!-- {name}: written by docs/generate.py -->", f"<!-- end of {name} -->"
    before, _, rest = page.read_text("utf-8").partition(start)
    return f"{before}{start}\n{part}\n{end}{rest.partition(end)[2]}"


def models_table() -> str:
    """The models, a line each, for the README."""
    rows = []
    for name in models.names():
        model = models.find(name)
        rows.append([f"`{name}`", f"`isthmus.{model.class_name}`", summary(model), paper(model.paper.split(";")[0])])
    return table(["`--model`", "in Python", "what it does", "paper"], rows)


def models_page() -> str:
    """Every model with its own options, then those that all share."""
    parts = [MODELS_INTRODUCTION]
    for name in models.names():
        model = models.find(name)
        parts.append(f"## {model.title} (`{name}`, `isthmus.{model.class_name}`)\n\n{summary(model)}\n")
        own = [*model.variant.Options.declared(), *model.defaults]
        options = {option: field for option, field in declared_options(name).items() if option in own}
        parts.append(f"{paper(model.paper)}.\n\n{options_table(options)}\n")
    return "\n".join([*parts, f"## Options that every model has\n\n{options_table(SharedOptions.declared())}\n"])


def summary(model: models.Model) -> str:
    return model.summary.replace("|", "\\|")


def paper(text: str) -> str:
    """Addresses as links: "Kingma & Welling (2014), https://…" → "[Kingma & Welling (2014)](https://…)"."""
    named = r"([^;:]+\(\d{4}\)), (https?://[^\s;,]+)"
    return re.sub(named, lambda found: f" [{found[1].strip()}]({found[2]})", text).strip()


def options_table(options: dict[str, FieldInfo]) -> str:
    rows = [[f"`{name}`", f"`{field.default}`", field.description or ""] for name, field in options.items()]
    return table(["option", "default", "what it is"], rows)


def table(headings: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [headings, ["---"] * len(headings), *rows])


def broken_links() -> list[str]:
    """Links between files, and to headings, that lead nowhere; addresses on the web are not tried."""
    complaints = []
    for page in PAGES:
        for target in links(page.read_text("utf-8")):
            path, _, heading = target.partition("#")
            place = (page.parent / path).resolve() if path else page
            if not place.exists():
                complaints.append(f"{page.relative_to(ROOT)}: nothing at {target}")
            elif heading and heading not in anchors(place.read_text("utf-8")):
                complaints.append(f"{page.relative_to(ROOT)}: no heading {target}")
    return complaints


def links(text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if not target.startswith(("http://", "https://", "mailto:")):
            yield target


def anchors(text: str) -> set[str]:
    """What GitHub calls a page's headings: small letters, no punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
