"""What is read out of a form that a browser sent."""

from collections.abc import Mapping

from freshledger.errors import Invalid

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


def form_version(form: Mapping[str, str]) -> int | None:
    """Return the version of the row that the form was made from; raises Invalid."""
    return form_number(form, "version")
