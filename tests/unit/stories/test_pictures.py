from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from newsletter.stories.pictures import OCTETS_AT_MOST, NotAPicture, PictureStore, encode


def picture(kind: str = "PNG", size: tuple[int, int] = (1600, 900), mode: str = "RGB", color: object = "teal") -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, color).save(buffer, kind)  # type: ignore[arg-type]
    return buffer.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(BytesIO(jpeg), formats=["JPEG"])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_of_every_usual_kind_become_jpegs_of_the_width(kind: str) -> None:
    assert opened(encode(picture(kind), 600)).size == (600, 338)


def test_a_small_picture_is_not_blown_up() -> None:
    assert opened(encode(picture(size=(320, 200)), 600)).size == (320, 200)


def test_what_is_see_through_lies_on_white() -> None:
    assert opened(encode(picture(size=(200, 200), mode="RGBA", color=(0, 0, 0, 0)), 600)).getpixel((9, 9)) == (
        255,
        255,
        255,
    )


def test_noise_still_fits() -> None:
    noise = Image.effect_noise((1200, 900), 120).convert("RGB")  # as wide as it stays, so that nothing smooths it
    buffer = BytesIO()
    noise.save(buffer, "PNG", compress_level=1)
    assert len(encode(buffer.getvalue(), 1200)) <= OCTETS_AT_MOST


def test_it_stands_upright_and_says_nothing_of_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif[0x010E] = "at home"
    buffer = BytesIO()
    Image.new("RGB", (800, 400)).save(buffer, "JPEG", exif=exif)
    shown = opened(encode(buffer.getvalue(), 600))
    assert shown.height > shown.width
    assert not shown.getexif()


def bomb() -> bytes:
    """A PNG that says it is 50,000 by 50,000 pixels."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    "octets",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", picture()[:-200], picture(size=(1, 1)), bomb()],
    ids=["nothing", "svg", "cut off", "a tracking pixel", "a bomb"],
)
def test_what_cannot_be_shown_is_an_error_with_a_name(octets: bytes) -> None:
    with pytest.raises(NotAPicture):
        encode(octets, 600)


def test_the_same_picture_is_kept_once_under_a_name_of_what_it_shows(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures")
    name = store.keep(picture())
    assert store.keep(picture()) == name != store.keep(picture(color="red"))
    assert len(list(store.folder.iterdir())) == 4
    assert opened(store.file(name, 1200).read_bytes()).width == 1200
