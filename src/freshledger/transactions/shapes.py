"""What the API of transactions takes and gives: typed for OpenAPI, amounts as strings."""

from typing import Annotated, Any, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from freshledger.amounts import format_amount
from freshledger.paging import MAX_LIMIT, MIN_LIMIT, Page
from freshledger.transactions.filters import NOT, SORTS, URL_NAMES
from freshledger.transactions.rows import Amount, AssetTotal, Document, Totals, TransactionRow

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Ids = Annotated[list[Id], Meta(min_length=1, max_length=10_000)]


class AssetTotalOut(msgspec.Struct):
    """Sums of one asset: in, out and fees are sizes; `pending` stands apart from the others."""

    asset: str
    contract: str | None
    rows: int
    money_in: Amount = field(name="in")
    money_out: Amount = field(name="out")
    fees: Amount
    net: Amount
    pending: Amount


class TotalsOut(msgspec.Struct):
    """The filter's rows: confirmed ones are summed; `version` is the ledger's they belong to."""

    version: int
    count: int
    pending_count: int
    assets: list[AssetTotalOut]


class TransactionsOut(msgspec.Struct, omit_defaults=True):
    """A page of the list at the ledger's `version`; a cursor is null where nothing is further."""

    version: int
    transactions: list[TransactionRow]
    next: str | None
    previous: str | None
    first: str
    last: str
    totals: TotalsOut | UnsetType = UNSET


class GroupOut(msgspec.Struct):
    """The movements that belong together, oldest first."""

    group_key: str
    transactions: list[TransactionRow]


class PreviewOut(msgspec.Struct):
    """What a bulk edit by filter has to send back: it is done only for exactly this set."""

    count: int
    digest: str


class EditedOut(msgspec.Struct):
    """How many transactions were meant, and how many rows changed."""

    matched: int
    changed: int


class TransactionIn(msgspec.Struct, forbid_unknown_fields=True):
    """A movement made by hand."""

    wallet_id: Id
    occurred_at: str
    type: str
    asset: str
    amount: Amount
    status: str = "confirmed"
    contract: str | None = None
    own_address: str | None = None
    chain: str | None = None
    txid: str | None = None
    group_key: str | None = None
    counterparty: str | None = None
    contact_id: Id | None = None
    fiat_value: Amount | None = None
    fiat_currency: str | None = None
    note: str = ""
    labels: Annotated[list[Id], Meta(max_length=100)] = []


class CorrectionIn(msgspec.Struct, forbid_unknown_fields=True):
    """What to correct; what is left out stays, null takes a value away."""

    type: str | UnsetType = UNSET
    counterparty: str | UnsetType | None = UNSET
    occurred_at: str | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET
    note: str | UnsetType | None = UNSET
    contact_id: Id | UnsetType | None = UNSET


class SelectionIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which transactions: by `ids`, by `group_key`, or by `filter` with the preview of it.

    `filter` is a query string as of the list (`asset=BTC&not.label=3`); '' is all.
    """

    ids: Ids | None = None
    group_key: str | None = None
    filter: str | None = None
    count: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    digest: str | None = None


class BulkLabelsIn(SelectionIn):
    """Labels to put on a selection, and labels to take off it."""

    add: Annotated[list[Id], Meta(max_length=100)] = []
    remove: Annotated[list[Id], Meta(max_length=100)] = []


class BulkNoteIn(SelectionIn, kw_only=True):
    """The note a selection gets; '' takes it away."""

    note: str


class BulkContactIn(SelectionIn, kw_only=True):
    """The contact a selection gets by hand; null leaves it to the counterparties again."""

    contact_id: Id | None


def _filter_query(base: list[tuple[str, Any, Any]], name: str) -> type[msgspec.Struct]:
    """Make the parameters of an address that takes a filter."""
    repeated = Annotated[list[str] | UnsetType, Meta(description="repeats for OR")]
    excluded = Annotated[list[str] | UnsetType, Meta(description="excluded; repeats")]
    filters = [(key, repeated, UNSET) for key in URL_NAMES]
    filters += [(NOT + key, excluded, UNSET) for key in URL_NAMES]
    named = [(_identifier(key), kind, field(default=value, name=key)) for key, kind, value in
             [*filters, *base]]  # fmt: skip
    return msgspec.defstruct(name, named)


def _identifier(key: str) -> str:
    return key.replace(".", "_") + "_"


FilterQuery = _filter_query([], "FilterQuery")
ListQuery = _filter_query(
    [
        ("sort", Annotated[str, Meta(extra_json_schema={"enum": list(SORTS)})], SORTS[0]),
        ("limit", Annotated[int, Meta(ge=MIN_LIMIT, le=MAX_LIMIT)], 50),
        ("cursor", str | UnsetType, UNSET),
        ("at", Annotated[str | UnsetType, Meta(description="a date to jump to")], UNSET),
        ("totals", Annotated[str | UnsetType, Meta(description="1 for totals as well")], UNSET),
    ],
    "ListQuery",
)


def page_out(page: Page[Document], version: int, totals: Totals | None) -> TransactionsOut:
    """Return a page as the API shows it; its documents pass through unread."""
    return TransactionsOut(
        version=version,
        transactions=cast("list[TransactionRow]", list(page.rows)),
        next=page.next,
        previous=page.previous,
        first=page.first,
        last=page.last,
        totals=UNSET if totals is None else totals_out(totals),
    )


def totals_out(totals: Totals) -> TotalsOut:
    """Return totals as the API shows them."""
    assets = [_asset_out(total) for total in totals.assets]
    return TotalsOut(totals.version, totals.count, totals.pending_count, assets)


def _asset_out(total: AssetTotal) -> AssetTotalOut:
    sums = {name: format_amount(getattr(total, name)) for name in _SUMS}
    return AssetTotalOut(asset=total.asset, contract=total.contract, rows=total.rows, **sums)


_SUMS = ("money_in", "money_out", "fees", "net", "pending")
