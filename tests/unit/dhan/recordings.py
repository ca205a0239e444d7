"""Answers recorded from Dhan by others, in one form whatever file they lie in. They are real data: not in the repository."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.adapters.dhan.wire import Endpoint
from tests.shared_data import ROOT, shared

FOLDERS = ("wire_samples/rest", "data/dhan_fixtures")


class Recording(msgspec.Struct, frozen=True):
    """One request and its answer. ``path`` is without a version; ``status`` 0: the recording does not tell it."""

    name: str
    method: str
    path: str
    status: int
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content.strip() else None


def names() -> list[str]:
    """Every recording there is; a single name that skips its test where there are none."""
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.json"))
        if not path.name.endswith(".body.json") and path.parent.name != "_other"
    ]
    return found or [FOLDERS[0]]


def recording(name: str) -> Recording:
    path = shared(name)
    found = json.loads(path.read_text())
    if "response_body" in found:
        content = json.dumps(found["response_body"]).encode()
        return Recording(name, found["method"], _plain(found["path"]), found["status"], content)
    asked, answer = found["request"], found["response"]
    if "body_file" in answer:
        content = (path.parent / answer["body_file"]).read_bytes()
    elif "body_text" in answer:
        content = answer["body_text"].encode()
    else:
        content = json.dumps(answer["body"]).encode()
    return Recording(name, asked["method"], _plain(asked["path"]), answer["status"] or 0, content)


def endpoint_of(found: Recording) -> tuple[Endpoint[Any], dict[str, str]] | None:
    """The row of the table that asks so, and its arguments; None for a path Dhan does not have."""
    for endpoint in ENDPOINTS:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", endpoint.path)
        matched = re.fullmatch(pattern, found.path)
        if endpoint.method == found.method and matched:
            return endpoint, matched.groupdict()
    return None


def _plain(path: str) -> str:
    return path.removeprefix("/v2").split("?")[0]
