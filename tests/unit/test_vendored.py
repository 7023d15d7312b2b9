"""Code of others lies here as its makers released it, each file with its licence."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import newsletter

VENDOR = Path(newsletter.__file__).parent / "static" / "vendor"
LIST = "vendored.toml"


def listed() -> list[dict[str, str]]:
    files: list[dict[str, str]] = tomllib.loads((VENDOR / LIST).read_text("utf-8"))["file"]
    return files


def test_each_file_is_what_was_released() -> None:
    for file in listed():
        found = hashlib.sha256((VENDOR / file["name"]).read_bytes()).hexdigest()
        assert found == file["sha256"], file["name"]


def test_each_file_is_listed_with_its_version_and_its_licence() -> None:
    names = {file["name"] for file in listed()} | {file["licence_file"] for file in listed()} | {LIST}
    assert {path.name for path in VENDOR.iterdir()} == names
    for file in listed():
        assert all(file[key] for key in ("of", "version", "licence", "released_at")), file
        assert len((VENDOR / file["licence_file"]).read_text("utf-8")) > 500, file
