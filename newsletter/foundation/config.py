"""The settings of one installation: one TOML file, overridden by `NEWSLETTER_…` variables.

Relative paths in the file are relative to the file. A key nobody knows is refused, because a misspelt key that is
silently ignored is how a newsletter goes out with the wrong relay.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections import Counter
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import idna
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from newsletter.foundation.errors import CannotStart
from newsletter.foundation.parts import Part


class ConfigInvalid(CannotStart):
    """{file}{line}: {key}: {problem}"""


class ConfigUnreadable(CannotStart):
    """There is no readable configuration at {file} ({cause}). Copy config.example.toml to config.toml and fill it
    in, or name another file with --config."""


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


class SecretUnreadable(CannotStart):
    """The password in {file} cannot be read ({cause})."""


Network = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _database_url(value: str) -> str:
    """With the driver that comes with us, whichever way PostgreSQL is written."""
    value = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", value)
    try:
        kind = make_url(value).drivername
    except ArgumentError as error:
        raise ValueError("write it like sqlite:///newsletter.db or postgresql+psycopg://user@host/name") from error
    if kind not in ("sqlite", "postgresql+psycopg"):
        raise ValueError(f"“{kind}” is neither sqlite nor postgresql+psycopg")
    return value


class DatabaseConfig(Section):
    url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///newsletter.db"


class WebConfig(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: int = Field(default=2, ge=1, le=64)
    threads: int = Field(default=4, ge=1, le=256)
    trusted_proxies: tuple[Network, ...] = ()


class MailTransport(StrEnum):
    SMTP = "smtp"
    FOLDER = "folder"


class SmtpSecurity(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Uncertain(StrEnum):
    """What becomes of a mail of which nobody can know whether the relay has it: staff are asked, or it goes once
    more."""

    ASK = "ask"
    RESEND = "resend"


class DkimConfig(Section):
    """A key that signs what comes from a domain; its public half stands in the DNS at selector._domainkey.domain."""

    domain: str = Field(min_length=3, max_length=253, pattern=r"^[^@/\s]+\.[^@/\s]+$")
    selector: str = Field(max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    key_file: Path


def _mail_domain(value: str) -> str:
    """In lower case, an international one in its ASCII form."""
    name = value.strip().removeprefix("@").lower()
    try:
        name = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"“{value}” is no domain") from error
    if len(name) > 253 or not re.fullmatch(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", name):
        raise ValueError(f"write what stands after the @ of an address, such as example.org, and not “{value}”")
    return name


MailDomain = Annotated[str, AfterValidator(_mail_domain)]


class DomainsConfig(Section):
    """How fast mails go to the readers of some domains: at most so many under way at once on one machine, in a second
    and in an hour. Their rows are in shards of their own, whose `lane` is this name."""

    name: str = Field(max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$")
    domains: tuple[MailDomain, ...] = Field(min_length=1)
    connections: int | None = Field(default=None, ge=1)
    per_second: float | None = Field(default=None, gt=0, le=1e6)
    per_hour: int | None = Field(default=None, ge=1)


class WarmUpConfig(Section):
    """A sending domain that mailbox providers do not know yet: on its nth day, counted from `begins`, at most the nth
    number of `plan` of copies go out in its name; after the plan's end as many as there are readers."""

    domain: MailDomain
    begins: date
    plan: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)

    @field_validator("plan")
    @classmethod
    def _grows(cls, plan: tuple[int, ...]) -> tuple[int, ...]:
        for before, after in pairwise(plan):
            if after <= before:
                raise ValueError(f"each day's number must be larger than the one before: {after} comes after {before}")
        return plan

    @property
    def last_day(self) -> date:
        return self.begins + timedelta(days=len(self.plan) - 1)

    def limit(self, day: date) -> int | None:
        """How many copies may go out on a day; None when it is before the plan or after it."""
        return self.plan[(day - self.begins).days] if self.begins <= day <= self.last_day else None


class RelayConfig(Section):
    """`timeout_seconds` is for each of a relay's answers but the last, which says that it has taken the mail: for that
    it is `final_timeout_seconds`, since a mail whose answer never came is uncertain. The rates are the most that all
    machines together hand it in a second, an hour and a day."""

    host: str = "127.0.0.1"
    port: int = Field(default=25, ge=1, le=65535)
    security: SmtpSecurity = SmtpSecurity.NONE
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    password_variable: str | None = None
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    final_timeout_seconds: float = Field(default=300, gt=0, le=3600)
    connections: int = Field(default=8, ge=1, le=64)
    mails_per_connection: int = Field(default=1000, ge=1)
    per_second: float | None = Field(default=None, gt=0, le=1e6)
    per_hour: int | None = Field(default=None, ge=1)
    per_day: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _login_is_whole(self) -> RelayConfig:
        given = [one for one in (self.password, self.password_file, self.password_variable) if one]
        if len(given) > 1:
            raise ValueError("give one of password_file, password_variable and password, not more")
        if self.username and not given:
            raise ValueError("username needs password_file (or password_variable, or password) beside it")
        return self


THE_RELAY = "relay"
"""What the relay is called where there is only one."""


class NamedRelayConfig(RelayConfig):
    """One of several. `share`: its part of the mails of those that have one; without, it gets as many as it takes.
    `backup`: only while no other can be used."""

    name: str = Field(max_length=40, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    share: int | None = Field(default=None, ge=1, le=1000)
    backup: bool = False

    @model_validator(mode="after")
    def _backups_have_no_share(self) -> NamedRelayConfig:
        if self.backup and self.share is not None:
            raise ValueError("a backup has no share: leave out share, or backup")
        return self


class MailConfig(RelayConfig):
    transport: MailTransport = MailTransport.SMTP
    folder: Path = Path("mail")
    uncertain: Uncertain = Uncertain.ASK
    bounce_address: str | None = None
    dkim: tuple[DkimConfig, ...] = ()
    relays: tuple[NamedRelayConfig, ...] = ()
    domains: tuple[DomainsConfig, ...] = ()
    warm_up: WarmUpConfig | None = None

    @model_validator(mode="after")
    def _relays_are_told_apart(self) -> MailConfig:
        names = [one.name for one in self.relays]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two relays are called {twice[0]}")
        if self.relays and all(one.backup for one in self.relays):
            raise ValueError("every relay is a backup; one at least has to be used first")
        if self.relays and (both := sorted(self.model_fields_set & set(RelayConfig.model_fields))):
            raise ValueError(f"{both[0]} belongs to each [[mail.relays]], or leave those out")
        return self

    @model_validator(mode="after")
    def _each_domain_is_in_one_lane(self) -> MailConfig:
        for what in ([one.name for one in self.domains], [name for one in self.domains for name in one.domains]):
            for word, times in Counter(what).items():
                if times > 1:
                    raise ValueError(f"“{word}” stands in [[mail.domains]] twice")
        return self

    @property
    def all_relays(self) -> tuple[NamedRelayConfig, ...]:
        """The several, or the one that [mail] itself is about; those that are used first first."""
        if self.relays:
            return tuple(sorted(self.relays, key=lambda one: one.backup))
        return (NamedRelayConfig(name=THE_RELAY, **{name: getattr(self, name) for name in RelayConfig.model_fields}),)


class BounceProtocol(StrEnum):
    LMTP = "lmtp"
    SMTP = "smtp"


class BouncesConfig(Section):
    """What comes back: by the listener at host and port, or from a mailbox that is asked once a minute, or both."""

    unsubscribe_address: str | None = Field(default=None, max_length=200, pattern=r"^[^@+\s]+@[^@\s]+$")
    listen: bool = False
    host: str = "127.0.0.1"
    port: int = Field(default=8024, ge=1, le=65535)
    protocol: BounceProtocol = BounceProtocol.LMTP
    max_megabytes: float = Field(default=10, gt=0, le=100)
    imap_host: str | None = None
    imap_port: int = Field(default=993, ge=1, le=65535)
    imap_security: SmtpSecurity = SmtpSecurity.TLS
    imap_username: str = ""
    imap_password: SecretStr | None = None
    imap_password_file: Path | None = None
    imap_folder: str = Field(default="INBOX", min_length=1)
    imap_done_folder: str = Field(default="Read", min_length=1)
    timeout_seconds: float = Field(default=30, gt=0, le=600)

    @model_validator(mode="after")
    def _mailbox_is_whole(self) -> BouncesConfig:
        if self.imap_password and self.imap_password_file:
            raise ValueError("give either imap_password or imap_password_file, not both")
        if self.imap_host and not (self.imap_username and (self.imap_password or self.imap_password_file)):
            raise ValueError("imap_host needs imap_username and imap_password_file (or imap_password) beside it")
        if self.imap_folder == self.imap_done_folder:
            raise ValueError("imap_done_folder must be another folder than imap_folder")
        return self


class FetchingConfig(Section):
    timeout_seconds: float = Field(default=20, gt=0, le=300)
    max_megabytes: float = Field(default=10, gt=0, le=200)
    allow_networks: tuple[Network, ...] = ()
    allow_ports: tuple[int, ...] = (80, 443)


class PicturesConfig(Section):
    folder: Path = Path("pictures")


class Challenge(StrEnum):
    """When a visitor's browser has to do a small sum before it may sign up."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class SignUpConfig(Section):
    """`storm_requests`: with more than these in ten minutes, all browsers do the sum until it is calm again.
    `refuse_disposable`: nobody signs up with an address of a service that gives them out for a few minutes.
    """

    challenge: Challenge = Challenge.AUTO
    storm_requests: int = Field(default=300, ge=1)
    refuse_disposable: bool = False


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not value.isprintable() or " " in value:
        raise ValueError("write a whole web address, such as https://hooks.example.org/newsroom")
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]


class AlertsConfig(Section):
    """`webhook_url` is told each alert beside staff's mails; `heartbeat_url` is called while all is well, so that its
    owner notices when it is not."""

    webhook_url: WebAddress | None = None
    heartbeat_url: WebAddress | None = None


def _name_server(value: str) -> str:
    name_server(value)
    return value


def name_server(value: str) -> tuple[str, int]:
    """The address and the port of a name server as it is written: 192.0.2.53, 127.0.0.1:5353 or [::1]:5353."""
    match = re.fullmatch(
        r"\[(?P<six>[0-9a-fA-F:.]+)\](?::(?P<port>\d{1,5}))?|(?P<four>[\d.]+)(?::(?P<port4>\d{1,5}))?", value
    )
    host = (match["six"] or match["four"]) if match else value
    port = int((match and (match["port"] or match["port4"])) or 53)
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise ValueError("write a name server's address, such as 192.0.2.53 or 127.0.0.1:5353") from error
    if not 0 < port < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return host, port


def _ip_address(value: str) -> str:
    return str(ipaddress.ip_address(value))


def _time_source(value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = parts.scheme in ("http", "https", "ntp") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or not value.isprintable() or " " in value:
        raise ValueError("write ntp://HOST or the whole address of a web page, such as ntp://time.example.org")
    return value


class DoctorConfig(Section):
    """What `newsletter doctor` may ask. `sending_addresses` are those from which mail leaves to the world, where they
    are not the relay's own; `watch_senders` lets the scheduler look at the senders' DNS records too."""

    resolvers: tuple[Annotated[str, AfterValidator(_name_server)], ...] = ()
    time_source: Annotated[str, AfterValidator(_time_source)] | None = None
    sending_addresses: tuple[Annotated[str, AfterValidator(_ip_address)], ...] = ()
    timeout_seconds: float = Field(default=10, gt=0, le=60)
    watch_senders: bool = True


class DemoConfig(Section):
    clock_file: Path = Path("clock.json")


def _site_url(value: str) -> str:
    try:
        value = value.encode("ascii").decode()
    except UnicodeEncodeError as error:
        raise ValueError("write it in ASCII; an international host name as xn--…") from error
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("write the whole public address, such as https://news.example.org")
    return value.rstrip("/")


class Config(BaseSettings):
    """Everything an operator decides. `file` is where it was read from."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="NEWSLETTER_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    site_url: Annotated[str, AfterValidator(_site_url)] = "http://127.0.0.1:8000"
    secret_key_file: Path = Path("secret.key")
    suppression_key_file: Path = Path("suppression.key")
    generation_file: Path = Path("generation.json")
    database: DatabaseConfig = DatabaseConfig()
    web: WebConfig = WebConfig()
    mail: MailConfig = MailConfig()
    bounces: BouncesConfig = BouncesConfig()
    fetching: FetchingConfig = FetchingConfig()
    pictures: PicturesConfig = PicturesConfig()
    sign_up: SignUpConfig = SignUpConfig()
    alerts: AlertsConfig = AlertsConfig()
    doctor: DoctorConfig = DoctorConfig()
    demo: DemoConfig | None = None

    directory: Path = Field(default=Path(), exclude=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    def path(self, path: Path) -> Path:
        """A path of the config as an absolute one."""
        return (self.directory / path).absolute()

    @property
    def database_url(self) -> str:
        """The database's address with a relative SQLite file made absolute."""
        match = re.fullmatch(r"sqlite:///(?!/)(?P<file>.+)", self.database.url)
        return f"sqlite:///{self.path(Path(match['file']))}" if match else self.database.url

    def relay_password(self, relay: RelayConfig) -> str | None:
        """Raises SecretUnreadable."""
        if relay.password_file:
            return _secret_text(self.path(relay.password_file))
        if relay.password_variable:
            if relay.password_variable not in os.environ:
                raise SecretUnreadable(file=f"${relay.password_variable}", cause="it is not set")
            return os.environ[relay.password_variable]
        return relay.password.get_secret_value() if relay.password else None

    @property
    def imap_password(self) -> str:
        """Raises SecretUnreadable."""
        if self.bounces.imap_password_file:
            return _secret_text(self.path(self.bounces.imap_password_file))
        return self.bounces.imap_password.get_secret_value() if self.bounces.imap_password else ""


def _secret_text(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnreadable(file=file, cause=getattr(error, "strerror", None) or error) from error


the_config: Part[Config] = Part("config")


def load(file: Path) -> Config:
    """Read the settings from `file`.

    Raises ConfigUnreadable when there is no such file, ConfigInvalid with key and line when it is wrong.
    """
    try:
        text = file.read_text("utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigUnreadable(file=file, cause=getattr(error, "strerror", None) or error) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(file=file, line="", key="not TOML", problem=error) from error
    return checked(file, values, text)


def checked(file: Path, values: dict[str, Any], text: str) -> Config:
    """The settings that were read from `text`. Raises ConfigInvalid."""
    if "directory" in values:
        raise ConfigInvalid(file=file, line=_line(text, ("directory",)), key="directory", problem="unknown key")
    try:
        return Config(**values, directory=file.parent)
    except ValidationError as error:
        raise _invalid(file, text, error) from error
    except SettingsError as error:
        raise ConfigInvalid(file="environment", line="", key="NEWSLETTER_…", problem=error) from error


def _invalid(file: Path, text: str, error: ValidationError) -> ConfigInvalid:
    first = error.errors()[0]
    path = tuple(str(part) for part in first["loc"])
    problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    return ConfigInvalid(file=file, line=_line(text, path), key=".".join(path) or "settings", problem=problem)


def _line(text: str, path: tuple[str, ...]) -> str:
    """Where `path` stands in the TOML text, as ", line N"; the nearest table where the key itself is not written."""
    table: tuple[str, ...] = ()
    best = depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = _parts(header[1])
            here = table
        elif key := re.match(r"\s*([\w.\-\"']+)\s*=", line):
            here = (*table, *_parts(key[1]))
        else:
            continue
        shared = _shared(here, path)
        if shared == len(here) and shared > depth:
            best, depth = number, shared
    return f", line {best}" if best else ""


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _shared(here: tuple[Any, ...], path: tuple[Any, ...]) -> int:
    return next((i for i, (a, b) in enumerate(zip(here, path, strict=False)) if a != b), min(len(here), len(path)))
