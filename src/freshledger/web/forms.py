"""What is read out of a form that a browser sent."""

from collections.abc import Iterable, Mapping

from freshledger.errors import Invalid, PreconditionRequired
from freshledger.merging import Seen

_DIGITS = 18
"""More digits are no id and no count of ours."""


def form_text(form: Mapping[str, str], name: str) -> str:
    """Return a field's text, '' where it is missing."""
    return form.get(name, "")


def form_number(form: Mapping[str, str], name: str) -> int | None:
    """Return a field that holds a whole number, None where it is empty; raises Invalid."""
    text = form.get(name, "").strip().replace(",", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise Invalid(f"{name}: {text[:40]!r} is not a number", field=name)
    return int(text)


def form_id(form: Mapping[str, str], name: str) -> int:
    """Return a field that holds a row's id; raises Invalid where nothing was chosen."""
    number = form_number(form, name)
    if number is None:
        raise Invalid(f"{name}: choose one", field=name)
    return number


def form_version(form: Mapping[str, str]) -> Seen:
    """Return the version of the row that the form was made from.

    Raises Invalid, and PreconditionRequired where the form does not say: it could undo what
    somebody else did meanwhile.
    """
    form_seen(form, "version")
    return Seen(form_number(form, "version") or 0, whole=True)


def form_seen(form: Mapping[str, str], name: str) -> str:
    """Return the field that says what the form was made from; raises PreconditionRequired."""
    text = form.get(name, "")
    if not text.strip():
        raise PreconditionRequired(
            f"{name}: the form does not say what it was made from; open the page again and"
            " repeat what you did",
            field=name,
        )
    return text


def form_choices(form: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the fields that were sent, without those where a person kept somebody else's."""
    sent = [name for name in names if name in form and form.get(f"keep_{name}") != "theirs"]
    return {name: form[name].replace("\r\n", "\n") for name in sent}
