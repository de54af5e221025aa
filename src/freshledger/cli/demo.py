"""demo: the same as serve, with a demo ledger in a data folder of its own."""

from datetime import UTC, datetime, time

from msgspec.structs import replace

from freshledger.cli.base import command, progress
from freshledger.cli.serve import address_options, run_server, serve_until_stopped
from freshledger.demo.ledger import has_demo, make_demo
from freshledger.errors import Invalid
from freshledger.settings import Settings, default_data_dir
from freshledger.startup import open_database


@command("demo")
@address_options
def demo(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve five years of somebody's made-up transactions, to look around in.

    They are kept in a data folder of their own, beside yours.
    """
    if settings.database_url:
        raise Invalid("the demo never uses FRESHLEDGER_DATABASE_URL: unset it first")
    if settings.data_dir == default_data_dir():
        settings = replace(settings, data_dir=settings.data_dir.with_name("freshledger-demo"))
    run_server(_demo, settings, host=host, port=port)


async def _demo(settings: Settings) -> None:
    async with open_database(settings) as database:
        async with database.write.begin() as session:
            if not await has_demo(session):
                with progress() as bar:
                    task = bar.add_task("making the demo ledger")
                    await make_demo(
                        session,
                        until=datetime.combine(datetime.now(UTC), time.min, UTC),
                        progress=lambda done, total: bar.update(task, completed=done, total=total),
                    )
        await serve_until_stopped(replace(settings, database_url=database.url))
