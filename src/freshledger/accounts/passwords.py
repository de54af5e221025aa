"""Passwords: the rules for new ones, and Argon2id away from the event loop."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from freshledger.errors import Invalid

SHORTEST, LONGEST = 10, 1024
"""Characters of a password."""

T = TypeVar("T")

_hasher = PasswordHasher(time_cost=2, memory_cost=32 * 1024, parallelism=1)
"""More than OWASP's least for Argon2id (19 MiB, t=2, p=1)."""

_workers = ThreadPoolExecutor(2, thread_name_prefix="argon2")
"""Two at a time: a flood of sign-ins waits here, and takes neither all cores nor the memory."""

_NOBODYS = _hasher.hash("the password of nobody")
"""Checked where there is no user, so that an unknown email takes as long as a wrong password."""

COMMON = frozenset(
    """
    1234567890 0123456789 12345678910 123456789a 123456789q 1234567891 0987654321 1q2w3e4r5t
    1q2w3e4r5t6y q1w2e3r4t5 q1w2e3r4t5y6 qwertyuiop qwerty1234 qwerty12345 qwerty123456
    qwertyuiop123 asdfghjkl1 asdfghjkl123 zxcvbnm123 1qaz2wsx3edc password12 password123
    password1234 password12345 passw0rd123 p@ssw0rd123 p@ssword123 mypassword password1!
    password123! admin12345 administrator changeme123 welcome123 welcome1234 letmein123
    iloveyou123 iloveyou12 ilovegod123 football123 baseball123 basketball superman123 batman12345
    princess123 sunshine123 dragon12345 monkey12345 charlie123 michael123 jordan12345 liverpool1
    manchester computer123 internet123 whatever123 trustno1trustno1 starwars123 pokemon123
    naruto12345 bitcoin123 bitcoin1234 ethereum123 satoshi123 satoshinakamoto freshledger
    freshledger1 freshledger123 abc1234567 abcd123456 abcdefghij a123456789 aa123456789
    q123456789 qwe123qwe123 asd123asd123 123qwe123qwe 123123123123 1231231231 1234512345
    """.split()  # noqa: SIM905 - a list of a hundred strings is no easier to read
)
"""The commonest passwords that are long enough, in lower case."""


def check_new_password(password: str, *, email: str) -> None:
    """Raise Invalid, naming the field password, unless it may protect the account of `email`."""
    plain = password.strip().casefold()
    if len(password) < SHORTEST:
        raise Invalid(f"a password has at least {SHORTEST} characters", field="password")
    if len(password) > LONGEST:
        raise Invalid(f"a password has at most {LONGEST} characters", field="password")
    if plain in {email.casefold(), email.casefold().partition("@")[0]}:
        raise Invalid("the password must not be the email address", field="password")
    if plain in COMMON or len(set(plain)) < 4:  # noqa: PLR2004 - aaaaaaaaaa, 1212121212
        raise Invalid("this password is one of the first that are tried", field="password")


async def hash_password(password: str) -> str:
    """Return what is stored of a password: Argon2id with its parameters and salt."""
    return await _in_a_thread(_hasher.hash, _normal(password))


async def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether it is the stored hash's password; as slow, and False, where nothing is stored."""
    right = await _in_a_thread(_verify, stored or _NOBODYS, _normal(password))
    return right and stored is not None


def needs_rehash(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except VerifyMismatchError:
        return False


def _normal(password: str) -> str:
    """Make one text of what different keyboards send for the same characters."""
    return unicodedata.normalize("NFKC", password[: LONGEST + 1])


async def _in_a_thread(function: Callable[..., T], *arguments: str) -> T:
    return await asyncio.get_running_loop().run_in_executor(_workers, function, *arguments)
