"""The declarative base, the naming convention, and the column types used again and again."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, MetaData, Text, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables; text is TEXT and times carry their zone."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, int: BigInteger, datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy reads it from the class


LedgerId = Annotated[
    int, mapped_column(ForeignKey("ledgers.id", ondelete="CASCADE"), primary_key=True)
]
"""First column of every key in a ledger, so that no row can point into another ledger."""

Id = Annotated[int, mapped_column(Identity(), primary_key=True)]
"""A bigint the database gives; explicit values are allowed, so that undo keeps ids."""

CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]

RowVersion = Annotated[int, mapped_column(server_default="1")]
"""Adds one at every UPDATE, whoever makes it (trigger `bump`); what If-Match names."""
