"""Where a setting comes from: the environment, ``.env``, ``algo.yml`` and the stored settings, by one rule.

**The rule.** A name is looked for in the environment, then in ``.env``, then in the ``settings:`` part of
``algo.yml``, then among the settings stored from the page, then in the built-in defaults. The first that says
something wins; an empty value says nothing. Only when none of the first four has it, its older names are looked for
in the same order. `resolve` is that rule, and `Settings.explain` shows what it decided.

Which money is traded is no matter of precedence: `gate` asks every source and wants them to agree.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from dotenv.parser import parse_stream

from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.config import AlgoConfig

DEFAULT_SOURCE = "built-in default"
STORED_SOURCE = "stored settings"
ENVIRONMENT_SOURCE = "environment"

_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


class Kind(StrEnum):
    """How a variable's value is read."""

    TEXT = "text"
    FLAG = "true or false"
    COUNT = "whole number"
    SECRET = "secret"  # noqa: S105  # a kind, not a password


class Variable(NamedTuple):
    """One environment variable: its name, older names, default, and what it does."""

    name: str
    kind: Kind
    default: str
    meaning: str
    older: tuple[str, ...] = ()


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "PAPER_MODE", Kind.FLAG, "true", "Must be false, in every place that has it, before real money is thought of."
    ),
    Variable("ENABLE_ORDER", Kind.FLAG, "false", "Must be true before an order may leave for a real broker."),
    Variable("DHANHQ_CLIENT_ID", Kind.TEXT, "", "Dhan client id.", ("CLIENT_ID",)),
    Variable("DHANHQ_ACCESS_TOKEN", Kind.SECRET, "", "Dhan access token of the day.", ("ACCESS_TOKEN",)),
    Variable("DHANHQ_WS_ENABLED", Kind.FLAG, "true", "The market feed. Off: entries refuse, and start-up says so."),
    Variable(
        "DHANHQ_ORDER_WS_ENABLED", Kind.FLAG, "true", "The order feed. Off: entries refuse, and start-up says so."
    ),
    Variable(
        "DHANHQ_WS_MODE", Kind.TEXT, "quote", "Raises the feed mode only: indices quote at least, options always full."
    ),
    Variable("DHANHQ_WS_WATCHLIST", Kind.TEXT, "", "More to watch, as SEGMENT:ID, by comma, semicolon or line."),
    Variable("DHANHQ_BASE_URL", Kind.TEXT, "https://api.dhan.co/v2", "Address of the REST interface."),
    Variable("DHANHQ_WS_VERSION", Kind.COUNT, "2", "Version of the market feed's protocol."),
    Variable("DHANHQ_WS_MARKET_FEED_URL", Kind.TEXT, "wss://api-feed.dhan.co", "Address of the market feed."),
    Variable("DHANHQ_WS_ORDER_URL", Kind.TEXT, "wss://api-order-update.dhan.co", "Address of the order feed."),
    Variable(
        "DHANHQ_WS_MARKET_DEPTH_URL",
        Kind.TEXT,
        "wss://depth-api-feed.dhan.co/twentydepth",
        "Address of the 20-level depth feed.",
    ),
    Variable(
        "DHANHQ_WS_FULL_DEPTH_URL",
        Kind.TEXT,
        "wss://full-depth-api.dhan.co/twohundreddepth",
        "Address of the 200-level depth feed.",
    ),
    Variable("DHANHQ_AUTH_URL", Kind.TEXT, "https://auth.dhan.co", "Address of the host that makes access tokens."),
    Variable(
        "DHANHQ_CSV_URL",
        Kind.TEXT,
        "https://images.dhan.co/api-data/api-scrip-master-detailed.csv",
        "Address of the instrument master; the compact file does not say how much one order may carry.",
        ("CSV_URL",),
    ),
    Variable(
        "CACHE_MAX_AGE", Kind.COUNT, "86400", "For how many seconds a fetched instrument master is used without asking."
    ),
    Variable("BATCH_SIZE", Kind.COUNT, "5000", "Rows of the instrument master written in one transaction."),
    Variable("VALID_EXCHANGES", Kind.TEXT, "NSE,BSE", "Whose rows of the instrument master are read."),
    Variable("DHANHQ_PIN", Kind.SECRET, "", "Optional: six-digit PIN, to get the day's token without a person."),
    Variable("DHANHQ_TOTP_SECRET", Kind.SECRET, "", "Optional: secret of the TOTP, to get the day's token by itself."),
    Variable("DHANHQ_APP_ID", Kind.TEXT, "", "Optional: API key of the consent login."),
    Variable("DHANHQ_APP_SECRET", Kind.SECRET, "", "Optional: API secret of the consent login."),
    Variable("DHANHQ_WS_USER_TYPE", Kind.TEXT, "SELF", "SELF, or PARTNER with the two partner values."),
    Variable("DHANHQ_PARTNER_ID", Kind.TEXT, "", "Partner login: id."),
    Variable("DHANHQ_PARTNER_SECRET", Kind.SECRET, "", "Partner login: secret."),
    Variable("DHANHQ_LOG_LEVEL", Kind.TEXT, "INFO", "Log level of the broker connection.", ("DHAN_LOG_LEVEL",)),
    Variable("LOG_LEVEL", Kind.TEXT, "info", "Log level of everything else.", ("RAILS_LOG_LEVEL",)),
    Variable("PORT", Kind.COUNT, "3000", "Port of the page and the API on 127.0.0.1."),
    Variable("DATABASE_URL", Kind.SECRET, "", "PostgreSQL for both stores. Empty: two SQLite files under var/."),
    Variable(
        "ALGO_SCALPER_API_DATABASE_PASSWORD",
        Kind.SECRET,
        "",
        "The password DATABASE_URL leaves out. Alone it means the original's database: "
        "postgresql://algo_scalper_api@/algo_scalper_api_production on this machine.",
    ),
    Variable(
        "ALGO_SCALPER_KEY",
        Kind.SECRET,
        "",
        "Encrypts the kept token: 32 bytes in base64 (openssl rand -base64 32). Empty: var.key, made at need.",
    ),
    Variable(
        "REDIS_URL",
        Kind.SECRET,
        "",
        "Redis or Valkey (`redis://`, `rediss://` or `unix://`) to mirror prices, P&L and events to. Empty: no mirror.",
    ),
    Variable("DISABLE_TRADING_SERVICES", Kind.FLAG, "false", "True keeps every trading service off."),
    Variable("BACKTEST_MODE", Kind.FLAG, "false", "As DISABLE_TRADING_SERVICES."),
    Variable("SCRIPT_MODE", Kind.FLAG, "false", "As DISABLE_TRADING_SERVICES."),
)

BY_NAME: MappingProxyType[str, Variable] = MappingProxyType({variable.name: variable for variable in VARIABLES})
_OBEYED = frozenset(name for variable in VARIABLES for name in (variable.name, *variable.older))
_SECRETS = frozenset(
    name for variable in VARIABLES if variable.kind is Kind.SECRET for name in (variable.name, *variable.older)
)

IGNORED: MappingProxyType[str, str] = MappingProxyType(
    {
        "RAILS_ENV": "there is one kind of installation",
        "RAILS_MAX_THREADS": "the engine is one thread on purpose",
        "RAILS_MASTER_KEY": "no file is encrypted; secrets stand in .env",
        "WEB_CONCURRENCY": "the page is one process",
        "SOLID_QUEUE_IN_PUMA": "jobs run in the desk process",
        "JOB_CONCURRENCY": "jobs run in the desk process",
        "KAMAL_REGISTRY_PASSWORD": "nothing is deployed by Kamal",
        "PIDFILE": "a lock in the store keeps a second instance away",
        "ALLOC_PCT": "write size.outlay in algo.yml",
        "RISK_PER_TRADE_PCT": "write size.risk_per_trade in algo.yml",
        "DAILY_MAX_LOSS_PCT": "write limits.day_loss in algo.yml",
        "INDICATOR_PRESET": "write signal in algo.yml",
        "DHANHQ_ENABLED": "choose the market on the command line",
        "DHANHQ_API_TYPE": "the engine chooses the call it needs",
        "DHAN_API_TYPE": "the engine chooses the call it needs",
        "DHANHQ_MARKET_DEPTH_LEVEL": "the five levels of the full packet are what is used",
    }
)
"""Variables of the original that have no effect here, and why. They are named at start-up, never obeyed in silence."""

IGNORED_FAMILIES: MappingProxyType[str, str] = MappingProxyType(
    {
        "RAILS_": "it belonged to the web framework of the original; LOG_LEVEL and PORT are what is left of it",
        "KAMAL_": "nothing is deployed by Kamal; docs/tutorial/first-day.md starts the project by one command",
        "SOLID_QUEUE_": "jobs run in the desk process",
    }
)
"""Beginnings of names that have no effect either."""


class Setting(NamedTuple):
    """A value, and the place it comes from."""

    name: str
    value: str
    source: str

    @property
    def shown(self) -> str:
        """``"PAPER_MODE=true from .env line 5"``, secrets masked."""
        secret = self.name in _SECRETS and self.value
        return f"{self.name}={'***' if secret else self.value} from {self.source}"

    def __repr__(self) -> str:
        return f"Setting({self.shown})"


Source = Mapping[str, Setting]
"""One place's settings, by the name they are written under there."""


def resolve(name: str, sources: tuple[Source, ...]) -> Setting:
    """The rule of this module: the first source that says something, then the older names, then the default."""
    variable = BY_NAME[name]
    for written in (name, *variable.older):
        for source in sources:
            said = source.get(written)
            if said is not None and said.value:
                return Setting(name, said.value, said.source if written == name else f"{written} in {said.source}")
    return Setting(name, variable.default, DEFAULT_SOURCE)


class Settings:
    """The sources in order of precedence, and the values they come to."""

    def __init__(self, sources: tuple[Source, ...], notices: tuple[str, ...] = ()) -> None:
        self._sources = sources
        self.notices = notices
        """Sentences for start-up: what is ignored, what looks misspelt, whose file others can read."""

    def get(self, name: str) -> Setting:
        """The setting by the rule. ``name`` must be one of `VARIABLES`."""
        return resolve(name, self._sources)

    def text(self, name: str) -> str:
        """The value as text; empty when nobody said anything."""
        return self.get(name).value

    def flag(self, name: str) -> bool:
        """True or false; raises `ConfigError` for anything else, naming the place."""
        setting = self.get(name)
        truth = truth_of(setting.value)
        if truth is None:
            raise ConfigError(
                f"{setting.source}: {name}={setting.value!r} is neither true nor false; write one of them"
            )
        return truth

    def count(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds; raises `ConfigError` for anything else, naming the place."""
        setting = self.get(name)
        if not (setting.value.isascii() and setting.value.isdigit()) or not least <= int(setting.value) <= most:
            raise ConfigError(
                f"{setting.source}: {name}={setting.value!r} is not a whole number from {least} to {most}; correct it"
            )
        return int(setting.value)

    def all_said(self, name: str) -> tuple[Setting, ...]:
        """Every source that has the name, empty values too: for those who want agreement, not precedence."""
        return tuple(source[name] for source in self._sources if name in source)

    def explain(self) -> list[str]:
        """One line a variable: value, place, and the places that were overruled."""
        lines = []
        for variable in VARIABLES:
            chosen = self.get(variable.name)
            overruled = [
                said.source for said in self.all_said(variable.name) if said.value and said.source != chosen.source
            ]
            lines.append(chosen.shown + (f" (overrules {', '.join(overruled)})" if overruled else ""))
        return lines


def why_not_stored(name: str) -> str:
    """Why a known setting is not stored; empty when it may be.

    A stored address would be where the next start sends the token, and whoever may use the page could write it.
    """
    if BY_NAME[name].kind is Kind.SECRET:
        return "a secret is not kept among the settings; put it into .env, which only you can read"
    if name.endswith("_URL"):
        return "it says where the token is sent, or what is believed; put it into .env, which no page can write"
    return ""


def truth_of(text: str) -> bool | None:
    """True, false, or None for what is neither."""
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else None


def load_settings(
    environ: Mapping[str, str],
    env_file: Path,
    algo: AlgoConfig | None = None,
    stored: Mapping[str, str] | None = None,
) -> Settings:
    """Read all four sources. Raises `ConfigError` for a ``.env`` or a ``settings:`` part that cannot be read."""
    from_env_file = read_env_file(env_file)
    sources = (
        {name: Setting(name, value.strip(), ENVIRONMENT_SOURCE) for name, value in environ.items()},
        from_env_file,
        _from_algo(algo) if algo else {},
        {
            name: Setting(name, value.strip(), STORED_SOURCE)
            for name, value in (stored or {}).items()
            if name in BY_NAME and not why_not_stored(name)
        },
    )
    notices = [
        f"{said.name} from {said.source} has no effect here: {why_ignored(said.name)}" for said in _ignored(sources)
    ]
    notices += [_misspelt(said) for said in from_env_file.values() if not _known(said.name)]
    notices += _readable_by_others(env_file, from_env_file)
    return Settings(sources, tuple(notices))


def read_env_file(path: Path) -> dict[str, Setting]:
    """The lines of a ``.env``; an absent file is an empty one. Raises `ConfigError` naming the line."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path.name}: byte {problem.start} is not UTF-8; save the file as UTF-8") from problem
    except OSError as problem:
        raise ConfigError(f"{path.name}: cannot be read ({problem.strerror})") from problem
    found: dict[str, Setting] = {}
    for binding in bindings:
        place = f"{path.name} line {_first_line(binding.original.string, binding.original.line)}"
        if binding.error:
            raise ConfigError(f"{place}: not a NAME=value line: {binding.original.string.strip()[:40]!r}")
        if binding.key is None:
            continue  # a comment or an empty line
        if binding.key in found:
            raise ConfigError(f"{place}: {binding.key} is already on {found[binding.key].source}; keep one of the two")
        found[binding.key] = Setting(binding.key, (binding.value or "").strip(), place)
    return found


def _first_line(text: str, line: int) -> int:
    """The parser counts the blank lines before a binding as part of it."""
    return line + len(text) - len(text.lstrip("\n"))


def _from_algo(algo: AlgoConfig) -> dict[str, Setting]:
    found = {}
    for name, (value, line) in algo.settings.items():
        place = f"{algo.name} line {line}"
        variable = BY_NAME.get(name)
        if variable is None:
            near = difflib.get_close_matches(name, BY_NAME, n=1)
            meant = f"the nearest is {near[0]}" if near else "docs/reference/environment.md lists them"
            raise ConfigError(f"{place}: settings.{name}: no such variable; {meant}")
        if variable.kind is Kind.SECRET:
            raise ConfigError(f"{place}: settings.{name}: a secret does not belong in this file; put it into .env")
        if isinstance(value, bool):
            value = "true" if value else "false"  # noqa: PLW2901  # YAML has its own words for these
        if isinstance(value, tuple):
            raise ConfigError(f"{place}: settings.{name}: must be one value, not a list")
        found[name] = Setting(name, "" if value is None else str(value), place)
    return found


def _ignored(sources: tuple[Source, ...]) -> list[Setting]:
    return [said for source in sources for said in source.values() if why_ignored(said.name)]


def why_ignored(name: str) -> str:
    """Why a name has no effect; empty for one that has, or that nobody knows."""
    if name in _OBEYED:
        return ""
    family = next((why for beginning, why in IGNORED_FAMILIES.items() if name.startswith(beginning)), "")
    return IGNORED.get(name, family)


def _known(name: str) -> bool:
    return name in _OBEYED or bool(why_ignored(name))


def _misspelt(said: Setting) -> str:
    near = difflib.get_close_matches(said.name, BY_NAME, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{said.name} from {said.source} is not known here and has no effect{meant}"


def _readable_by_others(path: Path, found: Source) -> list[str]:
    secrets = [name for name in found if name in BY_NAME and BY_NAME[name].kind is Kind.SECRET and found[name].value]
    if secrets and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return [f"{path.name} holds secrets and other users of this machine can read it; run: chmod 600 {path.name}"]
    return []
