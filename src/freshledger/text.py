"""Text from outside: what can be shown and stored, nothing invisible."""

import unicodedata

from freshledger.errors import Invalid

# Controls (C0, C1), formats (bidi overrides and isolates, zero width), lone surrogates.
_INVISIBLE = {"Cc", "Cf", "Cs"}
_SEPARATORS = {"Zl", "Zp"}


def clean_text(text: str, *, limit: int | None = None, lines: bool = False) -> str:
    """Return text without control, bidi and zero-width characters, at most `limit` long.

    Spaces at the ends go. Tabs and Unicode's line and paragraph separators become spaces;
    so do line feeds, unless `lines` keeps them.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(_clean_letter(letter, lines=lines) for letter in text)
    return text.strip()[:limit].rstrip()


def fit_text(text: str, *, field: str, limit: int, lines: bool = False) -> str:
    """Return what a person wrote, cleaned and in Unicode's NFC; it is never cut.

    Raises Invalid naming `field` for more than `limit` characters.
    """
    fitting = unicodedata.normalize("NFC", clean_text(text, lines=lines))
    if len(fitting) > limit:
        raise Invalid(
            f"{field}: at most {limit:,} characters; this has {len(fitting):,}", field=field
        )
    return fitting


def _clean_letter(letter: str, *, lines: bool) -> str:
    if letter == "\n":
        return letter if lines else " "
    category = unicodedata.category(letter)
    if letter == "\t" or category in _SEPARATORS:
        return " "
    return "" if category in _INVISIBLE else letter
