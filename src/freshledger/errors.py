"""What can go wrong in the domain: a stable code and one clear sentence, no HTTP."""

from collections.abc import Mapping
from typing import Any, ClassVar


class AppError(Exception):
    """Something the user can be told; `field` names the form field, option or column."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    @property
    def sentence(self) -> str:
        """What is wrong as it stands at its field on a page, which has the field's name already."""
        text = self.message.removeprefix(f"{self.field}: ")
        return text[:1].upper() + text[1:] + "."


class Invalid(AppError):
    """A value that cannot be accepted; nothing was done."""

    code = "invalid"


class NotFound(AppError):
    """Not there, or not the viewer's: the two are never told apart."""

    code = "not_found"


class Conflict(AppError):
    """It clashes with what is already there, for example a name that is taken."""

    code = "conflict"


class PreconditionFailed(AppError):
    """What the caller had seen has changed since; nothing was done.

    `details` are further members of the problem that a program is told.
    """

    code = "precondition_failed"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.details = details or {}


class PreconditionRequired(AppError):
    """An edit of a value has to say which version of it was seen; nothing was done."""

    code = "precondition_required"


class Unauthenticated(AppError):
    """Nobody is signed in, or the token is not valid."""

    code = "unauthenticated"


class Forbidden(AppError):
    """Signed in, but the role or the token's scope does not allow it."""

    code = "forbidden"


class TooMany(AppError):
    """Too many attempts; try again after `retry_after` seconds."""

    code = "too_many_attempts"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(AppError):
    """The database could not serve the request in time; nothing was done, try again."""

    code = "busy"


class Uncertain(AppError):
    """The database went away while saving: what was asked is done whole, or not at all."""

    code = "outcome_unknown"
