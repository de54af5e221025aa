"""F5: a lambda in the question replays the parameter of its first run.

SQLAlchemy runs the lambda of lambda_stmt() and with_loader_criteria() once and keeps the statement
by the lambda's code. What its variables hold must be tracked to be sent anew. Told not to
(track_closure_variables=False, which promises that nothing varies), it sends the first request's
bound for ever; in some older versions a fault of its own did that.
"""

from sqlalchemy import event, select
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction, utc_now


def build(world: World) -> FlaskSite:
    """Make the app; the healed one lets SQLAlchemy track what the lambda uses."""
    site = FlaskSite(world)

    @event.listens_for(site.db.session, "do_orm_execute")
    def hide_the_future(state: ORMExecuteState) -> None:
        happened = Transaction.occurred_at <= utc_now()
        state.statement = state.statement.options(
            with_loader_criteria(
                Transaction, lambda _cls: happened, track_closure_variables=world.healed
            )
        )

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="F5",
    title="the page's statement is made by a lambda that replays its first parameter",
    fix="Do not switch off tracking (track_closure_variables, track_bound_values) where anything "
    "varies, or give an expression, not a lambda; compare the parameter sent with the intended one.",
    build=build,
    patience=0.5,
)
