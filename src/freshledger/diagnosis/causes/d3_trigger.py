"""D3: the database sets a column, by a trigger; the object that was saved has its old value.

After a flush the ORM reads back what it knows the server to make: defaults that are declared.
Of a trigger it knows nothing, nor of a generated column that is not declared. commit() would
expire the object; with expire_on_commit=False it stays, and the page's SELECT, which returns the
new value, skips it. The object is held by a list that another function exports.
"""

from sqlalchemy import select, text

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, utc_now

TRIGGER = """
CREATE OR REPLACE FUNCTION confirm() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN new.status := 'confirmed'; RETURN new; END$$;
CREATE OR REPLACE TRIGGER confirm BEFORE UPDATE OF txid ON transactions
FOR EACH ROW EXECUTE FUNCTION confirm()
"""
"""What has a hash on the chain is confirmed: so the database says."""


def build(world: World) -> FlaskSite:
    """Make the app; the healed one reads back what it has saved."""
    site = FlaskSite(world)
    with site.app.app_context(), site.db.engine.begin() as connection:
        connection.execute(text(TRIGGER))
    session = site.read_by_thread(removed=False, expire_on_commit=False)
    last_shown: list[Transaction] = []

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        last_shown[:] = session.scalars(select(Transaction).order_by(Transaction.id))
        return shown(last_shown)

    def set_txid(_site: FlaskSite) -> None:
        transaction = session.get_one(Transaction, 1)
        transaction.txid = "0x1f9840"
        new = Transaction(id=4, wallet_id=1, txid="tx4", status="pending", occurred_at=utc_now())
        session.add(new)
        session.commit()
        if world.healed:
            session.refresh(transaction)

    site.post("write", set_txid)
    return site


CAUSE = Cause(
    id="D3",
    title="the page's object lacks what a trigger set when it was saved",
    fix="Declare what the server sets (FetchedValue, Computed, server_onupdate), or refresh the "
    "object after the commit.",
    build=build,
    writes_itself=True,
)
