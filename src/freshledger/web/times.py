"""Times as pages show them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from freshledger.web.context import viewer


def local_time(value: datetime | str) -> str:
    """Show a time in the viewer's zone, to the second; takes RFC 3339 text too.

    What PostgreSQL writes of a time that is none of the calendar's (infinity) stays as it is.
    """
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return f"{at.astimezone(ZoneInfo(viewer().time_zone)):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return str(value)
