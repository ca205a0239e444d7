"""Only ``runtime/clock.py`` knows or waits for wall time; tests never sleep."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source_files import Source, sources

THE_CLOCK = "src/algo_scalper/runtime/clock.py"
"""The one module that may ask the machine for the time and wait for it."""

TIME_IS_MEASURED = {"perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "thread_time_ns"}
"""Durations of our own work. They cannot be mistaken for a time of day.

``asyncio.timeout`` is not looked for: a bound on a network answer is a matter of the machine, not of the market.
"""


def wall_time_in(source: Source) -> Iterator[str]:
    """Every use of wall time in a file, as ``name:line what``."""
    from_time: set[str] = set()
    from_asyncio: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            from_time |= {alias.asname or alias.name for alias in node.names if alias.name not in TIME_IS_MEASURED}
        elif isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            from_asyncio |= {alias.asname or alias.name for alias in node.names if alias.name == "sleep"}
        elif isinstance(node, ast.Attribute):
            yield from _banned_attribute(source.name, node)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id in from_time | from_asyncio:
            yield f"{source.name}:{node.lineno} {node.id}"


def _banned_attribute(name: str, node: ast.Attribute) -> Iterator[str]:
    owner = _last_name(node.value)
    banned = (
        (owner == "time" and isinstance(node.value, ast.Name) and node.attr not in TIME_IS_MEASURED)
        or (owner.endswith("loop") and node.attr in {"time", "call_later", "call_at"})
        or (owner in {"datetime", "date"} and node.attr in {"now", "utcnow", "today"})
        or (owner == "asyncio" and node.attr == "sleep")
    )
    if banned:
        yield f"{name}:{node.lineno} {owner}.{node.attr}"


def _last_name(node: ast.expr) -> str:
    """``loop`` of ``self._loop``, ``asyncio.get_running_loop()`` and ``loop`` alike."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return ""


def test_wall_time_is_known_to_the_clock_alone() -> None:
    found = [use for source in sources("src") if source.name != THE_CLOCK for use in wall_time_in(source)]
    assert not found, "ask the Clock passed in:\n" + "\n".join(found)


def test_tests_do_not_sleep() -> None:
    found = [use for source in sources("tests") for use in sleeps_in(source)]
    assert not found, "wait for an event or move a virtual clock:\n" + "\n".join(found)


def sleeps_in(source: Source) -> Iterator[str]:
    """Calls of any ``sleep`` but ``asyncio.sleep(0)``, which is one turn of the loop and takes no time."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == "sleep":
            turn = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
            if not turn:
                yield f"{source.name}:{node.lineno} sleep"


@pytest.mark.parametrize(
    ("text", "asleep"),
    [
        ("await asyncio.sleep(0)", False),
        ("await asyncio.sleep(0.01)", True),
        ("time.sleep(1)", True),
        ("await sleep(delay)", True),
    ],
)
def test_a_sleep_is_seen(text: str, asleep: bool) -> None:
    tree = ast.parse(f"async def f():\n    {text}")
    assert bool(list(sleeps_in(Source("made_up.py", text, tree)))) is asleep


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.time_ns()",
        "import time\ntime.sleep(1)",
        "from time import monotonic\nmonotonic()",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)",
        "from asyncio import sleep\nasync def f():\n    await sleep(0)",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import asyncio\nasyncio.get_running_loop().time()",
        "def f(self):\n    self._loop.call_later(1, print)",
    ],
)
def test_each_way_to_read_a_clock_is_seen(text: str) -> None:
    assert list(wall_time_in(Source("made_up.py", text, ast.parse(text))))


@pytest.mark.parametrize(
    "text",
    ["import time\ntime.perf_counter_ns()", "def f(tick):\n    return tick.time", "x = clock.now_ns()"],
)
def test_other_words_are_not_mistaken_for_a_clock(text: str) -> None:
    assert not list(wall_time_in(Source("made_up.py", text, ast.parse(text))))
