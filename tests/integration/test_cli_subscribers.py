"""What an operator types about readers: block, erase."""

from tests.integration.test_cli import ANN, confirm
from tests.support.office import Office


def test_a_domain_is_blocked_listed_and_unblocked(newsroom: Office) -> None:
    assert newsroom.says("subscribers", "blocked") == "Nothing is blocked.\n"
    assert newsroom.says("subscribers", "block", "Example.net", "--note", "a flood") == "Example.net is blocked.\n"
    assert "already" in newsroom.says("subscribers", "block", "example.net")
    assert newsroom.says("subscribers", "blocked") == "example.net  a flood\n"
    (row,) = newsroom.data("subscribers", "blocked")  # type: ignore[misc]
    assert (row["pattern"], row["by"]) == ("example.net", "command line")
    assert "not blocked any more" in newsroom.says("subscribers", "unblock", "EXAMPLE.net")
    assert "was not blocked" in newsroom.fails("subscribers", "unblock", "example.net")
    assert "cannot be blocked" in newsroom.fails("subscribers", "block", "no domain")


def test_a_reader_is_erased_after_a_question(newsroom: Office) -> None:
    newsroom.says("subscribers", "add", ANN)
    confirm(newsroom)
    refused = newsroom.run("subscribers", "erase", ANN, typed="n\n")
    assert refused.exit_code == 1
    assert "nothing was changed" in refused.stderr
    assert "active" in newsroom.says("subscribers", "show", ANN)
    assert "is erased" in newsroom.says("subscribers", "erase", ANN, typed="y\n")
    assert "no subscriber" in newsroom.fails("subscribers", "show", ANN)


def test_a_script_erases_without_a_question(newsroom: Office) -> None:
    newsroom.says("subscribers", "add", ANN)
    confirm(newsroom)
    assert "is erased" in newsroom.says("subscribers", "erase", "--yes", ANN)
    assert "no subscriber" in newsroom.fails("subscribers", "erase", "--yes", ANN)
