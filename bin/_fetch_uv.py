"""Fetches uv's wheel from the package index with the standard library alone and unpacks it: ``_fetch_uv.py FOLDER``.

For a Python that has neither ensurepip nor pip. The index is the one this machine's pip is told to use
(UV_DEFAULT_INDEX, set by `_index_settings`); the wheel's SHA-256 must be the one the index names.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import ssl
import sys
import urllib.request
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

LEAST = (0, 9)
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Links(HTMLParser):
    """The addresses of a simple index page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep every address of a link that was not withdrawn."""
        names = dict(attrs)
        if tag == "a" and names.get("href") and "data-yanked" not in names:
            self.found.append(str(names["href"]))


def read(address: str) -> bytes:
    """The bytes behind an address, certificates checked."""
    secure = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
    with urllib.request.urlopen(address, timeout=60, context=secure) as answer:
        return bytes(answer.read())


def platform_pattern() -> re.Pattern[str]:
    """How the platform part of a fitting wheel's name looks."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return re.compile(rf"macosx_\d+_\d+_{'arm64' if machine == 'arm64' else 'x86_64'}")
    kind = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return re.compile(rf"{kind}\w*_{MACHINES.get(machine, machine)}\b")


def newest_wheel(page: str, base: str) -> tuple[str, str]:
    """Address and SHA-256 of the newest wheel that fits this machine."""
    links = Links()
    links.feed(page)
    fits = platform_pattern()
    choices = []
    for link in links.found:
        address, fragment = urldefrag(urljoin(base, link))
        name = address.rsplit("/", maxsplit=1)[-1]
        version = re.match(r"uv-(\d+)\.(\d+)\.(\d+)-py3-none-(.+)\.whl$", name)
        if version and fits.search(version[4]) and fragment.startswith("sha256="):
            choices.append((tuple(int(part) for part in version.groups()[:3]), address, fragment[7:]))
    if not choices or max(choices)[0] < LEAST:
        sys.exit(f"{base} has no uv for {sys.platform} {platform.machine()}")
    _, address, digest = max(choices)
    return address, digest


def main() -> None:
    """Fetch, check, unpack."""
    folder = Path(sys.argv[1])
    base = os.environ.get("UV_DEFAULT_INDEX", "https://pypi.org/simple").rstrip("/") + "/uv/"
    address, digest = newest_wheel(read(base).decode(), base)
    wheel = read(address)
    if hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit(f"{address} is not what the index says it is; nothing was unpacked")
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(wheel)) as packed:
        member = next(name for name in packed.namelist() if name.endswith(".data/scripts/uv"))
        program = folder / "bin" / "uv"
        program.write_bytes(packed.read(member))
        program.chmod(0o755)
    print(f"{address} unpacked to {program}")


if __name__ == "__main__":
    main()
