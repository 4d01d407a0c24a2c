"""Texts in pieces, each with how surprising it is."""

from collections.abc import Iterable


def pieces(spelt: Iterable[bytes], surprises: Iterable[float]) -> list[tuple[str, float]]:
    """Symbols, by their bytes, put together to words and single signs, whose surprises are summed.

    A piece ends where a character does, and goes on where letters or digits of ASCII follow one another: languages that
    do not part words by blanks are told sign by sign.
    """
    found: list[tuple[str, float]] = []
    held, surprise = b"", 0.0
    for symbol, own in zip(spelt, surprises, strict=True):
        held, surprise = held + symbol, surprise + own
        try:
            text = held.decode("utf-8")
        except UnicodeDecodeError as failure:
            if failure.reason == "unexpected end of data":
                continue
            text = held.decode("utf-8", "replace")
        if found and _goes_on(found[-1][0], text):
            before, already = found.pop()
            text, surprise = before + text, already + surprise
        found.append((text, surprise))
        held, surprise = b"", 0.0
    if held:
        found.append((held.decode("utf-8", "replace"), surprise))
    return found


def _goes_on(before: str, text: str) -> bool:
    return before.isascii() and text.isascii() and before[-1:].isalnum() and text[:1].isalnum()
