"""Whom the demo's owner deals with, from which wallets, and what the labels are."""

from dataclasses import dataclass
from random import Random

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


@dataclass(frozen=True, slots=True)
class DemoWallet:
    """A wallet by name; `chains` are the slugs its addresses are on, none for an exchange."""

    name: str
    chains: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class DemoContact:
    """A contact by name; `networks` are the address spaces it has an address in."""

    name: str
    networks: tuple[str, ...]
    note: str = ""


WALLETS = (
    DemoWallet("Cold storage", ("bitcoin",), "Hardware wallet in the safe"),
    DemoWallet("Everyday bitcoin", ("bitcoin",)),
    DemoWallet("Main", ("ethereum", "polygon")),
    DemoWallet("DeFi", ("ethereum", "polygon")),
    DemoWallet("Validator", ("ethereum",), "Two validators since the merge"),
    DemoWallet("Collectibles", ("polygon",)),
    DemoWallet("Kraken", ()),
    DemoWallet("Coinbase", ()),
)

EVM, BTC = ("evm",), ("bitcoin",)
CONTACTS = (
    DemoContact("Nordlicht GmbH", EVM, "Employer"),
    DemoContact("Atelier Rousseau", EVM, "Client"),
    DemoContact("Okafor & Partners", EVM, "Client"),
    DemoContact("Landlord", EVM),
    DemoContact("Café Lumen", BTC),
    DemoContact("Bookshop Pagina", BTC),
    DemoContact("Farm box", BTC),
    DemoContact("VPS hosting", BTC, "Renews monthly"),
    DemoContact("Mira", ("evm", "bitcoin")),
    DemoContact("Jonas", ("evm", "bitcoin")),
    DemoContact("Aylin", EVM),
    DemoContact("Grandmother", BTC),
    DemoContact("Kraken deposit", ("evm", "bitcoin")),
    DemoContact("Coinbase deposit", EVM),
    DemoContact("Uniswap router", EVM, "Contract"),
    DemoContact("Aave pool", EVM, "Contract"),
    DemoContact("Polygon bridge", EVM, "Contract"),
    DemoContact("Freedom of the Press", ("evm", "bitcoin"), "Donations"),
    DemoContact("Tax office", EVM),
    DemoContact("Marketplace", EVM, "Contract"),
)

LABELS = {
    "salary": "green",
    "client": "teal",
    "rent": "orange",
    "groceries": "lime",
    "eating out": "amber",
    "hosting": "indigo",
    "gift": "pink",
    "donation": "purple",
    "savings plan": "blue",
    "staking": "cyan",
    "tax": "red",
    "spam": "gray",
}


def address(random: Random, network: str) -> str:
    """Make up an address of the right shape, as it is stored."""
    if network == "evm":
        return "0x" + f"{random.getrandbits(160):040x}"
    return "bc1q" + "".join(random.choices(BECH32, k=38))


def txid(random: Random, chain: str) -> str:
    """Make up a transaction id of the right shape."""
    return ("" if chain == "bitcoin" else "0x") + f"{random.getrandbits(256):064x}"
