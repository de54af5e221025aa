"""An experiment whose app cannot be made."""

from dataclasses import replace

from freshledger.diagnosis.catalogue import load_causes
from freshledger.diagnosis.cause import World
from freshledger.diagnosis.flask_site import FlaskSite


def build(world: World) -> FlaskSite:
    """Fail."""
    raise RuntimeError(f"nothing can be made of {world.url.partition(':')[0]}")


CAUSE = replace(load_causes()["B3"], id="X2", build=build)
