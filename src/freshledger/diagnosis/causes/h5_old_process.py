"""H5: an old process still answers: it goes by the settings with which it began.

The books moved to another database, and the settings were changed with it. Nothing made the
running worker read them anew: a restart that failed because the port was in use, a reload that
reached the parent alone, a worker that was forgotten on the port. What it once loaded, code and
templates too, is as old as it is.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from sqlalchemy import make_url, select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one was started again after the move."""
    settings = world.folder / "settings"
    if not settings.exists():
        old = world.folder / "old.db"
        shutil.copy(Path(make_url(world.url).database or ""), old)
        settings.write_text(f"sqlite:///{old}")
    if world.healed:
        settings.write_text(world.url)
    site = FlaskSite(replace(world, url=settings.read_text()))
    settings.write_text(world.url)  # the books move while this process runs

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="H5",
    title="the page is answered by an old process, with the code and settings of its start",
    fix="Start the new process and make sure that the old one is gone: compare the start of the "
    "process that answers with the change, and list who listens on the port.",
    build=build,
    engine="sqlite",
    patience=0.5,
)
