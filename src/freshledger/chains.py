"""The chains we know: their native asset, how their addresses are stored, compared and shown."""

import re
from dataclasses import dataclass
from functools import lru_cache

from Crypto.Hash import keccak

from freshledger.errors import Invalid

EVM = "evm"
"""The address space that all EVM chains share: one key, the same address everywhere."""

MAX_ADDRESS = 128
_EVM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_BECH32 = re.compile(r"(bc|tb|bcrt|ltc|tltc)1[02-9ac-hj-np-z]+", re.IGNORECASE)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_EVM_TXID = re.compile(r"(0x)?[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain by its slug; `network` is the address space its addresses live in."""

    slug: str
    name: str
    asset: str
    network: str
    chain_id: int | None = None


def _evm(slug: str, name: str, asset: str, chain_id: int) -> Chain:
    return Chain(slug, name, asset, EVM, chain_id)


CHAINS: dict[str, Chain] = {
    chain.slug: chain
    for chain in (
        Chain("bitcoin", "Bitcoin", "BTC", "bitcoin"),
        Chain("bitcoin-testnet", "Bitcoin testnet", "tBTC", "bitcoin-testnet"),
        Chain("litecoin", "Litecoin", "LTC", "litecoin"),
        Chain("dogecoin", "Dogecoin", "DOGE", "dogecoin"),
        Chain("bitcoin-cash", "Bitcoin Cash", "BCH", "bitcoin-cash"),
        Chain("monero", "Monero", "XMR", "monero"),
        Chain("solana", "Solana", "SOL", "solana"),
        Chain("cardano", "Cardano", "ADA", "cardano"),
        Chain("tron", "Tron", "TRX", "tron"),
        _evm("ethereum", "Ethereum", "ETH", 1),
        _evm("optimism", "OP Mainnet", "ETH", 10),
        _evm("bnb", "BNB Smart Chain", "BNB", 56),
        _evm("gnosis", "Gnosis", "xDAI", 100),
        _evm("polygon", "Polygon", "POL", 137),
        _evm("base", "Base", "ETH", 8453),
        _evm("arbitrum", "Arbitrum One", "ETH", 42161),
        _evm("avalanche", "Avalanche C-Chain", "AVAX", 43114),
        _evm("sepolia", "Sepolia", "ETH", 11155111),
    )
}
"""Every chain by slug. Migrations write the same slugs into the function `network_of`."""

NETWORKS: dict[str, str] = {
    EVM: "All EVM chains",
    **{chain.slug: chain.name for chain in CHAINS.values() if chain.network != EVM},
}
"""The address spaces a contact's address can be in, by slug, with their names."""


def parse_chain(text: str, *, field: str = "chain") -> Chain:
    """Find a chain by slug, name or EVM chain id; raises Invalid naming `field`."""
    wanted = text.strip().lower()
    for chain in CHAINS.values():
        if wanted in {chain.slug, chain.name.lower(), str(chain.chain_id or "")}:
            return chain
    known = ", ".join(CHAINS)
    raise Invalid(f"{field}: {text[:40]!r} is not a known chain; known are {known}", field=field)


def network_of(chain: str | None) -> str | None:
    """Return the address space of a chain's slug, the same as SQL's `network_of`."""
    known = CHAINS.get(chain) if chain else None
    return known.network if known else chain


def normalize_address(text: str, *, field: str = "address") -> str:
    """Return an address as it is stored: EVM and bech32 in lower case, others untouched.

    Raises Invalid naming `field` for what cannot be an address of any chain.
    """
    address = text.strip()
    if not address or len(address) > MAX_ADDRESS or not _PRINTABLE.fullmatch(address):
        raise Invalid(f"{field}: {address[:60]!r} is not an address", field=field)
    if _EVM_ADDRESS.fullmatch(address) or _BECH32.fullmatch(address):
        return address.lower()
    return address


def normalize_address_in(network: str | None, text: str, *, field: str = "address") -> str:
    """Return an address of a network as it is stored; raises Invalid if it is of another kind.

    Only EVM addresses can be told from all others for certain. None is no network at all.
    """
    address = normalize_address(text, field=field)
    is_evm = _EVM_ADDRESS.fullmatch(address) is not None
    if network == EVM and not is_evm:
        raise Invalid(
            f"{field}: {address[:60]!r} is not an EVM address (0x and 40 digits)", field=field
        )
    if network not in {EVM, None} and is_evm:
        raise Invalid(
            f"{field}: this is an address of EVM chains, not of {NETWORKS.get(network, network)}",
            field=field,
        )
    return address


@lru_cache(4096)
def display_address(address: str) -> str:
    """Return an address as people know it: EVM addresses with their EIP-55 checksum.

    A checksum costs as much as the rest of a row, and is the same for ever.
    """
    if not _EVM_ADDRESS.fullmatch(address):
        return address
    digits = address[2:].lower()
    digest = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) > 7 else digit  # noqa: PLR2004 - EIP-55's threshold
        for digit, mark in zip(digits, digest, strict=False)
    )


def normalize_txid(text: str, *, field: str = "txid") -> str:
    """Return a transaction id as it is stored: hexadecimal ones in lower case."""
    txid = text.strip()
    if not txid or len(txid) > MAX_ADDRESS or not _PRINTABLE.fullmatch(txid):
        raise Invalid(f"{field}: {txid[:60]!r} is not a transaction id", field=field)
    return txid.lower() if _EVM_TXID.fullmatch(txid) else txid
