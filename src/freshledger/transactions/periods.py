"""Days, instants and relative periods of a filter, resolved in the viewer's time zone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from freshledger.errors import Invalid

PRESETS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "last-7-days": "Last 7 days",
    "last-30-days": "Last 30 days",
    "last-90-days": "Last 90 days",
    "this-month": "This month",
    "last-month": "Last month",
    "this-year": "This year",
    "last-year": "Last year",
}
"""The relative periods with their names; as `from` one takes its begin, as `to` its end."""

_DAYS = re.compile(r"last-(\d+)-days")
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
EARLIEST, LATEST = date(1970, 1, 1), date(9998, 12, 31)
ALL_TIME = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """The viewer's zone and the moment (UTC) that relative periods are relative to."""

    zone: ZoneInfo
    now: datetime

    @classmethod
    def of(cls, zone: str) -> "Clock":
        """Read the clock for a zone by its IANA name; an unknown one is UTC."""
        try:
            known = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            known = ZoneInfo("UTC")
        return cls(known, datetime.now(UTC))

    @property
    def today(self) -> date:
        """The viewer's day."""
        return self.now.astimezone(self.zone).date()

    def begin_of(self, day: date) -> datetime:
        """Return the first instant of a day of the zone, in UTC.

        Where a clock change skips or repeats midnight that is the change or the first of two.
        """
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def parse_bound(text: str, *, field: str) -> str:
    """Return a day, an RFC 3339 instant (in UTC) or a preset's name as it is kept in a filter.

    Raises Invalid naming `field`.
    """
    text = text.strip()
    if text.lower() in PRESETS:
        return text.lower()
    try:
        if _DAY.fullmatch(text):
            return _within(date.fromisoformat(text)).isoformat()
        if _INSTANT.fullmatch(text):
            return format_instant(parse_instant(text))
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{field}: {text!r} is not a date", field=field) from error
    raise Invalid(
        f"{field}: {text[:40]!r} is not a date (2024-01-31), a time with its zone"
        " (2024-01-31T12:00:00Z) or a period (last-month)",
        field=field,
    )


def parse_instant(text: str) -> datetime:
    """Return an RFC 3339 time in UTC; raises ValueError for anything else."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.upper())
    _within(moment.date())
    return moment.astimezone(UTC)


def format_instant(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC, with `Z`, with a fraction only where it has one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def begin(bound: str, clock: Clock) -> datetime:
    """Return the first instant that `from=bound` lets in."""
    if bound in PRESETS:
        return clock.begin_of(_period(bound, clock.today)[0])
    if _DAY.fullmatch(bound):
        return clock.begin_of(date.fromisoformat(bound))
    return parse_instant(bound)


def end(bound: str, clock: Clock) -> datetime:
    """Return the first instant that `to=bound` no longer lets in: days count to their end."""
    if bound in PRESETS:
        return clock.begin_of(_period(bound, clock.today)[1])
    if _DAY.fullmatch(bound):
        return clock.begin_of(date.fromisoformat(bound) + timedelta(days=1))
    return parse_instant(bound) + timedelta(microseconds=1)


Span = tuple[datetime, datetime]
"""From the first instant to the one after the last."""


def spans(wanted: Iterable[str], unwanted: Iterable[str], clock: Clock) -> list[Span]:
    """Return what is left of the wanted ranges `low/high` without the unwanted ones, in order.

    None wanted is all time. No two have an instant in common.
    """
    apart: list[Span] = []
    for low, high in sorted(_span(one, clock) for one in wanted):
        if apart and low <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(high, apart[-1][1])
        else:
            apart.append((low, high))
    apart = apart or [ALL_TIME]
    for begins, ends in (_span(one, clock) for one in unwanted):
        if begins >= ends:
            continue
        sides = [((low, min(high, begins)), (max(low, ends), high)) for low, high in apart]
        apart = [(low, high) for both in sides for low, high in both if low < high]
    return apart


def _span(bounds: str, clock: Clock) -> Span:
    low, high = bounds.split("/")
    return (
        begin(low, clock) if low else ALL_TIME[0],
        end(high, clock) if high else ALL_TIME[1],
    )


def _period(preset: str, today: date) -> tuple[date, date]:
    """Return a preset's first day and the day after its last."""
    tomorrow = today + timedelta(days=1)
    first, new_year = today.replace(day=1), today.replace(month=1, day=1)
    if days := _DAYS.fullmatch(preset):
        return tomorrow - timedelta(days=int(days[1])), tomorrow
    return {
        "today": (today, tomorrow),
        "yesterday": (today - timedelta(days=1), today),
        "this-month": (first, (first + timedelta(days=31)).replace(day=1)),
        "last-month": ((first - timedelta(days=1)).replace(day=1), first),
        "this-year": (new_year, new_year.replace(year=today.year + 1)),
        "last-year": (new_year.replace(year=today.year - 1), new_year),
    }[preset]


def _within(day: date) -> date:
    """Return the day; raises ValueError for years no transaction can be of."""
    if not EARLIEST <= day <= LATEST:
        raise ValueError(day)
    return day
