"""What goes to the log, and at which level: the broker connection's by DHANHQ_LOG_LEVEL, all else by LOG_LEVEL."""

from __future__ import annotations

import logging
from collections.abc import Callable

from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.settings import Settings

DHAN_LOG = "algo_scalper.adapters.dhan"
LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


class Masking(logging.Filter):
    """Takes our secrets out of every line, whoever wrote it."""

    def __init__(self, masked: Callable[[str], str]) -> None:
        super().__init__()
        self._masked = masked

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, its text and its traceback masked."""
        record.msg, record.args = self._masked(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._masked(record.exc_text)  # what a formatter finds here it does not format again
        return True


def set_up_logs(settings: Settings, masked: Callable[[str], str]) -> None:
    """One line per record on standard error. Raises `ConfigError` for a level that is not one."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Masking(masked))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_level(settings, "LOG_LEVEL"))
    logging.getLogger(DHAN_LOG).setLevel(_level(settings, "DHANHQ_LOG_LEVEL"))


def _level(settings: Settings, name: str) -> int:
    said = settings.get(name)
    level = LEVELS.get(said.value.upper())
    if level is None:
        raise ConfigError(f"{said.source}: {name}={said.value!r} is not known; write one of {', '.join(LEVELS)}")
    return level
