"""The forms an edition comes in: for readers of HTML and of text only, and in the language that a reader chose."""

from __future__ import annotations

import re
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from newsletter.delivery import letters, releasing
from newsletter.editions import rendering
from newsletter.editions.models import Edition, RenderedPart
from newsletter.foundation.audit import COMMAND
from newsletter.foundation.database import db, transaction
from newsletter.foundation.links import Purpose
from newsletter.mail.message import Letter, Message
from newsletter.newsletters.models import newsletter
from newsletter.subscribers.models import Subscriber, subscriber_at
from tests.conftest import House
from tests.support.confirming import ask, confirm
from tests.support.newsroom import SUBJECTS, Paper, delivery, found, ledger_of, send
from tests.support.newsroom import sending as sending_to
from tests.support.pseudo import KANA, speaking

ANN, BOB, CLEO, DAN = "ann@example.org", "bob@example.org", "cleo@example.org", "dan@example.org"


def prefers(house: House, address: str, **columns: object) -> None:
    with house.app.app_context(), transaction():
        reader = subscriber_at(address)
        assert reader is not None
        for name, value in columns.items():
            setattr(reader, name, value)


def drafted(house: House, *readers: str, **languages: str) -> tuple[Paper, int]:
    """A draft with readers; `languages` by the name before the @."""
    paper = found(house)
    paper.tells(*SUBJECTS)
    paper.readers(*readers)
    for name, language in languages.items():
        prefers(house, f"{name}@example.org", language=language)
    return paper, paper.draft()


def sealed(house: House, edition_id: int) -> list[str]:
    """The languages of the stored parts, in order."""
    with house.app.app_context():
        revision = db.session.get_one(Edition, edition_id).revisions[-1]
        return [part.language for part in revision.parts]


def word(house: House, **words: str) -> None:
    """Write a word into the stored parts of each language, by which a mail shows which of them it was."""
    with house.app.app_context(), transaction() as session:
        for language, text in words.items():
            session.execute(
                sa.update(RenderedPart)
                .where(RenderedPart.language == language)
                .values(text=RenderedPart.text + f"\n{text}\n", html=RenderedPart.html + f"<!-- {text} -->")
            )


def mail_to(house: House, address: str) -> EmailMessage:
    (mail,) = house.inbox.of(address)
    return mail.message


def content(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


# Text only


def test_a_reader_of_text_gets_the_text_part_alone_and_all_its_headers(either_house: House) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, BOB)
    prefers(house, ANN, text_only=True)
    send(house, edition_id)
    house.work()

    ann, bob = mail_to(house, ANN), mail_to(house, BOB)
    assert ann.get_content_type() == "text/plain"
    assert bob.get_content_type() == "multipart/alternative"
    assert ann.get_body(("html",)) is None
    own = {"From", "Subject", "List-ID", "List-Unsubscribe-Post", "Date", "MIME-Version"}
    assert {name: ann[name] for name in own} == {name: bob[name] for name in own}
    assert ann["List-Unsubscribe"] == f"<{unsubscribe_link(house, ANN)}>"
    body = house.inbox.of(ANN)[0].octets.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert house.links.verp("d", delivery(house, ANN).id) in ann["Message-ID"]
    for address in (ANN, BOB):
        text = content(mail_to(house, address), "plain")
        assert f"You get this because {address}" in text
        assert SUBJECTS[0] in text


def unsubscribe_link(house: House, address: str) -> str:
    return house.links.link(Purpose.UNSUBSCRIBE, delivery(house, address).subscription_id)


def preferences_link(house: House, address: str) -> str:
    return house.links.link(Purpose.PREFERENCES, delivery(house, address).subscriber_id)


def test_each_edition_leads_to_its_reader_s_own_preferences_and_way_out(house: House) -> None:
    _, edition_id = drafted(house, ANN, BOB)
    prefers(house, BOB, text_only=True)
    send(house, edition_id)
    house.work()

    for address, other in ((ANN, BOB), (BOB, ANN)):
        text = content(mail_to(house, address), "plain")
        assert f"Preferences or a pause:\n{preferences_link(house, address)}\n" in text.replace("\r\n", "\n")
        assert f"Leave with one click:\n{unsubscribe_link(house, address)}\n" in text.replace("\r\n", "\n")
        assert preferences_link(house, other) not in text
        assert house.browser.get(urlsplit(preferences_link(house, address)).path).status_code == 200
    html = content(mail_to(house, ANN), "html")
    assert f'href="{preferences_link(house, ANN)}"' in html
    assert f'href="{unsubscribe_link(house, ANN)}"' in html


def test_the_single_mails_to_a_reader_of_text_are_text_too(house: House) -> None:
    morning = found(house)
    evening = found(house, "evening-post")
    morning.readers(ANN, BOB)
    prefers(house, ANN, text_only=True)
    for address in (ANN, BOB):
        confirm(house, ask(house, address, evening))
    house.work()

    kinds = {mail.subject: mail.message.get_content_type() for mail in house.inbox.of(ANN)}
    assert kinds["Welcome to Evening Post"] == "text/plain"
    assert house.inbox.of(BOB)[-1].message.get_content_type() == "multipart/alternative"


def test_a_form_is_encoded_once_for_a_shard_and_only_when_somebody_wants_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, bool]] = []

    def counted(letter: Letter) -> Message:
        made.append((letter.text.splitlines()[-1], letter.html is None))
        return Message(letter)

    monkeypatch.setattr(letters, "Message", counted)
    _, edition_id = drafted(house, ANN, BOB, CLEO, DAN, cleo="de", dan="de")
    for address in (BOB, CLEO):
        prefers(house, address, text_only=True)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    word(house, en="Good morning", de="Guten Morgen")
    send(house, edition_id)
    house.work()

    assert sorted(made) == sorted(
        [("Good morning", False), ("Good morning", True), ("Guten Morgen", False), ("Guten Morgen", True)]
    )
    made.clear()
    house.later(days=1)
    paper = Paper(house, 1, "morning-post", 1)
    paper.tells("One more", "And another")
    for address in (ANN, BOB, CLEO, DAN):
        prefers(house, address, text_only=True, language="")
    send(house, paper.draft())
    house.work()
    assert [text_only for _, text_only in made] == [True], "nobody reads HTML, so nobody encodes it"


# Languages


def test_each_reader_gets_the_words_in_the_language_of_their_choice_and_the_others_the_newsletter_s(
    either_house: House,
) -> None:
    house = either_house
    _, edition_id = drafted(house, ANN, BOB, CLEO, DAN, ann="de", bob="ja", dan="de")
    prefers(house, DAN, text_only=True)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    assert sealed(house, edition_id) == ["en", "de", "ja"]
    word(house, en="Good morning", de="Guten Morgen", ja="おはよう")
    send(house, edition_id)
    house.work()

    greeted = {
        address: content(mail_to(house, address), "plain").split("\n")[-2].strip() for address in (ANN, BOB, CLEO, DAN)
    }
    assert greeted == {ANN: "Guten Morgen", BOB: "おはよう", CLEO: "Good morning", DAN: "Guten Morgen"}
    assert "<!-- Guten Morgen -->" in content(mail_to(house, ANN), "html")
    assert ledger_of(house, edition_id) == {"accepted": 4}


def test_the_words_around_the_stories_are_in_the_reader_s_language_and_the_stories_in_the_newsletter_s(
    house: House,
) -> None:
    with speaking("ja", KANA):
        _, edition_id = drafted(house, ANN, BOB, bob="ja")
        send(house, edition_id)
        house.work()
    ann, bob = (content(mail_to(house, address), "plain") for address in (ANN, BOB))
    assert "Tuesday, 3 March 2026" in ann
    assert "2026年3月3日火曜日" in bob
    assert "Leave with one click" in ann
    assert "Leave with one click" not in bob
    for text in (ann, bob):
        assert all(subject in text for subject in SUBJECTS)
    html = content(mail_to(house, BOB), "html")
    assert '<html lang="en"' in html
    assert ' lang="ja" dir="ltr"' in html


def test_a_welcome_copy_and_the_edition_lead_to_the_same_page(house: House) -> None:
    paper, _ = sending_to(house, BOB)
    confirm(house, ask(house, ANN, paper))
    house.work()

    path = "/editions/morning-post/2026-03-03"
    for address in (ANN, BOB):
        (mail,) = house.inbox.editions_of(address)
        assert f"View in browser:\n{house.links.to(path)}\n" in content(mail.message, "plain").replace("\r\n", "\n")
        assert f'href="{house.links.to(path)}"' in content(mail.message, "html")
    assert house.browser.get(path).status_code == 200


def test_a_single_mail_says_the_slot_in_the_reader_s_language(house: House) -> None:
    paper = found(house, zone="Asia/Tokyo")
    for address, language in ((ANN, "ja"), (BOB, "en")):
        confirm(house, ask(house, address, paper, language=language))
    house.work()
    ann, bob = (content(house.inbox.of(address)[-1].message, "plain") for address in (ANN, BOB))
    assert "06:00" in ann
    assert "東京" in ann
    assert "06:00 Tokyo time" in bob


def test_what_nobody_reads_is_not_rendered(house: House) -> None:
    """Nor for those who left, nor what we do not speak, nor for readers of another newsletter."""
    other = found(house, "evening-post")
    other.readers("fritz@example.org")
    prefers(house, "fritz@example.org", language="fr")
    paper, edition_id = drafted(house, ANN, BOB, CLEO, ann="de", bob="tlh", cleo="es")
    paper.leave(ANN)
    send(house, edition_id)
    house.work()

    assert sealed(house, edition_id) == ["en", "es"]
    assert len(house.inbox.editions_of(BOB)) == len(house.inbox.editions_of(CLEO)) == 1


def test_a_language_chosen_after_the_approval_comes_with_the_next_edition(house: House) -> None:
    paper, edition_id = drafted(house, ANN)
    with house.app.app_context():
        releasing.approve(edition_id, house.now, COMMAND)
    prefers(house, ANN, language="fr")
    send(house, edition_id)
    house.work()
    assert sealed(house, edition_id) == ["en"]
    assert len(house.inbox.of(ANN)) == 1

    house.later(days=1)
    paper.tells("One more", "And another")
    second = paper.draft()
    send(house, second)
    assert sealed(house, second) == ["en", "fr"]


def test_the_newsletter_s_own_language_comes_first_and_is_what_staff_see(house: House) -> None:
    paper = found(house)
    with house.app.app_context(), transaction():
        newsletter(paper.slug).language = "fr"
    paper.tells(*SUBJECTS)
    paper.readers(ANN, BOB, CLEO)
    prefers(house, ANN, language="de")
    prefers(house, BOB, language="fr")
    edition_id = paper.draft()
    send(house, edition_id)
    word(house, fr="Bonjour", de="Guten Morgen")
    house.work()

    assert sealed(house, edition_id) == ["fr", "de"]
    assert "Bonjour" in content(mail_to(house, CLEO), "plain")
    assert '<html lang="fr"' in content(mail_to(house, ANN), "html"), "the stories are in French"
    assert ' lang="de" dir="ltr"' in content(mail_to(house, ANN), "html"), "and the words around them are not"
    assert set(re.findall(r' lang="(\w+)"', content(mail_to(house, CLEO), "html"))) == {"fr"}
    with house.app.app_context():
        revision = db.session.get_one(Edition, edition_id).revisions[-1]
        assert "Bonjour" in rendering.parts_of(revision).text


@pytest.mark.parametrize(("own", "chosen"), [("en-US", "en"), ("ar", "en"), ("de-AT", "de")])
def test_a_second_part_with_the_same_words_is_not_made(house: House, own: str, chosen: str) -> None:
    """We have no American and no Austrian words of our own, and English ones for Arabic."""
    paper = found(house)
    with house.app.app_context(), transaction():
        newsletter(paper.slug).language = own
    paper.tells(*SUBJECTS)
    paper.readers(ANN, BOB)
    prefers(house, ANN, language=chosen)
    edition_id = paper.draft()
    send(house, edition_id)
    house.work()

    assert sealed(house, edition_id) == [own]
    assert len(house.inbox.of(ANN)) == len(house.inbox.of(BOB)) == 1


def test_a_welcome_copy_comes_in_the_reader_s_form_too(house: House) -> None:
    paper, _ = sending_to(house, BOB)
    confirm(house, ask(house, ANN, paper))
    prefers(house, ANN, text_only=True)
    house.work()

    (copy,) = house.inbox.editions_of(ANN)
    assert copy.message.get_content_type() == "text/plain"


def test_the_language_that_somebody_signed_up_in_stays_theirs(either_house: House) -> None:
    house = either_house
    paper = found(house)
    confirm(house, ask(house, ANN, paper, language="de"))
    confirm(house, ask(house, BOB, paper, language="en-from-a-browser-that-says-much"))
    with house.app.app_context():
        assert db.session.scalars(sa.select(Subscriber.language).order_by(Subscriber.id)).all() == ["de", ""]
