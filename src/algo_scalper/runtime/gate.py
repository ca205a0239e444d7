"""Which money is traded, and whether trading may start at all. Every doubt is answered with paper, or with no.

Live needs all of: ``mode: live``, PAPER_MODE false, ENABLE_ORDER true, the day armed by a person, a passed probe of
the broker, a finished reconciliation. One that is missing, empty, unreadable or said differently in two places means
paper. In this version the last condition is never met: live is not available, and no order leaves for a host other
than this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.config import AlgoConfig
from algo_scalper.runtime.settings import Settings, truth_of

NOT_AVAILABLE = "live money is not available in this version: it has not yet been proved on the real broker"


class Money(StrEnum):
    """The two words on every page, terminal, alert and report."""

    PAPER = "PAPER"
    LIVE = "LIVE"


class LiveReadiness(NamedTuple):
    """What only the running system can know. All false until shown otherwise."""

    armed_today: bool = False
    probe_passed: bool = False
    reconciled: bool = False


class GateDecision(NamedTuple):
    """The answer, the sentence that decided it, and everything else that stood in the way of live."""

    money: Money
    sentence: str
    missing: tuple[str, ...]
    """Each unmet condition with the place that decided it; the first is in `sentence`."""


def decide_money(algo: AlgoConfig, settings: Settings, readiness: LiveReadiness) -> GateDecision:
    """Paper unless every condition holds. Never raises: what cannot be read means paper."""
    conditions = (
        _mode_is_live(algo),
        _every_source_says(settings, "PAPER_MODE", wanted=False),
        _every_source_says(settings, "ENABLE_ORDER", wanted=True),
        "" if readiness.armed_today else "nobody has armed live trading for today",
        "" if readiness.probe_passed else "the probe of the broker has not passed (scalper probe)",
        "" if readiness.reconciled else "our books have not been reconciled with the broker's yet",
        NOT_AVAILABLE,
    )
    missing = tuple(condition for condition in conditions if condition)
    return GateDecision(Money.PAPER, f"PAPER money: {missing[0]}.", missing)


def _mode_is_live(algo: AlgoConfig) -> str:
    value, line = algo.mode
    if value == "live":
        return ""
    place = f"{algo.name} line {line}" if line else f"{algo.name} has no mode, and the default"
    said = "paper" if value == "paper" else f"{value!r}, which is not live"
    return f"{place} says mode: {said}"


def _every_source_says(settings: Settings, name: str, *, wanted: bool) -> str:
    """Empty when at least one source speaks and all agree with ``wanted``; else why not, and where."""
    word = str(wanted).lower()
    said = settings.all_said(name)
    if not said:
        return f"{name} is set nowhere, and live needs {name}={word}"
    for setting in said:
        if truth_of(setting.value) is not wanted:
            shown = setting.value if truth_of(setting.value) is not None else f"{setting.value!r}, which is unreadable"
            return f"{setting.source} says {name}={shown}"
    return ""


def refuse_real_host(base_url: str) -> None:
    """Raise `ConfigError` unless the address is on this machine: no setting lets an order out in this version."""
    if not is_loopback(base_url):
        host = _host(base_url) or base_url
        raise ConfigError(
            f"orders to {host} are refused: {NOT_AVAILABLE}. Trade on paper (mode: paper), or point DHANHQ_BASE_URL at "
            "the simulator on 127.0.0.1"
        )


def is_loopback(url: str) -> bool:
    """Whether an address can only reach this machine. An unreadable one cannot be trusted to."""
    host = _host(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    """The host name, lower case; empty when there is none that can be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class ServicesAnswer(NamedTuple):
    """Whether feeds, engine and order lane may start in this process, and the sentence why."""

    allowed: bool
    sentence: str


def trading_services_allowed(
    settings: Settings,
    environ: Mapping[str, str],
    argv: Sequence[str],
    modules: Collection[str],
    *,
    interactive: bool,
) -> ServicesAnswer:
    """No under tests, in a shell, in a notebook or when switched off; else yes.

    ``modules`` are the names loaded (``sys.modules``), ``interactive`` is whether a prompt is shown
    (``hasattr(sys, "ps1") or sys.flags.interactive``). A test that starts a process of its own to trade in must
    leave PYTEST_CURRENT_TEST out of that process's environment.
    """
    for name in ("DISABLE_TRADING_SERVICES", "BACKTEST_MODE", "SCRIPT_MODE"):
        setting = settings.get(name)
        if truth_of(setting.value) is not False:
            return ServicesAnswer(allowed=False, sentence=f"trading services are off: {setting.shown}")
    if "pytest" in modules or "PYTEST_CURRENT_TEST" in environ or _program(argv) in {"pytest", "py.test", "unittest"}:
        return ServicesAnswer(allowed=False, sentence="trading services are off: this is a test run")
    if interactive or not argv or argv[0] in {"", "-c", "-"} or {"IPython", "ipykernel"} & set(modules):
        return ServicesAnswer(
            allowed=False, sentence="trading services are off: this is an interactive shell or a one-line script"
        )
    return ServicesAnswer(allowed=True, sentence="trading services may start")


def _program(argv: Sequence[str]) -> str:
    """The program's name; of ``python -m unittest`` the package's."""
    if not argv:
        return ""
    path = Path(argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name
