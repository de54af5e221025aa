"""The list's rows and its filters' choices as HTML, which a template would take too long for.

An open page is made anew with every commit, and a hundred of them at once: so a row takes some
twenty microseconds here. It has no text twice that its script (js/rows.js) can find in it, and
neither drawings nor buttons that the style sheet (css/marks.css) can make.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from freshledger.chains import display_address
from freshledger.transactions.display import Offer, fiat_text, moment_text
from freshledger.transactions.rows import LabelTag, TransactionRow
from freshledger.web import markup

SHOWN_LABELS = 5
LONG_AMOUNT = 14
LONG_NOTE = 40
"""A note of more characters may be cut where it is shown, and has a tooltip."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows are shown: the list's address, that of contacts, the viewer's zone."""

    base: str
    contacts: str
    zone: ZoneInfo
    editable: bool


def rows(placed: Iterable[tuple[TransactionRow, str]], place: Place) -> Markup:
    """Show movements, each with its place in its group: start, middle, end or "" if alone."""
    return Markup("\n".join([_row(row, group, place) for row, group in placed]))  # noqa: S704 - escaped


def _row(row: TransactionRow, group: str, place: Place) -> str:
    url = f"{place.base}/{row.id}"
    amount, symbol = row.amount, escape(row.asset)
    first = group in {"", "start"}
    box = (
        f'<input class="box" type="checkbox" name="id" value="{row.id}" form="bulk-form"'
        f' aria-label="Select {row.type} of {amount} {symbol}" data-select>'
        if place.editable
        else ""
    )
    state = f" {markup.badge(row.status.capitalize())}" if row.status != "confirmed" else ""
    return (
        f'<tr id="row-{row.id}" data-row="{row.id}" data-version="{row.version}" tabindex="-1"'
        f' class="movement{_kinds(row)}"{_hidden(row, group, first=first)}>'
        f'<td class="m-select">{box}</td>'
        f'<td class="m-time">{_when(row, url, place.zone)}</td>'
        f'<td class="m-kind">{markup.kind(row.type)}{state}</td>'
        f'<td class="m-wallet"><bdi>{escape(row.wallet)}</bdi></td>'
        f'<td class="m-amount num{" m-amount--long" if len(amount) > LONG_AMOUNT else ""}">'
        f"{markup.amount(amount)}</td>"
        f'<td class="m-asset">{_asset(row)}</td>'
        f'<td class="m-fiat num">{escape(fiat_text(row) or "")}</td>'
        f'<td class="m-who">{_who(row, url, place, first=first)}</td>'
        f'<td class="m-tags">{_tags(row, url, editable=place.editable)}</td>'
        f'<td class="m-more"><a class="more" href="{url}" data-edit="more"'
        ' title="More about this movement"></a></td></tr>'
    )


def _kinds(row: TransactionRow) -> str:
    state = f" movement--{row.status}" if row.status != "confirmed" else ""
    bare = " movement--bare" if not row.labels and not row.note else ""
    return f"{state}{bare}{' movement--known' if row.contact else ''}"


def _hidden(row: TransactionRow, group: str, *, first: bool) -> str:
    """Return the group, and the transaction id where only another row of the group shows it."""
    same = f' data-txid="{escape(row.txid)}"' if row.txid and not first else ""
    return f' data-group="{group}"{same}' if group else same


def _when(row: TransactionRow, url: str, zone: ZoneInfo) -> str:
    moment = moment_text(row.occurred_at, zone)
    return (
        f'<a class="when" href="{url}" title="{moment}" data-row-link>'
        f'<time datetime="{row.occurred_at.isoformat()}">{moment[:10]}'
        f' <span class="when__hour">{moment[11:16]}</span></time></a>'
    )


def _asset(row: TransactionRow) -> str:
    if not row.contract:
        return markup.asset(row.asset)
    contract = display_address(row.contract)
    return markup.asset(row.asset, contract) + markup.copy(contract, f"contract of {row.asset}")


def _who(row: TransactionRow, url: str, place: Place, *, first: bool) -> str:
    address = display_address(row.counterparty) if row.counterparty else None
    contact = f"{place.contacts}/{row.contact_id}" if row.contact else None
    add = _add(url, "contact", "Set the contact (c)") if place.editable else ""
    whole = escape(row.txid or "")
    txid = (
        f'<span class="txid" title="{whole}"><span class="hash">{whole}</span>'
        '<button class="copy" type="button" title="Copy transaction id"></button></span>'
        if whole and first
        else ""
    )
    return f"{markup.address(address, row.contact, contact)}{add}{txid}"


def _add(url: str, what: str, name: str) -> str:
    part = "labels" if what == "label" else what
    return f'<a class="add" href="{url}#{part}" data-edit="{what}" title="{name}"></a>'


def _tags(row: TransactionRow, url: str, *, editable: bool) -> str:
    labels = [_label(tag, url, editable=editable) for tag in row.labels]
    shown, more = "".join(labels[:SHOWN_LABELS]), labels[SHOWN_LABELS:]
    if more:
        shown += (
            '<details class="morelabels"><summary class="label label--gray"><span'
            f' class="label__name">{len(more)} more</span></summary>'
            f'<div class="labels">{"".join(more)}</div></details>'
        )
    note = _note(row.note, url, editable=editable) if row.note else ""
    adds = ""
    if editable:
        first = "" if row.note else _add(url, "note", "Add a note (n)")
        adds = f'<span class="adds">{_add(url, "label", "Add a label (l)")}{first}</span>'
    return f'<div class="labels">{shown}{note}{adds}</div>'


def _label(tag: LabelTag, url: str, *, editable: bool) -> str:
    remove = f"{url}/labels/{tag.id}/delete" if editable else None
    return markup.label(tag.name, tag.color, remove, form="row-act")


def _note(note: str, url: str, *, editable: bool) -> str:
    text = escape(note)
    if not editable:
        return f'<span class="note"><bdi>{text}</bdi></span>'
    title = f' title="{text}"' if len(note) > LONG_NOTE or "\n" in note else ""
    return f'<a class="note" href="{url}#note" data-edit="note"{title}><bdi>{text}</bdi></a>'


@dataclass(frozen=True, slots=True)
class Menu:
    """A filter's choices as HTML; `key` names them, so that they may stay."""

    html: Markup
    key: str
    on: int
    count: int


@lru_cache(128)
def menu(name: str, offer: Offer) -> Menu:
    """Show a filter's choices to want or not to want; the same choices are shown the same for ever."""
    html = "\n".join([_option(name, offer, choice) for choice in offer.choices])
    key = blake2b(html.encode(), digest_size=8).hexdigest()
    return Menu(Markup(html), key, len({*offer.on}) + len({*offer.off}), len(offer.choices))  # noqa: S704 - escaped


def _option(name: str, offer: Offer, choice: tuple[str, str, str | None]) -> str:
    value, text = escape(choice[0]), escape(choice[1])
    on, off = (" checked" if choice[0] in side else "" for side in (offer.on, offer.off))
    shown = (
        markup.label(choice[1], choice[2])
        if choice[2]
        else f'<bdi class="option__text">{text}</bdi>'
    )
    return (
        f'<div class="option" data-option id="option-{name}-{value}"><label class="check">'
        f'<input class="box" type="checkbox" name="{name}" value="{value}"{on}>{shown}</label>'
        f'<label class="not"><input class="option__not" type="checkbox" name="not.{name}"'
        f' value="{value}" aria-label="Not {text}"{off}>'
        '<span aria-hidden="true">not</span></label></div>'
    )
