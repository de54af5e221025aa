"""What happens in the demo's five years: each event is a group of movements."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from freshledger.amounts import scale_down
from freshledger.demo.people import address, txid

STABLE = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
PEPE = "0x6982508145454ce325ddbe47a25d4ec3d2311933"
YEARS = 5


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of an event; `amount` is signed, in whole units of `asset`."""

    wallet: str
    type: str
    asset: str
    amount: Decimal
    counterparty: str | None = None
    contract: str | None = None
    status: str = "confirmed"


@dataclass(frozen=True, slots=True)
class Event:
    """Movements that belong together; `chain` is None on an exchange."""

    at: datetime
    chain: str | None
    txid: str | None
    legs: tuple[Leg, ...]
    labels: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Life:
    """Makes the events up, always the same ones for the same seed and `until` (UTC)."""

    until: datetime
    contacts: dict[tuple[str, str], str]
    random: Random = field(default_factory=lambda: Random(2009))  # noqa: S311 - a demo, no secret

    def events(self) -> Iterator[Event]:
        """Yield five years of events, each kind in its own rhythm, in no order."""
        rhythms = (
            (self.salary, 30), (self.rent, 30), (self.savings_plan, 5), (self.to_cold_storage, 30),
            (self.client_pays, 21), (self.coffee, 3), (self.groceries, 7), (self.hosting, 30),
            (self.friends, 12), (self.donation, 60), (self.swap, 4), (self.staking_reward, 4),
            (self.bridge, 45), (self.collectible, 25), (self.spam_token, 9), (self.poisoning, 14),
            (self.failed_call, 40), (self.top_up, 20), (self.tax, 365), (self.self_transfer, 25),
            (self.interest, 10), (self.euro_deposit, 30), (self.ether_plan, 10),
            (self.to_defi, 30), (self.books, 40), (self.split_bill, 18),
        )  # fmt: skip
        yield from self.openings(self.until - timedelta(days=365 * YEARS))
        for make, days in rhythms:
            at = self.until - timedelta(days=365 * YEARS)
            while (at := at + timedelta(days=days * self.random.uniform(0.7, 1.3))) < self.until:
                yield make(at)
        yield self.unconfirmed(self.until - timedelta(minutes=7))

    def to(self, name: str, network: str) -> str:
        """Return the address of a contact in an address space."""
        return self.contacts[name, network]

    def some(self, low: str, high: str, places: int) -> Decimal:
        """Draw an exact amount between two bounds."""
        units = (int(Decimal(bound).scaleb(places)) for bound in (low, high))
        return scale_down(self.random.randint(*units), places)

    def on_chain(
        self, at: datetime, chain: str, *legs: Leg, labels: tuple[str, ...] = (), note: str = ""
    ) -> Event:
        """Make an event with a transaction id of its own."""
        return Event(at, chain, txid(self.random, chain), legs, labels, note)

    def gas(self, wallet: str, asset: str = "ETH") -> Leg:
        """Draw the fee of a call, to the last wei."""
        high = "0.004" if asset == "ETH" else "0.09"
        return Leg(wallet, "fee", asset, -self.some("0.0001", high, 18))

    def openings(self, at: datetime) -> Iterator[Event]:
        """Bring in what was there before the first year."""
        held = (
            ("Cold storage", "bitcoin", "BTC", "1.5"), ("Everyday bitcoin", "bitcoin", "BTC", "0.02"),
            ("Main", "ethereum", "ETH", "62"), ("DeFi", "ethereum", "ETH", "75.5"),
            ("Validator", "ethereum", "ETH", "64"), ("Main", "polygon", "POL", "400"),
            ("Collectibles", "polygon", "POL", "2900"), ("Main", "polygon", "USDC", "5000"),
        )  # fmt: skip
        for hours, (wallet, chain, asset, amount) in enumerate(held):
            contract = STABLE if asset == "USDC" else None
            leg = Leg(wallet, "receive", asset, Decimal(amount), contract=contract)
            yield self.on_chain(at + timedelta(hours=hours), chain, leg, note="Opening balance")
        for exchange in ("Kraken", "Coinbase"):
            yield Event(at, None, None, (Leg(exchange, "receive", "EUR", Decimal(900)),))

    def euro_deposit(self, at: datetime) -> Event:
        """Deposit the month's savings."""
        legs = (
            Leg("Kraken", "receive", "EUR", self.some("590", "680", 2)),
            Leg("Coinbase", "receive", "EUR", self.some("280", "320", 2)),
        )
        return Event(at, None, None, legs, ("savings plan",))

    def salary(self, at: datetime) -> Event:
        """Receive the month's pay."""
        pay = self.some("3400", "3900", 6)
        leg = Leg("Main", "income", "USDC", pay, self.to("Nordlicht GmbH", "evm"), STABLE)
        return self.on_chain(at, "ethereum", leg, labels=("salary",), note=f"Pay {at:%B %Y}")

    def client_pays(self, at: datetime) -> Event:
        """Receive a client's payment."""
        who = self.random.choice(("Atelier Rousseau", "Okafor & Partners"))
        leg = Leg(
            "Main", "income", "USDC", self.some("250", "2600", 2), self.to(who, "evm"), STABLE
        )
        note = f"Invoice {at:%Y}-{self.random.randint(1, 99):03}"
        return self.on_chain(at, "polygon", leg, labels=("client",), note=note)

    def rent(self, at: datetime) -> Event:
        """Pay the rent."""
        leg = Leg("Main", "send", "USDC", Decimal(-1150), self.to("Landlord", "evm"), STABLE)
        return self.on_chain(at, "polygon", leg, self.gas("Main", "POL"), labels=("rent",))

    def savings_plan(self, at: datetime) -> Event:
        """Buy bitcoin on the exchange."""
        euro = self.some("50", "150", 2)
        legs = (
            Leg("Kraken", "trade", "EUR", -euro),
            Leg("Kraken", "trade", "BTC", self.some("0.001", "0.004", 10)),
            Leg("Kraken", "fee", "EUR", -round(euro * Decimal("0.0026"), 4)),
        )
        return Event(at, None, None, legs, ("savings plan",))

    def ether_plan(self, at: datetime) -> Event:
        """Buy ether on the other exchange."""
        legs = (
            Leg("Coinbase", "trade", "EUR", -self.some("60", "120", 2)),
            Leg("Coinbase", "trade", "ETH", self.some("0.03", "0.06", 12)),
            Leg("Coinbase", "fee", "EUR", -self.some("0.4", "1.1", 2)),
        )
        return Event(at, None, None, legs, ("savings plan",))

    def to_defi(self, at: datetime) -> Event:
        """Move ether from the exchange to where it is used."""
        amount = self.some("0.08", "0.11", 12)
        legs = (
            Leg("Coinbase", "transfer", "ETH", -amount),
            Leg("DeFi", "transfer", "ETH", amount, self.to("Coinbase deposit", "evm")),
        )
        return self.on_chain(at, "ethereum", *legs)

    def to_cold_storage(self, at: datetime) -> Event:
        """Move bitcoin from the exchange to the safe."""
        amount, fee = self.some("0.008", "0.014", 8), self.some("0.00002", "0.0001", 8)
        legs = (
            Leg("Kraken", "transfer", "BTC", -amount),
            Leg("Kraken", "fee", "BTC", -fee),
            Leg("Cold storage", "transfer", "BTC", amount, self.to("Kraken deposit", "bitcoin")),
        )
        return self.on_chain(at, "bitcoin", *legs, note="Monthly withdrawal")

    def pay_bitcoin(self, at: datetime, who: str, high: str, label: str) -> Event:
        """Pay somebody from the everyday wallet."""
        legs = (
            Leg("Everyday bitcoin", "send", "BTC", -self.some("0.00001", high, 8),
                self.to(who, "bitcoin")),
            Leg("Everyday bitcoin", "fee", "BTC", -self.some("0.000002", "0.00004", 8)),
        )  # fmt: skip
        return self.on_chain(at, "bitcoin", *legs, labels=(label,) if label else ())

    def coffee(self, at: datetime) -> Event:
        """Pay the café."""
        return self.pay_bitcoin(at, "Café Lumen", "0.0004", "eating out")

    def books(self, at: datetime) -> Event:
        """Buy books."""
        return self.pay_bitcoin(at, "Bookshop Pagina", "0.0009", "")

    def split_bill(self, at: datetime) -> Event:
        """Share a bill in dollars, this way or that."""
        amount = self.some("8", "70", 2)
        paid = self.random.random() < 0.5  # noqa: PLR2004 - every other time
        kind, signed = ("send", -amount) if paid else ("receive", amount)
        leg = Leg("Main", kind, "USDC", signed, self.to("Aylin", "evm"), STABLE)
        return self.on_chain(at, "polygon", leg, *([self.gas("Main", "POL")] if paid else []))

    def groceries(self, at: datetime) -> Event:
        """Pay for food."""
        return self.pay_bitcoin(at, "Farm box", "0.001", "groceries")

    def hosting(self, at: datetime) -> Event:
        """Pay the server."""
        return self.pay_bitcoin(at, "VPS hosting", "0.0003", "hosting")

    def friends(self, at: datetime) -> Event:
        """Settle with friends, sometimes a gift."""
        who = self.random.choice(("Mira", "Jonas", "Grandmother"))
        return self.pay_bitcoin(at, who, "0.002", "gift" if self.random.random() < 0.3 else "")  # noqa: PLR2004 - three in ten

    def donation(self, at: datetime) -> Event:
        """Donate."""
        return self.pay_bitcoin(at, "Freedom of the Press", "0.003", "donation")

    def top_up(self, at: datetime) -> Event:
        """Fill the everyday wallet from cold storage."""
        amount = self.some("0.004", "0.009", 8)
        legs = (
            Leg("Cold storage", "transfer", "BTC", -amount),
            Leg("Cold storage", "fee", "BTC", -self.some("0.000005", "0.00005", 8)),
            Leg("Everyday bitcoin", "transfer", "BTC", amount),
        )
        return self.on_chain(at, "bitcoin", *legs)

    def swap(self, at: datetime) -> Event:
        """Swap tokens."""
        router = self.to("Uniswap router", "evm")
        symbol, contract = self.random.choice((("PEPE", PEPE), ("USDC", STABLE)))
        bought = (
            self.some("1000000", "90000000", 18) if symbol == "PEPE" else self.some("100", "900", 6)
        )
        legs = (
            Leg("DeFi", "trade", "ETH", -self.some("0.05", "0.3", 18), router),
            Leg("DeFi", "trade", symbol, bought, router, contract),
            self.gas("DeFi"),
        )
        return self.on_chain(at, "ethereum", *legs)

    def interest(self, at: datetime) -> Event:
        """Receive interest on a deposit."""
        pool = self.to("Aave pool", "evm")
        return self.on_chain(
            at, "polygon", Leg("DeFi", "reward", "USDC", self.some("0.2", "9", 6), pool, STABLE)
        )

    def staking_reward(self, at: datetime) -> Event:
        """Receive a validator's reward."""
        leg = Leg("Validator", "reward", "ETH", self.some("0.01", "0.02", 18))
        return self.on_chain(at, "ethereum", leg, labels=("staking",))

    def bridge(self, at: datetime) -> Event:
        """Bridge dollars to the cheaper chain."""
        bridge = self.to("Polygon bridge", "evm")
        amount = self.some("500", "3000", 6)
        legs = (
            Leg("Main", "transfer", "USDC", -amount, bridge, STABLE),
            Leg("DeFi", "transfer", "USDC", amount, bridge, STABLE),
        )
        return self.on_chain(at, "ethereum", *legs, self.gas("Main"))

    def self_transfer(self, at: datetime) -> Event:
        """Move ether between own wallets."""
        amount = self.some("0.1", "0.9", 18)
        legs = (
            Leg("Main", "transfer", "ETH", -amount),
            Leg("DeFi", "transfer", "ETH", amount),
            self.gas("Main"),
        )
        return self.on_chain(at, "ethereum", *legs)

    def collectible(self, at: datetime) -> Event:
        """Mint a collectible."""
        contract = address(self.random, "evm")
        legs = (
            Leg("Collectibles", "mint", "DRIFTERS", Decimal(1), None, contract),
            Leg(
                "Collectibles",
                "send",
                "POL",
                -self.some("5", "60", 18),
                self.to("Marketplace", "evm"),
            ),
            self.gas("Collectibles", "POL"),
        )
        return self.on_chain(at, "polygon", *legs)

    def spam_token(self, at: datetime) -> Event:
        """Receive a token nobody asked for."""
        name = self.random.choice(("$ claim-reward.example", "USD\u0421", "Visit eth-gift.example"))
        contract, sender = address(self.random, "evm"), address(self.random, "evm")
        leg = Leg("Main", "receive", name, self.some("1000", "900000", 0), sender, contract)
        return self.on_chain(at, "polygon", leg, labels=("spam",))

    def poisoning(self, at: datetime) -> Event:
        """Receive dust from an address that looks like a friend's at both ends."""
        friend = self.to("Mira", "evm")
        lookalike = friend[:6] + address(self.random, "evm")[6:-4] + friend[-4:]
        leg = Leg("Main", "receive", "USDC", Decimal("0.000001"), lookalike, STABLE)
        return self.on_chain(at, "ethereum", leg)

    def failed_call(self, at: datetime) -> Event:
        """Pay for a call that was reverted."""
        pool = self.to("Aave pool", "evm")
        leg = Leg("DeFi", "send", "ETH", Decimal(0), pool, status="failed")
        return self.on_chain(at, "ethereum", leg, self.gas("DeFi"), note="Reverted: out of gas")

    def tax(self, at: datetime) -> Event:
        """Pay the year's tax."""
        leg = Leg(
            "Main",
            "send",
            "USDC",
            -self.some("900", "2400", 2),
            self.to("Tax office", "evm"),
            STABLE,
        )
        return self.on_chain(at, "ethereum", leg, self.gas("Main"), labels=("tax",))

    def unconfirmed(self, at: datetime) -> Event:
        """Receive something that is not confirmed yet."""
        sender = self.to("Jonas", "bitcoin")
        leg = Leg(
            "Everyday bitcoin", "receive", "BTC", Decimal("0.00125"), sender, status="pending"
        )
        return self.on_chain(at, "bitcoin", leg)
