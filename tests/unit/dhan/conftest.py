"""Which event loops the tests of a module run on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping

import pytest

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Modules that say ``BOTH_LOOPS = True`` run on asyncio's own loop and on uvloop, as the engine does."""
    factories: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    module = item.getparent(pytest.Module)
    if sys.platform != "win32" and module is not None and getattr(module.obj, "BOTH_LOOPS", False):
        import uvloop  # noqa: PLC0415 - not installed on Windows

        factories["uvloop"] = uvloop.new_event_loop
    return factories
