"""What may be stored as a setting: known names, values that can be read, and nothing that opens a door.

Secrets and addresses are refused (`settings.why_not_stored`): both belong into ``.env``.
"""

from __future__ import annotations

import difflib
from types import MappingProxyType

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import Exchange
from algo_scalper.runtime.settings import BY_NAME, VARIABLES, Kind, truth_of, why_ignored, why_not_stored
from algo_scalper.runtime.watchlist import parse_list

BOUNDS: MappingProxyType[str, tuple[int, int]] = MappingProxyType(
    {
        "PORT": (1, 65_535),
        "CACHE_MAX_AGE": (0, 7 * 86_400),
        "BATCH_SIZE": (1, 100_000),
        "DHANHQ_WS_VERSION": (1, 9),
    }
)
CHOICES: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "DHANHQ_WS_MODE": ("ticker", "quote", "full"),
        "DHANHQ_WS_USER_TYPE": ("SELF", "PARTNER"),
        "LOG_LEVEL": ("debug", "info", "warning", "error", "critical"),
        "DHANHQ_LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    }
)
MONEY_WORDS = ("PAPER_MODE", "ENABLE_ORDER")
MONEY_RULE = (
    "which money is traded is asked of every place and all must agree: a stored value alone never makes it live"
)


def known_setting(name: str) -> str:
    """The name as it is stored. Raises `ConfigError` naming the nearest, or why it has no effect."""
    wanted = name.strip().upper()
    if wanted in BY_NAME:
        return wanted
    newer = next((variable.name for variable in VARIABLES if wanted in variable.older), "")
    if newer:
        raise ConfigError(f"{wanted} is an older name; the setting is {newer}")
    ignored = why_ignored(wanted)
    if ignored:
        raise ConfigError(f"{wanted} has no effect here: {ignored}")
    near = difflib.get_close_matches(wanted, BY_NAME, n=1)
    meant = f"the nearest is {near[0]}" if near else "scalper settings list prints what there is"
    raise ConfigError(f"{name}: no such setting; {meant}")


def stored_value(name: str, value: str) -> str:
    """The value as it is stored, in one spelling. Raises `ConfigError` naming the setting and the remedy."""
    said = value.strip()
    refused = why_not_stored(name)
    if refused:
        raise ConfigError(f"{name} is not stored: {refused}")
    if not said:
        raise ConfigError(
            f"{name}: an empty value says nothing; take the stored one back with: scalper settings unset {name}"
        )
    kind = BY_NAME[name].kind
    if kind is Kind.FLAG:
        truth = truth_of(said)
        if truth is None:
            raise ConfigError(f"{name}={said!r} is neither true nor false; write one of them")
        return "true" if truth else "false"
    if kind is Kind.COUNT:
        least, most = BOUNDS[name]
        if not (said.isascii() and said.isdigit()) or not least <= int(said) <= most:
            raise ConfigError(f"{name}={said!r} is not a whole number from {least} to {most}; correct it")
        return str(int(said))
    if name == "DHANHQ_WS_WATCHLIST":
        parse_list(said, name)  # which may go over several lines
    elif not said.isprintable():
        raise ConfigError(f"{name}={said!r} holds a character that cannot be printed; type it anew")
    if name == "VALID_EXCHANGES":
        return ",".join(exchanges_in(said))
    choices = CHOICES.get(name)
    if choices is None:
        return said
    if said.lower() not in {choice.lower() for choice in choices}:
        raise ConfigError(f"{name}={said!r} is not one of {', '.join(choices)}; write one of these")
    return next(choice for choice in choices if choice.lower() == said.lower())


def exchanges_in(text: str) -> tuple[str, ...]:
    """``VALID_EXCHANGES`` as names, each once. Raises `ConfigError` for one whose rows are not read."""
    names = tuple(sorted({word.strip().upper() for word in text.split(",") if word.strip()}))
    unknown = [name for name in names if name not in Exchange.__members__]
    if unknown or not names:
        raise ConfigError(
            f"VALID_EXCHANGES={text!r}: {', '.join(unknown) or 'nothing'} is not read here; write NSE,BSE"
        )
    return names
