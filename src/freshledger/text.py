"""Text from outside: what can be shown and stored, nothing invisible."""

import unicodedata

# Controls (C0, C1), formats (bidi overrides and isolates, zero width), lone surrogates.
_INVISIBLE = {"Cc", "Cf", "Cs"}
_SEPARATORS = {"Zl", "Zp"}


def clean_text(text: str, *, limit: int | None = None) -> str:
    """Return text without control, bidi and zero-width characters, at most `limit` long.

    Line feeds stay, but not at the ends; tabs and Unicode's line and paragraph separators
    become spaces.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_clean_letter, text))
    return text.strip()[:limit].rstrip()


def _clean_letter(letter: str) -> str:
    if letter == "\n":
        return letter
    category = unicodedata.category(letter)
    if letter == "\t" or category in _SEPARATORS:
        return " "
    return "" if category in _INVISIBLE else letter
