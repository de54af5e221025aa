"""D7: a form that was opened before somebody's change is saved after it, with all its fields.

The page told the truth when the form was opened. Meanwhile somebody confirms the transaction;
then the form is saved, and writes back the status it was opened with. The page shows what is in
the database: it is the newer value that is gone, and no reading of any kind brings it back.
"""

from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, write


def build(world: World) -> FlaskSite:
    """Make the app; the healed one writes only what the person has changed in the form."""
    site = FlaskSite(world)
    session = site.db.session
    opened: dict[str, str] = {}

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        transactions = session.scalars(select(Transaction).order_by(Transaction.id)).all()
        opened.update(txid=transactions[0].txid, status=transactions[0].status)
        return shown(transactions)

    def save_after_somebody_else(_site: FlaskSite) -> None:
        form = {**opened, "txid": "0x1f9840"}
        with site.db.engine.begin() as connection:
            write(connection)
        transaction = session.get_one(Transaction, 1)
        for field, value in form.items():
            if value != opened[field] or not world.healed:
                setattr(transaction, field, value)
        session.commit()

    site.post("write", save_after_somebody_else)
    return site


CAUSE = Cause(
    id="D7",
    title="the page shows old values because a stale form has overwritten the new ones",
    fix="Give each row a version (version_id_col) that forms carry, and refuse a save over a newer "
    "one; write only the fields that the person has changed.",
    build=build,
    writes_itself=True,
)
