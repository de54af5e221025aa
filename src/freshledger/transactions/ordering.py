"""The order of a list, its place in it, and both as SQL."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Numeric,
    bindparam,
    func,
    tuple_,
)

from freshledger.transactions.conditions import Condition


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows, whether it descends, and where in it the rows begin, if anywhere.

    The parameters of the place are place_amount, place_time and place_id; `inclusive` keeps
    the row at that place.
    """

    by_amount: bool
    descending: bool
    placed: bool = False
    inclusive: bool = False

    @property
    def opposite(self) -> "Order":
        """The order of the rows on the other side of the place."""
        return replace(self, descending=not self.descending, inclusive=not self.inclusive)

    def columns(self, row: FromClause) -> tuple[ColumnElement[Any], ...]:
        """Return what rows are ordered by; of a link to a label the same columns."""
        identifier = row.c.transaction_id if "transaction_id" in row.c else row.c.id
        amount = (func.abs(row.c.amount),) if self.by_amount else ()
        return (*amount, row.c.occurred_at, identifier)

    def sorting(self, row: FromClause) -> list[ColumnElement[Any]]:
        """Return the ORDER BY."""
        return [c.desc() if self.descending else c.asc() for c in self.columns(row)]

    def place(self, row: FromClause) -> list[Condition]:
        """Return the condition for rows from the place on."""
        if not self.placed:
            return []
        amount = (bindparam("place_amount", type_=Numeric()),) if self.by_amount else ()
        place = tuple_(
            *amount,
            bindparam("place_time", type_=DateTime(timezone=True)),
            bindparam("place_id", type_=BigInteger),
        )
        sign = ("<" if self.descending else ">") + ("=" if self.inclusive else "")
        return [tuple_(*self.columns(row)).bool_op(sign)(place)]
