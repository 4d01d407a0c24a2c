"""Scalable vector graphics as text. Every name and label is escaped here, so no caller can forget to."""

from markupsafe import Markup, escape

Attribute = str | float | None


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """One element; children are escaped unless they are Markup; `class_` and `data_row` become class and data-row."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{tag}{written}>{inside}</{tag}>" if inside else f"<{tag}{written}/>")


def _value(value: str | float) -> str:
    """Coordinates keep a tenth of a pixel: finer is invisible and doubles the file."""
    return f"{round(value, 1):g}" if isinstance(value, float) else str(escape(value))


def drawing(width: float, height: float, title: str, description: str, *children: str, class_: str = "") -> Markup:
    """A whole picture with the title and the description that screen readers speak."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_=class_ or None,
    )


def path(points: list[tuple[float, float]], **attributes: Attribute) -> Markup:
    """A line through points, shape (points, 2)."""
    steps = " ".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in points)
    return element("polyline", points=steps, **attributes)


def text(content: str, x: float, y: float, **attributes: Attribute) -> Markup:
    """A line of text whose baseline starts at (x, y)."""
    return element("text", content, x=float(x), y=float(y), **attributes)
