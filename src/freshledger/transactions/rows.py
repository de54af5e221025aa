"""What the repository gives back: transactions as pages and the API show them, and sums."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

Amount = Annotated[str, msgspec.Meta(description="exact, in whole units", examples=["-0.5"])]
"""As PostgreSQL writes it: no exponent, and here no trailing zeros."""

Document = msgspec.Raw
"""A TransactionRow as JSON, as PostgreSQL made it."""


class LabelTag(msgspec.Struct, frozen=True):
    """A label on a transaction."""

    id: int
    name: str
    color: str


class TransactionRow(msgspec.Struct, frozen=True):
    """One movement of one asset in or out of one wallet, with the names it is shown with.

    It is what the API gives. `amount` is positive for in. `contact_id` and `contact` are the
    hand-set contact (`contact_by_hand`), else the one that has the counterparty's address.
    `network` is the address space, `identity` and `occurrence` are what an import knows it by
    again. `version` is the row's own and grows with each change of it; `hand_edited` names the
    columns that a person corrected.
    """

    id: int
    wallet_id: int
    wallet: str
    own_address: str | None
    chain: str | None
    network: str | None
    txid: str | None
    group_key: str
    identity: str
    occurrence: int
    occurred_at: datetime
    type: str
    status: str
    asset: str
    contract: str | None
    amount: Amount
    counterparty: str | None
    contact_id: int | None
    contact: str | None
    contact_by_hand: bool
    labels: tuple[LabelTag, ...]
    note: str
    fiat_value: Amount | None
    fiat_currency: str | None
    hand_edited: tuple[str, ...]
    version: int


read_row = msgspec.json.Decoder(TransactionRow).decode
"""Read a Document."""


class AssetTotal(msgspec.Struct, frozen=True):
    """Sums of one asset, told apart by contract; `money_in`, `money_out` and `fees` are sizes.

    They and `net` count confirmed rows; `pending` is the net of those that are pending.
    """

    asset: str
    contract: str | None
    rows: int
    money_in: Decimal
    money_out: Decimal
    fees: Decimal
    net: Decimal
    pending: Decimal


class Totals(msgspec.Struct, frozen=True):
    """What a filter lets in, at the ledger's `version`; assets by number of rows."""

    version: int
    count: int
    pending_count: int
    assets: tuple[AssetTotal, ...]
