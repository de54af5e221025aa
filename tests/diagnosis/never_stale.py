"""An experiment that shows nothing: its page is never stale."""

from dataclasses import replace

from freshledger.diagnosis.catalogue import load_causes
from freshledger.diagnosis.cause import World
from freshledger.diagnosis.flask_site import FlaskSite

REAL = load_causes()["B3"]


def build(world: World) -> FlaskSite:
    """Make the healed app in any case."""
    return REAL.build(World(world.url, world.folder, healed=True))


CAUSE = replace(REAL, id="X1", build=build)
