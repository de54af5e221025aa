"""H1: the browser does not ask: the answer says that it may be kept.

`Cache-Control: max-age` on a page of data, often set for all answers at once because of the
static files, lets the browser, a proxy or a CDN answer by itself. A Last-Modified that does not
come from the data does it by the browser's own rule: a tenth of the answer's age. The request
never comes to the app, so that nothing called in it can help, nor a new process at its address.
"""

import requests
from cachecontrol import CacheControl
from flask import Response
from sqlalchemy import select

from freshledger.diagnosis.cause import Cause, World
from freshledger.diagnosis.evidence import shown
from freshledger.diagnosis.flask_site import FlaskSite
from freshledger.diagnosis.tables import Transaction

MAX_AGE = 5
"""Seconds."""


def build(world: World) -> FlaskSite:
    """Make the app; the healed one has its answers asked for each time."""
    site = FlaskSite(world)

    @site.app.after_request
    def may_be_kept(response: Response) -> Response:
        if world.healed:
            response.cache_control.no_cache = True
        else:
            response.cache_control.max_age = MAX_AGE
        return response

    @site.app.get("/page")
    def page() -> dict[str, list[tuple[int, str]]]:
        return shown(site.db.session.scalars(select(Transaction).order_by(Transaction.id)))

    return site


CAUSE = Cause(
    id="H1",
    title="the page's answer says that it may be kept, and the browser does not ask again",
    fix="Answer pages of data with Cache-Control: no-cache (or no-store), or with an ETag that is "
    "made of the data; look whether the request comes to the app at all.",
    build=build,
    browser=lambda: CacheControl(requests.Session()),
    patience=MAX_AGE + 0.2,
    within=MAX_AGE - 1,  # the answer's Date has no fractions
)
