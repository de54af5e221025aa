"""Edits that say which version they are based on, and what is answered where one was lost."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta
from quart import request
from quart.typing import ResponseReturnValue

from freshledger.amounts import format_amount
from freshledger.errors import Invalid, PreconditionFailed, PreconditionRequired
from freshledger.merging import Lost, LostEdit, Seen
from freshledger.web.context import viewer
from freshledger.web.rendering import render
from freshledger.web.times import local_time

_VERSION = re.compile(r'"([0-9]{1,18})"', re.ASCII)
_SHORT = 80
"""Characters of a value in a sentence."""


Text = Callable[[str, Any], str]
"""Writes a column's value as people read it: takes the column's name and the value."""


def _plain_text(_field: str, value: Any) -> str:  # noqa: ANN401 - a column's value
    return str(value)


class IfMatch(msgspec.Struct):
    """What an edit or a deletion is based on."""

    if_match: Annotated[
        str,
        Meta(
            description="The row's `version` as you saw it, in quotes. What others changed since"
            " is merged where it is in other fields (not before a deletion), else the answer is"
            " 412 with both values. `*` stands for whatever is there. Without it: 428.",
            examples=['"3"'],
        ),
    ] = msgspec.field(name="If-Match")


def if_match() -> Seen | None:
    """Return the version of the row that the request is based on, None for `*`.

    Raises PreconditionRequired without the header, Invalid where it is no version.
    """
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise PreconditionRequired(
            'If-Match: send the version of the row that you saw, such as If-Match: "3"; *'
            " stands for whatever is there",
            field="If-Match",
        )
    if given == "*":
        return None
    found = _VERSION.fullmatch(given)
    if not found:
        raise Invalid(
            f'If-Match: {given[:60]} is not a row\'s version in quotes, such as "3"',
            field="If-Match",
        )
    return Seen(int(found[1]))


@asynccontextmanager
async def telling(current: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Tell a program whose edit was lost both values, by whom and when, and the row as it is.

    `current` reads the row in the API's shape.
    """
    try:
        yield
    except LostEdit as lost:
        last = lost.last
        details = {
            "current": await current(),
            "conflicts": [_plain(one) for one in lost.lost],
            "changed_by": last.changed_by if last else None,
            "changed_at": last.changed_at if last else None,
        }
        raise PreconditionFailed(lost.message, field=lost.field, details=details) from lost


def _plain(one: Lost) -> Lost:
    values = {name: getattr(one, name) for name in ("theirs", "yours", "base")}
    amounts = {name: format_amount(value) for name, value in values.items()
               if isinstance(value, Decimal)}  # fmt: skip
    return msgspec.structs.replace(one, **amounts)


@dataclass(frozen=True, slots=True)
class Control:
    """How a page names a field and lets it be edited: `kind` is line, lines or choice."""

    title: str
    kind: str = "line"
    options: tuple[tuple[str, str], ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A field where two people's edits meet, as its texts; `base` None is not known."""

    name: str
    control: Control
    theirs: str
    yours: str
    base: str | None
    by: str | None
    when: str | None


def choice(
    one: Lost, control: Control, *, yours: str, text: Text = _plain_text, name: str = ""
) -> Choice:
    """Return a column in conflict as a page's field; `name` is the form's, if it is another."""
    titles = dict(control.options)

    def read(value: Any) -> str:  # noqa: ANN401 - a column's value
        written = text(one.field, value)
        return titles.get(written, written)

    return Choice(
        name=name or one.field,
        control=control,
        theirs=read(one.theirs),
        yours=yours,
        base=None if one.base is UNSET else read(one.base),
        by=one.changed_by,
        when=local_time(one.changed_at) if one.changed_at else None,
    )


async def conflict_page(
    choices: Iterable[Choice], *, subject: str, keep_url: str, kept: Mapping[str, Any]
) -> ResponseReturnValue:
    """Show a lost edit with both texts of each field, for its maker to choose: 412.

    `kept` are the form's other fields, and the version that the choice is based on.
    """
    page = await render(
        "conflict.html",
        block="page",
        choices=list(choices),
        subject=subject,
        keep_url=keep_url,
        kept={name: value for name, value in kept.items() if value is not None},
        action=request.path,
        zone=viewer().time_zone,
    )
    return page, 412


def refused_deletion(
    lost: LostEdit, controls: Mapping[str, Control], text: Text = _plain_text
) -> PreconditionFailed:
    """Say to a person what has changed in what they wanted to delete."""
    said = [_sentence(one, controls[one.field].title.lower(), text) for one in lost.lost
            if one.field in controls]  # fmt: skip
    told = "; ".join(said) or "this has changed since the page was made"
    return PreconditionFailed(f"nothing was deleted: {told}; look at it as it is now")


def _sentence(one: Lost, title: str, text: Text) -> str:
    by, at = one.changed_by or "somebody", one.changed_at
    was = "" if one.base is UNSET else f" from {_quoted(text(one.field, one.base))}"
    when = f" on {local_time(at)} ({viewer().time_zone})" if at else ""
    return f"{by} changed its {title}{was} to {_quoted(text(one.field, one.theirs))}{when}"


def _quoted(text: str) -> str:
    short = text if len(text) <= _SHORT else f"{text[:_SHORT]}…"
    return f"“{short}”" if short else "nothing"
