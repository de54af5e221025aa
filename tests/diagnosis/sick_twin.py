"""An experiment whose healed twin has the fault too."""

from dataclasses import replace

from freshledger.diagnosis.catalogue import load_causes
from freshledger.diagnosis.cause import World
from freshledger.diagnosis.flask_site import FlaskSite

REAL = load_causes()["B3"]


def build(world: World) -> FlaskSite:
    """Make the faulty app in any case."""
    return REAL.build(World(world.url, world.folder))


CAUSE = replace(REAL, id="X3", build=build)
