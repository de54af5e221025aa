"""A memory of bounded size for what was just seen."""

from collections import OrderedDict

CAPACITY = 50_000


class Recent:
    """Says whether a key was seen among the last fifty thousand."""

    def __init__(self) -> None:
        self._keys: OrderedDict[object, None] = OrderedDict()

    def seen(self, key: object) -> bool:
        """Say whether the key was seen, and keep it."""
        known = key in self._keys
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > CAPACITY:
            self._keys.popitem(last=False)
        return known
