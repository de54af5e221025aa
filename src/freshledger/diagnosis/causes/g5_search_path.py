"""G5: the page's connection resolves the table's name in another schema.

`search_path` may be set by the URL, the role or the database; a tenant's schema, or a row-level
policy, decides in the same way which rows a connection sees. The page reads the tenant's own
table, the writer the one in public: two tables of one name in one database.
"""

from sqlalchemy import select, text

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction

ONBOARDING = (
    "DROP SCHEMA IF EXISTS tenant CASCADE",
    "CREATE SCHEMA tenant",
    "CREATE TABLE tenant.transactions AS TABLE public.transactions",
)


def build(world: World) -> FlaskSite:
    """Make the app; the healed one's connections see what the writer sees."""
    path = "public" if world.healed else "tenant,public"
    site = FlaskSite(world, connect_args={"options": f"-csearch_path={path}"})
    onboarded = world.folder / "onboarded"
    if not onboarded.exists():
        with site.app.app_context(), site.db.engine.begin() as connection:
            for statement in ONBOARDING:
                connection.execute(text(statement))
        onboarded.touch()

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="G5",
    title="the page's search_path, tenant or row policy leads to other rows than the writer's",
    fix="Compare current_schemas(true), current_user and the row policies of both connections; "
    "name the schema in the model, and give the writer the page's tenant.",
    build=build,
    patience=0.5,
)
