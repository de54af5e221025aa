"""Address books as CSV: Safe's `address,name,chainId`, rotki's `address,name,blockchain`.

Safe's knows EVM chains alone, by chain id. rotki's leaves the blockchain empty for an address
on all chains of its kind, and may have a fourth column, `location`. Both are UTF-8, Safe's
with a byte order mark. Reading is pure: bytes in, entries and problems by line out.
"""

import csv
import io
from collections.abc import Iterable, Iterator

import msgspec

from freshledger import named
from freshledger.chains import EVM, display_address, network_of, normalize_address_in, parse_chain
from freshledger.errors import Invalid

MAX_SIZE = 1024**2
"""Bytes; Safe's own limit."""

FORMATS = {"safe": ("address", "name", "chainId"), "rotki": ("address", "name", "blockchain")}
"""The columns of each form, in order."""

MAINNET = "1"
"""The chain id that stands for all EVM chains in Safe's form."""

ROTKI = {
    "eth": "ethereum", "polygon_pos": "polygon", "arbitrum_one": "arbitrum", "binance_sc": "bnb",
    "avax": "avalanche", "scroll": EVM, "zksync_lite": EVM, "evm": EVM, "evmlike": EVM,
    "btc": "bitcoin", "bch": "bitcoin-cash", "bitcoin_cash": "bitcoin-cash",
}  # fmt: skip
"""rotki's names of blockchains that are not ours."""

_NAMES = {"ethereum": "eth", EVM: "", "bitcoin": "btc", "bitcoin-cash": "bch"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Entry(msgspec.Struct, frozen=True):
    """A line that could be read: a name for an address, as it is stored, in a network."""

    line: int
    network: str
    address: str
    name: str


class Problem(msgspec.Struct, frozen=True):
    """A line that could not, and why."""

    line: int
    message: str


class Book(msgspec.Struct, frozen=True):
    """What a file holds; `format` is one of FORMATS."""

    format: str
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def read_book(data: bytes) -> Book:
    """Read a file; raises Invalid, field file, for one that is no address book at all."""
    rows = _rows(_text(data))
    _, head = next(rows, (1, []))
    columns = [cell.strip().lower() for cell in head]
    if columns[:2] != ["address", "name"]:
        raise _invalid("line 1 must be address,name,chainId (Safe) or address,name,blockchain")
    place = "chainid" if "chainid" in columns else "blockchain"
    entries, problems = [], []
    for line, cells in rows:
        try:
            entries.append(_entry(line, columns, cells, place))
        except Invalid as error:
            problems.append(Problem(line, error.message))
    kind = "safe" if place == "chainid" else "rotki"
    return Book(kind, tuple(entries), tuple(problems))


def write_book(kind: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[bytes]:
    """Write (address, name, network) rows in one of FORMATS, safe to open in a spreadsheet.

    Safe's form leaves out what is not on EVM chains.
    """
    if kind not in FORMATS:
        raise Invalid(f"format: must be one of {', '.join(FORMATS)}", field="format")
    yield (b"\xef\xbb\xbf" if kind == "safe" else b"") + _line(FORMATS[kind])
    for address, name, network in rows:
        if kind == "safe" and network != EVM:
            continue
        place = MAINNET if kind == "safe" else _NAMES.get(network, network)
        yield _line((display_address(address), _harmless(name), place))


def _text(data: bytes) -> str:
    if len(data) > MAX_SIZE:
        raise _invalid(f"at most {MAX_SIZE // 1024:,} KB; this has {len(data) // 1024:,} KB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(f"line {line} is not UTF-8 text") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _invalid(f"line {line} has a NUL byte; this is no CSV file")
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number of its first line; empty lines are left out."""
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _invalid(f"line {line}: {error}") from error


def _entry(line: int, columns: list[str], cells: list[str], place: str) -> Entry:
    if len(cells) > len(columns):
        raise Invalid(f"it has {len(cells)} cells, the first line has {len(columns)}")
    row = dict(zip(columns, cells, strict=False))
    given = row.get("address", "").strip()
    network = _network(given, row.get(place, "").strip(), place)
    address = normalize_address_in(network, given)
    return Entry(line, network, address, named.clean_name(_harmful(row.get("name", ""))))


def _network(address: str, place: str, column: str) -> str:
    if column == "chainid":
        if not place.isascii() or not place.isdigit():
            raise Invalid(f"chainId: {place[:40]!r} is not a number", field="chainId")
        return EVM
    if not place or place.lower() == "none":
        return _network_of_kind(address)
    known = ROTKI.get(place.lower(), place.lower())
    return EVM if known == EVM else network_of(parse_chain(known, field=column).slug) or EVM


def _network_of_kind(address: str) -> str:
    """Tell the network of an address on its own, where its form leaves no doubt."""
    if address.lower().startswith("0x"):
        return EVM
    for prefix, network in (("bc1", "bitcoin"), ("tb1", "bitcoin-testnet"), ("ltc1", "litecoin")):
        if address.lower().startswith(prefix):
            return network
    raise Invalid("blockchain: this address could be on several; name one", field="blockchain")


def _line(cells: Iterable[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def _harmless(text: str) -> str:
    """Keep a spreadsheet from running a name as a formula: an apostrophe goes before it."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def _harmful(text: str) -> str:
    """Undo _harmless."""
    return text[1:] if text.startswith("'") and _harmless(text[1:]) == text else text


def _invalid(message: str) -> Invalid:
    return Invalid(f"file: {message}", field="file")
