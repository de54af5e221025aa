"""The embedded PostgreSQL: a real server in the data folder, reached only through a private socket.

Of the package that brings it only the binaries are used. Every process that needs the server
holds a shared lock on `users.lock`; the kernel takes it from the dead, so the last living user
stops the server, and after kill -9 the next one finds it running, or recovers it.
"""

from freshledger.embedded.programs import MAJOR, tool
from freshledger.embedded.server import EmbeddedServer

BUNDLED_MAJOR = int(MAJOR)

__all__ = ["BUNDLED_MAJOR", "EmbeddedServer", "tool"]
