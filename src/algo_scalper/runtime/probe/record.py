"""What a probe found: facts expected against facts seen, kept in a file that the gate to live money reads."""

from __future__ import annotations

import hashlib
import os
import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from algo_scalper import __version__
from algo_scalper.adapters.dhan.settings import MASKED, DhanSettings
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import clock_text, ist_day

FORMAT = 1
FOLDER = "probes"
_LONG_NUMBER = re.compile(r"\d{12,}")
"""Order ids of broker and exchange."""


class Verdict(StrEnum):
    """What became of an expectation."""

    AS_EXPECTED = "as expected"
    DIFFERENT = "different"
    NOT_SEEN = "not seen"


class Fact(msgspec.Struct, frozen=True):
    """One thing known only from reading, tried."""

    name: str
    expected: str
    seen: str
    verdict: Verdict
    needed: bool = True
    """Live money is not thought of without it."""


class ProbeResult(msgspec.Struct, frozen=True):
    """A whole probe. ``account`` is a hash of the client id, ``samples`` are redacted."""

    format: int
    at_ns: int
    version: str
    host: str
    account: str
    contract: str
    round_trip: bool
    passed: bool
    clean: bool
    """Nothing of the probe was left at the broker."""
    facts: tuple[Fact, ...]
    samples: dict[str, str]


def account_mark(client_id: str) -> str:
    """Tells one account's probe from another's without naming it."""
    return hashlib.blake2b(f"probe of {client_id}".encode(), digest_size=8).hexdigest()


def host_of(base_url: str) -> str:
    """``"api.dhan.co"``, or ``"127.0.0.1:9200"``: a simulator's probe says nothing about Dhan."""
    return urlsplit(base_url).netloc.lower()


def redacted(dhan: DhanSettings, text: str) -> str:
    """Without secrets, client id and order ids."""
    return _LONG_NUMBER.sub(MASKED, dhan.masked(text))


def result_of(
    dhan: DhanSettings,
    at_ns: int,
    contract: str,
    facts: list[Fact],
    samples: dict[str, str],
    *,
    round_trip: bool,
    clean: bool,
    finished: bool,
) -> ProbeResult:
    """Passed: it went to its end, left nothing behind, and every needed fact is as expected."""
    passed = finished and clean and all(fact.verdict is Verdict.AS_EXPECTED for fact in facts if fact.needed)
    return ProbeResult(
        FORMAT,
        at_ns,
        __version__,
        host_of(dhan.base_url),
        account_mark(dhan.client_id),
        contract,
        round_trip,
        passed,
        clean,
        tuple(
            msgspec.structs.replace(fact, seen=redacted(dhan, fact.seen), expected=redacted(dhan, fact.expected))
            for fact in facts
        ),
        {name: redacted(dhan, text) for name, text in samples.items()},
    )


def save_result(data_dir: Path, result: ProbeResult) -> Path:
    """Keep it, readable by its owner alone. Raises `StoreError` when it cannot be kept."""
    day, clock = ist_day(result.at_ns), clock_text(result.at_ns).replace(":", "")
    path = data_dir / FOLDER / f"{day.isoformat()}-{clock}-{result.account}.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(result), indent=2))
            file.flush()
            os.fsync(handle)
    except OSError as fault:
        raise StoreError(f"{path}: cannot be written ({fault.strerror}); make its folder writable") from None
    return path


def probe_passed(data_dir: Path, base_url: str, client_id: str) -> bool:
    """Whether the newest probe of this account at this host passed. What cannot be read did not pass."""
    newest: ProbeResult | None = None
    for path in (data_dir / FOLDER).glob(f"*-{account_mark(client_id)}.json"):
        try:
            found = msgspec.json.decode(path.read_bytes(), type=ProbeResult)
        except (OSError, msgspec.DecodeError):
            return False
        same = (found.format, found.host, found.account) == (FORMAT, host_of(base_url), account_mark(client_id))
        if same and (newest is None or found.at_ns > newest.at_ns):
            newest = found
    return newest is not None and newest.passed
