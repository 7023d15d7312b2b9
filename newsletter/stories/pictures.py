"""Pictures of our own: fetched once, encoded anew, served from our address under a name made of what they show.

So a reader's mail calls none of the outlets, and nothing that a stranger made reaches a reader's picture decoder.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import sqlalchemy as sa
from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.foundation.database import Base, db, transaction
from newsletter.foundation.errors import NewsletterError
from newsletter.foundation.parts import Part
from newsletter.stories.fetching import Fetcher

WIDTHS = (600, 1200)
OCTETS_AT_MOST = 80_000
PIXELS_AT_MOST = 40_000_000
SMALLEST = 100
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
QUALITIES = (82, 72, 62, 52, 42, 30)
ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/gif;q=0.8"
AT_ONCE = 8
AGAIN_AFTER = timedelta(minutes=30)


class NotAPicture(NewsletterError):
    """It is no picture that can be shown: {problem}."""


class Picture(Base):
    """What became of a picture's address. `name` is 32 hex digits of what it shows, or None with the `error` that
    says why there is none."""

    __tablename__ = "pictures"

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    address: Mapped[str] = mapped_column(sa.String(2000))
    name: Mapped[str | None] = mapped_column(sa.String(32))
    error: Mapped[str | None] = mapped_column(sa.String(300))
    fetched_at: Mapped[datetime]


@dataclass(frozen=True)
class PictureStore:
    """The folder that our pictures are in, one file for each name and width."""

    folder: Path

    def file(self, name: str, width: int) -> Path:
        return self.folder / f"{name}-{width}.jpg"

    def size(self, name: str, width: int) -> tuple[int, int] | None:
        """How wide and high the picture is, which may be less than `width`; None where there is none."""
        try:
            with Image.open(self.file(name, width), formats=["JPEG"]) as picture:
                return picture.size
        except OSError:
            return None

    def keep(self, octets: bytes) -> str:
        """Encode a stranger's picture in both widths, store it, and give its name. Raises NotAPicture."""
        encoded = {width: encode(octets, width) for width in WIDTHS}
        name = hashlib.sha256(encoded[max(WIDTHS)]).hexdigest()[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        for width, jpeg in encoded.items():
            _write(self.file(name, width), jpeg)
        return name


the_pictures: Part[PictureStore] = Part("pictures")


def _write(file: Path, octets: bytes) -> None:
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(octets)
        part.replace(file)


def encode(octets: bytes, width: int) -> bytes:
    """A picture as a JPEG of at most `width` pixels and 80 KB, upright, without anything the file said besides.

    Raises NotAPicture, also for a bomb: a small file that would unfold to more than 40 million pixels.
    """
    picture = _opened(octets)
    if picture.width > width:
        picture = picture.resize(
            (width, max(round(picture.height * width / picture.width), 1)), Image.Resampling.LANCZOS
        )
    while True:
        for quality in QUALITIES:
            buffer = BytesIO()
            picture.save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
            if buffer.tell() <= OCTETS_AT_MOST:
                return buffer.getvalue()
        picture = picture.resize((picture.width * 3 // 4, max(picture.height * 3 // 4, 1)), Image.Resampling.LANCZOS)


def _opened(octets: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(BytesIO(octets), formats=FORMATS)
            if picture.width * picture.height > PIXELS_AT_MOST:
                raise NotAPicture(problem="it is too large to unfold")
            picture.load()
    except UnidentifiedImageError as error:
        raise NotAPicture(problem="its format is unknown") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAPicture(problem="it is damaged, or too large to unfold") from error
    if min(picture.size) < SMALLEST:
        raise NotAPicture(problem=f"it is only {picture.width} by {picture.height} pixels")
    return _on_white(ImageOps.exif_transpose(picture))


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        sheet = Image.new("RGBA", layer.size, "white")
        picture = Image.alpha_composite(sheet, layer)
    return picture.convert("RGB")


def fetch_all(addresses: Sequence[str], now: datetime, fetcher: Fetcher, store: PictureStore) -> dict[str, Picture]:
    """What is known of each address, after fetching those that were not tried lately, several at once."""
    wanted = list(dict.fromkeys(addresses))
    known = _known(wanted)
    missing = [a for a in wanted if a not in known or _worth_another_try(known[a], now)]
    db.session.rollback()  # no transaction stays open while the network is waited for
    with ThreadPoolExecutor(AT_ONCE, "pictures") as pool:
        results = list(pool.map(lambda address: _fetch(address, fetcher, store), missing))
    with transaction():
        for address, (name, error) in zip(missing, results, strict=True):
            _remember(address, name, error, now)
    return _known(wanted)


def _worth_another_try(known: Picture, now: datetime) -> bool:
    return known.name is None and now - known.fetched_at >= AGAIN_AFTER


def _fetch(address: str, fetcher: Fetcher, store: PictureStore) -> tuple[str | None, str | None]:
    try:
        body = fetcher.fetch(address, accept=ACCEPT).body
        return store.keep(body or b""), None
    except NewsletterError as error:
        return None, str(error)[:300]
    except OSError as error:
        return None, f"The picture could not be stored: {error.strerror}."


def _known(addresses: Sequence[str]) -> dict[str, Picture]:
    found = db.session.scalars(sa.select(Picture).where(Picture.address_hash.in_([_hash(a) for a in addresses])))
    return {picture.address: picture for picture in found}


def _remember(address: str, name: str | None, error: str | None, now: datetime) -> None:
    picture = db.session.scalar(sa.select(Picture).where(Picture.address_hash == _hash(address)))
    if picture is None:
        picture = Picture(address_hash=_hash(address), address=address)
        db.session.add(picture)
    picture.name, picture.error, picture.fetched_at = name, error, now


def _hash(address: str) -> str:
    return hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()
