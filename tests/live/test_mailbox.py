"""A mailbox has room for one event, which covers all that its stream has not said."""

from uuid import UUID

import pytest

from freshledger.live.events import FARTHEST, MOST_CHANGES, Change, Kind, News
from freshledger.live.mailbox import Mailbox
from freshledger.live.reading import Stand

EPOCH, OTHER = UUID(int=1), UUID(int=2)


def stand(version: int, epoch: UUID = EPOCH) -> Stand:
    return Stand(version, epoch, None, version, ())


def news(since: int, version: int, *, epoch: UUID = EPOCH, each: int = 1) -> News:
    changes = tuple(
        Change(number, "user:1", f"table{part}", "U", 1, [number])
        for number in range(since + 1, version + 1)
        for part in range(each)
    )
    return News(Kind.CHANGE, since=since, version=version, epoch=epoch, at=None, changes=changes)


@pytest.fixture
def mailbox() -> Mailbox:
    box = Mailbox(lambda: None)
    assert box.settle(stand(10))
    return box


def taken(mailbox: Mailbox) -> tuple[Kind, int, int]:
    said = mailbox.take()
    if said.kind is Kind.CHANGE:
        told = [change.version for change in said.changes]
        assert told == list(range(said.since + 1, said.version + 1))
    return said.kind, said.since, said.version


def test_what_comes_is_merged(mailbox):
    for version in range(10, 60):
        mailbox.put(news(version, version + 1))
    assert taken(mailbox) == (Kind.CHANGE, 10, 60)
    assert mailbox.take() is None


def test_what_overlaps_is_told_once(mailbox):
    mailbox.put(news(5, 8))
    mailbox.put(news(7, 12))
    mailbox.put(news(9, 15))
    mailbox.put(news(11, 14))
    assert taken(mailbox) == (Kind.CHANGE, 10, 15)


def test_a_gap_is_a_resync(mailbox):
    mailbox.put(news(11, 12))
    assert taken(mailbox) == (Kind.RESYNC, 12, 12)
    mailbox.put(news(12, 13))
    mailbox.put(news(14, 15))
    assert taken(mailbox) == (Kind.RESYNC, 15, 15)


def test_too_far_behind_is_a_resync_and_the_chain_goes_on(mailbox):
    for version in range(10, 10 + FARTHEST):
        mailbox.put(news(version, version + 1))
    mailbox.put(news(10 + FARTHEST, 11 + FARTHEST))
    mailbox.put(news(11 + FARTHEST, 12 + FARTHEST))
    assert taken(mailbox) == (Kind.RESYNC, 12 + FARTHEST, 12 + FARTHEST)
    mailbox.put(news(12 + FARTHEST, 13 + FARTHEST))
    assert taken(mailbox) == (Kind.CHANGE, 12 + FARTHEST, 13 + FARTHEST)


def test_too_many_changes_are_a_resync(mailbox):
    for version in range(10, 13):
        mailbox.put(news(version, version + 1, each=MOST_CHANGES // 2))
    assert taken(mailbox)[0] is Kind.RESYNC


@pytest.mark.parametrize(
    ("came", "connects", "left"),
    [
        (news(2, 4), True, None),
        (news(2, 10), True, None),
        (news(8, 12), True, (Kind.CHANGE, 10, 12)),
        (news(10, 12), True, (Kind.CHANGE, 10, 12)),
        (news(11, 12), False, None),
        (news(8, 12, epoch=OTHER), False, None),
        (news(2, 12).as_resync(), False, None),
    ],
)
def test_what_came_before_the_start(came, connects, left):
    mailbox = Mailbox(lambda: None)
    mailbox.put(came)
    assert mailbox.settle(stand(10)) is connects
    assert (taken(mailbox) if left else mailbox.take()) == left


def test_streams_share_what_is_sent(mailbox):
    """A thousand streams at the same version cost one writing."""
    other = Mailbox(lambda: None)
    other.settle(stand(10))
    said = news(10, 11)
    mailbox.put(said)
    other.put(said)
    assert mailbox.take().text is other.take().text
