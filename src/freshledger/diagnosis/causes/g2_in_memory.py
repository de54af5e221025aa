"""G2: each thread has a database in memory of its own.

SQLite makes a database in memory for each connection, and SQLAlchemy a connection for each
thread. The app keeps a copy of the books in memory. The job that brings it up to date runs in a
thread of its own, so that it has a copy of its own: the page's is as it was first loaded.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import create_engine, insert, inspect, select
from sqlalchemy.pool import NullPool

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Base, Transaction

IN_MEMORY = "sqlite:///file:copy?mode=memory&uri=true"
SHARED = f"{IN_MEMORY}&cache=shared"


def build(world: World) -> FlaskSite:
    """Make the app; the healed one's connections share one database in memory."""
    os.chdir(world.folder)
    site = FlaskSite(replace(world, url=SHARED if world.healed else IN_MEMORY))
    books = create_engine(world.url, poolclass=NullPool)
    jobs = ThreadPoolExecutor(1)

    def load() -> None:
        with site.app.app_context(), books.connect() as origin, site.db.engine.begin() as copy:
            Base.metadata.create_all(copy)
            for table in reversed(Base.metadata.sorted_tables):
                copy.execute(table.delete())
            for table in Base.metadata.sorted_tables:
                if rows := origin.execute(select(table)).mappings().all():
                    copy.execute(insert(table), [dict(row) for row in rows])

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        if not inspect(site.db.engine).has_table("transactions"):  # as it is in a new thread
            load()
        jobs.submit(load).result()
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="G2",
    title="the page's thread reads an SQLite database in memory of its own",
    fix="Use a file, or one shared database in memory (cache=shared, or one connection by "
    "StaticPool) where a process needs no other; never :memory: with several threads or workers.",
    build=build,
    engine="sqlite",
    patience=0.5,
)
