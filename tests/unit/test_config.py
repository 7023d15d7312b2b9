from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from newsletter.foundation import config
from newsletter.foundation.config import Config, ConfigInvalid, ConfigUnreadable

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, "utf-8")
    return file


def problem_of(folder: Path, text: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        config.load(written(folder, text))
    return str(caught.value).removeprefix(str(folder / "config.toml"))


def test_the_example_is_a_valid_configuration() -> None:
    assert config.load(EXAMPLE).site_url == "https://news.example.org"


def test_the_example_has_a_sentence_on_every_key() -> None:
    text = EXAMPLE.read_text("utf-8")
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    for name, field in sections.items():
        if name in ("demo", "directory"):
            continue
        keys = getattr(field, "model_fields", {name: None})
        for key in keys:
            ways = (f"\n{key} = ", f"\n# {key} = ", f"{key}, here", f"\n# [[{name}.{key}]]\n", f"\n# [{name}.{key}]\n")
            assert any(way in text for way in ways), f"{name}.{key}"


def test_a_wrong_value_is_told_with_its_key_and_line(tmp_path: Path) -> None:
    text = 'site_url = "https://news.example.org"\n\n[web]\nthreads = 4\nport = "eighty"\n'
    assert problem_of(tmp_path, text).startswith(", line 5: web.port: ")


def test_a_key_that_nobody_knows_is_refused_with_its_line(tmp_path: Path) -> None:
    assert problem_of(tmp_path, "[mail]\nhost = 'relay'\nhots = 'x'\n") == ", line 3: mail.hots: unknown key"


def test_a_table_that_nobody_knows_is_refused_with_its_line(tmp_path: Path) -> None:
    assert problem_of(tmp_path, "\n[male]\nhost = 'relay'\n") == ", line 2: male: unknown key"


def test_broken_toml_is_told_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in problem_of(tmp_path, "[web]\nport = = 3\n")


def test_internal_settings_cannot_be_given_in_the_file(tmp_path: Path) -> None:
    assert "unknown key" in problem_of(tmp_path, 'directory = "/"\n')


@pytest.mark.parametrize("url", ["news.example.org", "ftp://news.example.org", "https://", "https://a.org/?x=1"])
def test_a_site_url_must_be_a_whole_web_address(tmp_path: Path, url: str) -> None:
    assert ", line 1: site_url: write the whole public address" in problem_of(tmp_path, f'site_url = "{url}"\n')


def test_a_login_without_a_password_is_refused(tmp_path: Path) -> None:
    assert "username needs password_file" in problem_of(tmp_path, "[mail]\nusername = 'ann'\n")


@pytest.mark.parametrize("network", ["10.0.0.0/33", "proxy", ""])
def test_a_network_that_is_none_is_refused(tmp_path: Path, network: str) -> None:
    assert "web.trusted_proxies" in problem_of(tmp_path, f'[web]\ntrusted_proxies = ["{network}"]\n')


PLAN = "[mail.warm_up]\ndomain = 'Büro.example'\nbegins = 2026-03-02\nplan = {}\n"


def test_a_warm_up_has_a_number_for_each_of_its_days(tmp_path: Path) -> None:
    plan = config.load(written(tmp_path, PLAN.format([10, 20, 50]))).mail.warm_up
    assert plan is not None
    assert (plan.domain, plan.last_day) == ("xn--bro-hoa.example", date(2026, 3, 4))
    assert [plan.limit(date(2026, 3, day)) for day in range(1, 6)] == [None, 10, 20, 50, None]


@pytest.mark.parametrize("plan", [[], [0, 5], [10, 10], [10, 20, 5]])
def test_a_warm_up_that_does_not_grow_is_refused(tmp_path: Path, plan: list[int]) -> None:
    assert "mail.warm_up.plan" in problem_of(tmp_path, PLAN.format(plan))


LANE = "[[mail.domains]]\nname = '{}'\ndomains = {}\n"


def test_domains_are_compared_in_lower_case_and_in_ascii(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path, LANE.format("big", ["Mail.Example", "Büro.example"]) + "per_second = 0.5\n"))
    (lane,) = loaded.mail.domains
    assert (lane.name, lane.domains, lane.per_second) == ("big", ("mail.example", "xn--bro-hoa.example"), 0.5)
    assert (lane.connections, lane.per_hour) == (None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LANE.format("big", ["a.example"]) + LANE.format("big", ["b.example"]), "“big” stands in"),
        (LANE.format("big", ["a.example"]) + LANE.format("two", ["b.example", "A.example"]), "“a.example” stands in"),
        (LANE.format("big", ["a.example", "a.example"]), "“a.example” stands in"),
        (LANE.format("big", []), "domains"),
        (LANE.format("big", ["ann@a.example"]), "what stands after the @"),
        (LANE.format("big", ["example"]), "what stands after the @"),
        (LANE.format("Big Ones", ["a.example"]), "name"),
        (LANE.format("big", ["a.example"]) + "connections = 0\n", "connections"),
        (LANE.format("big", ["a.example"]) + "per_hour = 0\n", "per_hour"),
    ],
)
def test_a_domain_is_in_one_lane_and_a_lane_has_one_name(tmp_path: Path, text: str, problem: str) -> None:
    told = problem_of(tmp_path, text)
    assert "mail" in told
    assert problem in told


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigUnreadable, match=r"Copy config\.example\.toml"):
        config.load(tmp_path / "none.toml")


def test_a_variable_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_MAIL__HOST", "relay.example.net")
    loaded = config.load(written(tmp_path, "[mail]\nhost = 'other'\nport = 2525\n"))
    assert (loaded.mail.host, loaded.mail.port) == ("relay.example.net", 2525)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    loaded = config.load(written(tmp_path, "[database]\nurl = 'sqlite:///data/news.db'\n"))
    assert loaded.database_url == f"sqlite:///{tmp_path / 'data/news.db'}"
    assert loaded.path(loaded.secret_key_file) == tmp_path / "secret.key"


def test_a_password_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "relay.password").write_text("s3cret\n")
    loaded = config.load(written(tmp_path, "[mail]\nusername = 'ann'\npassword_file = 'relay.password'\n"))
    assert loaded.relay_password(loaded.mail) == "s3cret"
    shown = config.load(written(tmp_path, "[mail]\nusername = 'ann'\npassword = 'hush'\n"))
    assert "hush" not in repr(shown)
