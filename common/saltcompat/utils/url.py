"""`salt.utils.url`: `salt://` addresses."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit


def parse(url: str) -> tuple[str, str | None]:
    """Return the path and the environment that a `salt://` address names."""
    if not url.startswith("salt://"):
        return url, None
    path, _mark, query = url.removeprefix("salt://").partition("?")
    return path.lstrip("/"), parse_qs(query).get("saltenv", [None])[0]


def create(path: str, saltenv: str | None = None) -> str:
    """Make a `salt://` address."""
    return f"salt://{path}" + (f"?saltenv={saltenv}" if saltenv else "")


def validate(url: str, protos: list[str]) -> bool:
    """Whether an address has one of these schemes."""
    return urlsplit(url).scheme in protos
