"""Whoever is erased is in no table any more, by none of the addresses that they had."""

from newsletter import privacy
from newsletter.delivery.bounce_models import Deed
from newsletter.mail import addresses
from newsletter.subscribers.consent import Origin
from newsletter.subscribers.models import subscriber_at
from tests.conftest import House
from tests.integration.subscribers import ANN, became_reader, everything, link_in
from tests.support import newsroom
from tests.support.newsroom import Paper
from tests.support.post import comes_back, mailed
from tests.support.returning import dsn, mail, reported

NEWER, NEWEST = "ann@example.net", "ann@example.com"


def move(house: House, old: str, new: str) -> None:
    page = link_in(house, old, "/preferences/")
    assert house.browser.post(f"{page}/address", data={"email": new}).status_code == 200
    house.work()
    assert house.browser.post(link_in(house, new, "/change/")).status_code == 200
    house.work()
    house.later(minutes=16)


def forget(house: House, address: str) -> None:
    with house.app.app_context():
        reader = subscriber_at(addresses.normalise(address))
        assert reader is not None
        assert privacy.erase(reader.id, Origin(), house.now, house.keys)


def told_of(house: House, *words: str) -> list[str]:
    """The tables whose rows hold one of the words."""
    return [
        table for table, rows in everything(house).items() if any(word in repr(row) for row in rows for word in words)
    ]


def test_no_table_tells_of_somebody_who_moved_twice_and_was_erased(either_house: House) -> None:
    house = either_house
    newsroom.found(house)
    became_reader(house)
    move(house, ANN, NEWER)
    move(house, NEWER, NEWEST)
    assert "subscribers" in told_of(house, NEWEST)
    assert "outbox_mails" in told_of(house, ANN)
    forget(house, NEWEST)
    assert told_of(house, ANN, NEWER, NEWEST) == []


def test_who_has_the_address_by_now_keeps_their_mails(house: House) -> None:
    newsroom.found(house)
    became_reader(house)
    move(house, ANN, NEWER)
    became_reader(house, ANN)
    forget(house, NEWER)
    assert told_of(house, NEWER) == []
    assert {"subscribers", "outbox_mails"} <= set(told_of(house, ANN))


def test_what_came_back_of_somebody_goes_with_them(either_house: House) -> None:
    house = either_house
    paper = newsroom.found(house, reply_to="desk@example.org")
    paper.readers(ANN, NEWER)
    ann, _ = came_back(house, paper, ANN), came_back(house, paper, NEWER)
    with house.app.app_context():
        reader = subscriber_at(ANN)
        assert reader is not None
        shown = privacy.about(reader.id)["came_back"]
    assert [(one["what"], one["done"]) for one in shown] == [("reply", "passed-on"), ("soft", "counted")]
    assert ann == [Deed.COUNTED, Deed.PASSED_ON, Deed.STAFF, Deed.STAFF]
    assert {"bounces", "outbox_mails"} <= set(told_of(house, ANN))
    forget(house, ANN)
    assert told_of(house, ANN) == []
    assert {"bounces", "outbox_mails"} <= set(told_of(house, NEWER)), "others' stay"


def came_back(house: House, paper: Paper, address: str) -> list[Deed]:
    """Of one reader: a bounce, an answer, a bounce that only names them, and a stranger's mail about them."""
    (one,) = mailed(paper, address, day=house.now.date())
    house.later(days=1)
    return [
        comes_back(house, dsn(reported(address.upper(), "4.2.2", f"452 <{address}> full"), to=one.return_path)),
        comes_back(house, mail(f"I am {address}.", sender=address, to=one.return_path)),
        comes_back(house, dsn(reported(address))),
        comes_back(house, mail(f"Write to {address}.", sender="postmaster@example.com", subject=f"Of {address}")),
    ]
