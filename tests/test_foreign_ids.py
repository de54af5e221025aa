"""A foreign ledger is not found: all routes, every parameter, with ids that really exist there.

The routes are those of the application, and each says itself what it reads: the parameters of its
path, what its view asks of the query string and of forms, what the API's description names. A
parameter that is not in route_walk.PARAMETERS fails, and so does a route that cannot be walked:
whoever adds one says there what it names.
"""

import re

import pytest
from quart import request
from sqlalchemy import text

from freshledger.app import create_app
from freshledger.web.context import ViewerRequest, public, requires
from freshledger.web.session import current_session
from people import Person, come, share, version_of
from route_walk import (
    HARMLESS,
    NEEDS_MORE,
    OF_VIEWERS,
    PUBLIC,
    SIGNS_OUT,
    Noted,
    Route,
    Walk,
    begin,
    routes_of,
)


@pytest.fixture(autouse=True)
def noted(monkeypatch):
    monkeypatch.setattr(ViewerRequest, "parameter_storage_class", Noted)


@pytest.fixture
async def walk(app, psql):
    return await begin(app, psql)


async def test_a_foreign_ledger_is_not_found(app, psql, walk):
    """For somebody who has another ledger, in a browser and with a token of their own."""
    stranger = await come(app, psql)
    token = {"Authorization": f"Bearer {await make_token(walk.own.owner, walk.own.ledger_id)}"}
    csrf = {"X-CSRF-Token": stranger.csrf}
    for route in routes_of(app):
        if not route.of_a_ledger:
            continue
        path = walk.path(route, *route.arguments)
        for sent in ({}, walk.accepted(route)):
            for client, headers in (
                (None, None),
                (stranger.client, csrf),
                (app.test_client(), token),
            ):
                status = await walk.ask(route, path, client=client, headers=headers, sent=sent)
                assert status == 404, route


async def walk_paths(walk: Walk, routes: list[Route]) -> None:
    for route in routes:
        for name in route.arguments:
            if name == "ledger_id":
                continue
            await walk.renew()
            status = await walk.ask(route, walk.path(route, name), sent=walk.accepted(route))
            administers = route.endpoint.startswith("people.")
            assert status == (403 if administers else 404), (route, name)


async def test_a_foreign_id_in_a_path_is_not_found(app, walk):
    await walk_paths(walk, routes_of(app))


async def walk_values(walk: Walk, routes: list[Route]) -> None:
    """A view is asked once with what it accepts, and says by that what it reads."""
    for route in routes:
        if route.endpoint in SIGNS_OUT:
            continue
        await walk.renew()
        status = await walk.ask(route, walk.path(route), sent=walk.accepted(route))
        if route.of_a_ledger and route.reads and route.endpoint not in NEEDS_MORE:
            assert status == 200, f"{route}: it must work with one's own ids, to say anything"
        for name in walk.names(route):
            kind = route.kind(name)
            if kind is not HARMLESS:
                await walk.renew()
                sent = walk.accepted(route) | {name: walk.foreign.rows[kind]}
                await walk.ask(route, walk.path(route), sent=sent)


async def test_a_foreign_id_in_a_query_or_body_shows_and_changes_nothing(app, walk):
    await walk_values(walk, routes_of(app))


async def walk_as_viewer(walk: Walk, routes: list[Route]) -> None:
    viewer = await come(walk.app, walk.psql)
    csrf = {"X-CSRF-Token": viewer.csrf}
    await share(walk.psql, walk.own.ledger_id, viewer, "viewer")
    before = await version_of(walk.psql, walk.own.ledger_id)
    for route in routes:
        if not route.of_a_ledger or route.reads or route.endpoint in OF_VIEWERS:
            continue
        path, sent = walk.path(route), walk.accepted(route)
        status = await walk.ask(route, path, client=viewer.client, headers=csrf, sent=sent)
        assert status == 403, f"{route}: a viewer is not refused"
        assert await version_of(walk.psql, walk.own.ledger_id) == before, route


async def test_a_viewer_changes_nothing(app, walk):
    await walk_as_viewer(walk, routes_of(app))


async def walk_as_nobody(walk: Walk, routes: list[Route]) -> None:
    before = await version_of(walk.psql, walk.own.ledger_id)
    for route in routes:
        for foreign in ((), route.arguments):
            path, sent = walk.path(route, *foreign), walk.accepted(route)
            status = await walk.ask(route, path, client=walk.app.test_client(), sent=sent)
            if route.endpoint not in PUBLIC:
                assert status == (401 if route.is_api else 303), f"{route}: nobody is not refused"
        assert await version_of(walk.psql, walk.own.ledger_id) == before, route


async def test_nobody_is_refused(app, walk):
    """Who is not signed in sees nothing and changes nothing, whatever they name."""
    await walk_as_nobody(walk, routes_of(app))


async def make_token(person: Person, ledger_id: int) -> str:
    answer = await person.post(f"/ledgers/{ledger_id}/tokens", {"name": "x", "scope": "write"})
    return re.search(rf"fl_{ledger_id}_[\w-]+", await answer.get_data(as_text=True))[0]


# The faults that the walk is there for


@pytest.fixture
async def faulty(settings):
    """The application with routes that somebody forgot to bind to the ledger."""
    app = create_app(settings)

    async def name_of(label_id):
        query = text("SELECT name FROM labels WHERE id = :id")
        return (await current_session().execute(query, {"id": int(label_id)})).scalar_one()

    @app.get("/ledgers/<int:ledger_id>/faulty/<int:label_id>")
    async def by_path(label_id, **_):
        return await name_of(label_id)

    @app.get("/ledgers/<int:ledger_id>/faulty")
    async def by_query(**_):
        return await name_of(request.args.get("label", 0)) if "label" in request.args else "none"

    @app.post("/ledgers/<int:ledger_id>/faulty")
    @requires("viewer")
    async def by_form(**_):
        query = text("DELETE FROM labels WHERE id = :id")
        await current_session().execute(query, {"id": int((await request.form)["label"])})
        return "gone"

    @app.get("/ledgers/<int:ledger_id>/unknown")
    async def unknown(**_):
        return request.args.get("planet", "none")

    @app.get("/faulty")
    @public
    async def open_to_all():
        return "everybody"

    async with app.test_app():
        yield app


@pytest.mark.parametrize(
    ("endpoint", "walking", "complaint"),
    [
        ("by_path", walk_paths, "shows something"),
        ("by_query", walk_values, "shows something"),
        ("by_form", walk_values, "changed something"),
        ("by_form", walk_as_viewer, "a viewer is not refused"),
        ("unknown", walk_values, "what does its parameter planet name"),
        ("open_to_all", walk_as_nobody, "nobody is not refused"),
    ],
)
async def test_a_planted_fault_is_seen(faulty, psql, endpoint, walking, complaint):
    routes = [route for route in routes_of(faulty) if route.endpoint == endpoint]
    walk = await begin(faulty, psql)
    with pytest.raises(AssertionError, match=complaint):
        await walking(walk, routes)


def test_a_path_that_nobody_knows_fails():
    route = Route("wallets.show", "/ledgers/<int:ledger_id>/new/<int:secret_id>", "GET", ())
    with pytest.raises(AssertionError, match="secret_id"):
        route.kind("secret_id")
