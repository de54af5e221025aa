"""G1: the page reads another SQLite file than the one that is written.

A relative path means another file for each program: Flask-SQLAlchemy 3 resolves it in the app's
instance folder, a script in its current one. Somebody copied the file when the page was empty;
since then there are two, and what is written to the one never comes to the other.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from sqlalchemy import make_url, select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction


def build(world: World) -> FlaskSite:
    """Make the app; the healed one's path is absolute."""
    os.chdir(world.folder)
    written = Path(make_url(world.url).database or "")
    copied = Path("instance") / written.name
    if not copied.exists():
        copied.parent.mkdir()
        shutil.copy(written, copied)
    site = FlaskSite(world if world.healed else replace(world, url=f"sqlite:///{written.name}"))

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="G1",
    title="the page reads another SQLite file than the writer: a relative path means two",
    fix="Give all programs one absolute path, from one setting; compare PRAGMA database_list on "
    "both sides.",
    build=build,
    engine="sqlite",
    patience=0.5,
)
