"""What a person can look at of a row of several parts: its parts' pictures in one square, a table's row as bars."""

import base64
import io

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

# As the reports' frames, it is square. Bars have a band of their own; other parts share what is left evenly.
SIDE, MARGIN, BAND = 96, 2, 20
BACKGROUND, INK = 255, 40
MOST_BARS = 24
# Of texts, in pixels, and how many of them there is room for.
LETTERS, LETTERS_PER_LINE = 10, 18


def square(pictures: list[str], bars: list[np.ndarray]) -> str:
    """One row as a PNG file in base64, of its parts' pictures, PNG in base64, and of tables' cells as shares of their
    range, 0 to 1, NaN where a cell is missing."""
    shown = [_opened(picture) for picture in pictures]
    colour = "RGB" if any(each.mode == "RGB" for each in shown) else "L"
    whole = PIL.Image.new(colour, (SIDE, SIDE), BACKGROUND if colour == "L" else (BACKGROUND,) * 3)
    band = BAND if shown else SIDE // max(1, len(bars))
    left = SIDE - band * len(bars)
    top = 0
    for image in shown:
        height = left // len(shown)
        fitted = _fitted(image, SIDE, height - MARGIN)
        whole.paste(fitted.convert(colour), ((SIDE - fitted.width) // 2, top))
        top += height
    for place, shares in enumerate(bars):
        whole.paste(_bars(shares[:MOST_BARS], band - MARGIN).convert(colour), (0, left + place * band + MARGIN))
    file = io.BytesIO()
    whole.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def written(text: str) -> str:
    """The beginning of a text as a PNG file in base64."""
    image = PIL.Image.new("L", (SIDE, SIDE // 2), BACKGROUND)
    pen, font = PIL.ImageDraw.Draw(image), PIL.ImageFont.load_default(LETTERS)
    for line in range(SIDE // 2 // LETTERS):
        start = line * LETTERS_PER_LINE
        pen.text((0, line * LETTERS), text[start : start + LETTERS_PER_LINE], fill=INK, font=font)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _opened(picture: str) -> PIL.Image.Image:
    image = PIL.Image.open(io.BytesIO(base64.b64decode(picture)))
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fitted(image: PIL.Image.Image, width: int, height: int) -> PIL.Image.Image:
    """As large as there is room for; enlarged pixels stay squares."""
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, PIL.Image.Resampling.NEAREST if scale > 1 else PIL.Image.Resampling.BOX)


def _bars(shares: np.ndarray, height: int) -> PIL.Image.Image:
    image = PIL.Image.new("L", (SIDE, height), BACKGROUND)
    pen = PIL.ImageDraw.Draw(image)
    edges = np.linspace(0, SIDE, len(shares) + 1).round().astype(int)
    for start, end, share in zip(edges[:-1], edges[1:], shares, strict=True):
        if np.isfinite(share):
            pen.rectangle((start, round((height - 1) * (1 - share)), end - 2, height - 1), fill=INK)
    return image
