"""What a ledger's pages show again and again, as HTML: amounts, addresses, labels, kinds.

Templates have them as `markup`, and under their own names by components/ui.html. They are no
macros because a page shows hundreds of them: here each costs a few microseconds.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

FRACTIONS = (2, 4, 6, 8, 12, 18)
"""Digits after the point for which there is a class `frac-…`."""

LONG = 26
"""An amount of more characters is drawn smaller, on several lines."""

_BADGES = {
    "pending": "warn", "failed": "bad", "confirmed": "good", "done": "good", "new": "good",
    "reading": "accent", "staged": "accent", "committing": "accent", "taking back": "accent",
    "updated": "accent", "owner": "accent", "expired": "bad",
}  # fmt: skip
"""What the known states of movements and imports mean."""


_NONE: Mapping[str, Any] = MappingProxyType({})


class Drawings:
    """The drawings of a sprite at an address, and the buttons that have some."""

    def __init__(self, sprite: str) -> None:
        self._sprite = sprite

    def icon(self, name: str) -> Markup:
        """Show a 16 px line drawing, decoration only."""
        return Markup(  # noqa: S704 - escaped
            f'<svg class="icon" aria-hidden="true"><use href="{self._sprite}#{escape(name)}"/></svg>'
        )

    def button(  # noqa: PLR0913 - a template names what it gives
        self,
        text: str,
        kind: str = "",
        icon: str | None = None,
        type: str = "submit",  # noqa: A002 - the attribute's name
        href: str | None = None,
        *,
        small: bool = False,
        attrs: Mapping[str, Any] = _NONE,
    ) -> Markup:
        """Show a button, with `href` a link that looks like one.

        `kind` is "", primary, danger, quiet, link or wide, several with spaces.
        """
        kinds = "".join(f" button--{one}" for one in kind.split()) + " button--small" * small
        given = ((name, value) for name, value in attrs.items() if value is not None)
        more = "".join(f' {name}="{escape(value)}"' for name, value in given)
        inner = f"{self.icon(icon) if icon else ''}<span>{escape(text)}</span>"
        if href:
            html = f'<a class="button{kinds}" href="{escape(href)}"{more}>{inner}</a>'
        else:
            html = f'<button class="button{kinds}" type="{type}"{more}>{inner}</button>'
        return Markup(html)  # noqa: S704 - escaped


def amount(
    value: str, symbol: str | None = None, contract: str | None = None, *, sign: bool = True
) -> Markup:
    """Show an exact decimal text, its digits grouped and the far ones muted by drawing only.

    Without `sign` it is a sum that has no direction.
    """
    text = str(value)
    minus = text.startswith("-")
    whole, _, fraction = text.lstrip("+-").partition(".")
    kinds, lead = "amount", ""
    if not (whole + fraction).strip("0"):
        kinds = "amount amount--zero"
    elif sign and not minus:
        kinds = "amount amount--in"
        lead = '<span class="amount__sign">+</span>'
    if minus:
        lead = '<span class="amount__sign amount__sign--minus">-</span>'
    if len(text) > LONG:
        kinds += " amount--long"
    return Markup(  # noqa: S704 - every part is escaped
        f'<span class="{kinds}">{lead}{_groups(whole)}'
        f'<span class="amount__fraction">{_fraction(whole, fraction)}</span></span>'
        f"{' ' + asset(symbol, contract) if symbol else ''}"
    )


def _groups(whole: str) -> str:
    """Return the digits before the point, by threes where there are more."""
    if len(whole) <= 3:  # noqa: PLR2004 - a group
        return str(escape(whole))
    ends = range(len(whole) % 3 or 3, len(whole) + 1, 3)
    return "".join(
        f'<span class="amount__group">{escape(whole[max(end - 3, 0) : end])}</span>' for end in ends
    )


def _fraction(whole: str, fraction: str) -> str:
    """Return the digits after the point; those that matter least are muted."""
    if not fraction:
        return ""
    if not whole.strip("0"):
        near = len(fraction) - len(fraction.lstrip("0")) + 4
    else:
        near = 4 if len(whole) < 4 else 2  # noqa: PLR2004 - thousands
    tail = fraction[near:]
    muted = f'<span class="amount__tail">{escape(tail)}</span>' if tail else ""
    return f".{escape(fraction[:near])}{muted}"


def asset(symbol: str, contract: str | None = None) -> Markup:
    """Show an asset: a token's symbol may be anything, so its contract is in the tooltip."""
    name, token, more = escape(symbol), "", ""
    if contract:
        token, more = " asset--token", f" · contract {escape(contract)}"
    return Markup(  # noqa: S704 - escaped
        f'<span class="asset{token}" title="{name}{more}">'
        f'<bdi class="asset__symbol">{name}</bdi></span>'
    )


def fraction_class(texts: Iterable[str]) -> str:
    """Return the class of a table of these amounts, so that their points stand in a line."""
    most = max((len(str(text).partition(".")[2]) for text in texts), default=0)
    return f"frac-{next((digits for digits in FRACTIONS if digits >= most), FRACTIONS[-1])}"


def copy(text: str, what: str = "address") -> Markup:
    """Show a button that copies a text; it is there only with a script (js/copy.js)."""
    return Markup(  # noqa: S704 - escaped
        f'<button class="copy" type="button" data-copy="{escape(text)}"'
        f' title="Copy {escape(what)}"></button>'
    )


def address(text: str | None, contact: str | None = None, url: str | None = None) -> Markup:
    """Show an address whole, or its contact with the address in the tooltip; both to copy.

    Its button copies the tooltip, or else what stands before it.
    """
    if not text and not contact:
        return Markup()
    title = f' title="{escape(text)}"' if text and contact else ""
    if not contact:
        shown = f'<span class="hash">{escape(text)}</span>'
    elif url:
        shown = f'<a class="address__contact" href="{escape(url)}">{escape(contact)}</a>'
    else:
        shown = f'<bdi class="address__contact">{escape(contact)}</bdi>'
    button = '<button class="copy" type="button" title="Copy address"></button>' if text else ""
    return Markup(f'<span class="address"{title}>{shown}{button}</span>')  # noqa: S704 - escaped


def txid(text: str | None, url: str | None = None) -> Markup:
    """Show a transaction id, whole, to copy."""
    if not text:
        return Markup()
    shown = escape(text)
    start, end = (f'a href="{escape(url)}"', "a") if url else ("span", "span")
    return Markup(  # noqa: S704 - escaped
        f'<span class="address"><{start} class="hash">{shown}</{end}>'
        '<button class="copy" type="button" title="Copy transaction id"></button></span>'
    )


def badge(text: str, kind: str | None = None) -> Markup:
    """Show a state; `kind` is good, warn, bad or accent, and known states have theirs."""
    meaning = _BADGES.get(str(text).lower(), "") if kind is None else kind
    more = f" badge--{escape(meaning)}" if meaning else ""
    return Markup(f'<span class="badge{more}">{escape(text)}</span>')  # noqa: S704 - escaped


@lru_cache(maxsize=64)
def kind(type_: str) -> Markup:
    """Show a movement's type with its sign."""
    name = escape(type_)
    return Markup(f'<span class="kind kind--{name}">{name.capitalize()}</span>')  # noqa: S704 - escaped


def label(name: str, color: str, remove_url: str | None = None, form: str = "act") -> Markup:
    """Show a label; `remove_url` is posted with that form of the page."""
    shown = escape(name)
    button = (
        f'<button class="label__remove" form="{escape(form)}" formaction="{escape(remove_url)}"'
        f' aria-label="Remove label {shown}"></button>'
        if remove_url
        else ""
    )
    return Markup(  # noqa: S704 - escaped
        f'<span class="label label--{escape(color)}">'
        f'<bdi class="label__name" title="{shown}">{shown}</bdi>{button}</span>'
    )
