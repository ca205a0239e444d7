"""Prints, as shell assignments, what pip on this machine is told about package indexes, in uv's variables.

pip need not be installed: its files and variables are read as pip documents them (later ones win: machine, user,
the interpreter's own, PIP_CONFIG_FILE, PIP_* variables). A variable of uv that is already set is left alone, and an
extra index or wheel folder on this disk that does not exist is left out.
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

PLAIN = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE", "timeout": "UV_HTTP_TIMEOUT"}
LISTS = {"extra-index-url": "UV_INDEX", "trusted-host": "UV_INSECURE_HOST"}
SECTIONS = ("global", "install")


def configuration_files() -> list[Path]:
    """pip's configuration files in the order in which later ones win."""
    own = os.environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:  # pip's way to say: read no file at all
        return []
    files = [
        Path(folder, "pip", "pip.conf") for folder in reversed(os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"))
    ]
    files.append(Path("/etc/pip.conf"))
    home = os.environ.get("HOME")
    if home:
        files.append(Path(home, ".pip", "pip.conf"))
        files.append(Path(os.environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "pip", "pip.conf"))
    files.append(Path(sys.prefix, "pip.conf"))
    if own:
        files.append(Path(own))
    return files


def settings() -> dict[str, str]:
    """pip's settings by their long names; an unreadable file is skipped, as pip does."""
    found: dict[str, str] = {}
    for file in configuration_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError) as problem:
            print(f"{file} is not read: {problem}", file=sys.stderr)
            continue
        for section in SECTIONS:
            if parser.has_section(section):
                found.update(parser.items(section))
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            found[name[4:].lower().replace("_", "-")] = value
    return {name.replace("_", "-"): value for name, value in found.items()}


def is_there(place: str) -> bool:
    """Whether a place on this disk exists; one on the network is taken at its word."""
    parts = urlparse(place)
    if parts.scheme in ("http", "https"):
        return True
    return Path(unquote(parts.path) if parts.scheme == "file" else place).exists()


def main() -> None:
    """Print the assignments."""
    pip = settings()
    out = {variable: pip[name].strip() for name, variable in PLAIN.items() if pip.get(name, "").strip()}
    for name, variable in LISTS.items():
        places = [place for place in pip.get(name, "").split() if name != "extra-index-url" or is_there(place)]
        if places:
            out[variable] = " ".join(places)
    wheels = [place for place in pip.get("find-links", "").split() if is_there(place)]
    if wheels:
        out["UV_FIND_LINKS"] = ",".join(wheels)
    if "SSL_CERT_FILE" in out and not Path(out["SSL_CERT_FILE"]).is_file():
        del out["SSL_CERT_FILE"]
    if "UV_INDEX" in out:
        # pip takes the best version of all indexes; uv would stop at the first index that knows the name.
        out["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    for variable, value in out.items():
        if not os.environ.get(variable):
            print(f"export {variable}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
