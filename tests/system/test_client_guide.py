"""The client guide is run: every example of ``docs/client`` as a script against a simulator, its output as printed there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from algo_scalper.adapters.dhan import failures
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.domain.errors import BrokerError
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.runtime.clock import SystemClock
from tests.architecture.source_files import ROOT
from tests.unit.simulator.stage import world_of

GUIDE = ROOT / "docs" / "client"
ADDRESS = "127.0.0.1:9200"
"""Where the examples expect a simulator; each is given one of its own."""
PATIENCE_S = 40.0
_ANY_LINES = r"(?:[^\n]*\n)*"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(msgspec.Struct, frozen=True):
    """A script of the guide and what it prints; ``...`` in it stands for anything, alone on a line for any lines."""

    page: str
    number: int
    code: str
    printed: str | None

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"

    def prints(self, output: str) -> bool:
        """Is this output the one on the page?"""
        shown = (self.printed or "").strip().splitlines()
        lines = [_ANY_LINES if line == "..." else re.escape(line).replace(r"\.\.\.", "[^\n]*") + "\n" for line in shown]
        return re.fullmatch("".join(lines), output.strip() + "\n") is not None


def examples_in(page: str, text: str) -> Iterator[Example]:
    """The ``python`` blocks of a page, each with the ``text`` block that follows it."""
    blocks = FENCE.findall(text)
    number = 0
    for at, (language, code) in enumerate(blocks):
        if language == "python":
            number += 1
            shown = blocks[at + 1][1] if at + 1 < len(blocks) and blocks[at + 1][0] == "text" else None
            yield Example(page, number, code, shown)


@lru_cache(maxsize=1)
def pages() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(GUIDE.glob("*.md"))}


def examples() -> list[Example]:
    return [example for page, text in pages().items() for example in examples_in(page, text)]


def at_port(code: str, port: int) -> str:
    """The script with another simulator's address."""
    named = code.replace("DhanSettings.simulator()", f'DhanSettings.simulator("http://{ADDRESS}")')
    return named.replace(ADDRESS, f"127.0.0.1:{port}")


async def run(example: Example, folder: Path) -> tuple[int, str, str]:
    """Exit code, output and complaints of an example in a process of its own, with a fresh simulator."""
    server = SimulatorServer(world_of(after_open_s=2_700), SimulatorConfig(port=0), SystemClock())
    await server.start()
    try:
        script = folder / "example.py"
        script.write_text(at_port(example.code, server.port), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(script)),
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, complaints = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            output, complaints = await process.communicate()
            complaints += f"\nkilled after {PATIENCE_S:.0f} s".encode()
        assert process.returncode is not None
        return process.returncode, output.decode(), complaints.decode()
    finally:
        await server.stop()


@pytest.mark.parametrize("example", examples(), ids=str)
async def test_an_example_runs_and_prints_what_its_page_shows(example: Example, tmp_path: Path) -> None:
    code, output, complaints = await run(example, tmp_path)
    assert code == 0, f"{example} ended with {code}\n{output}\n{complaints}"
    assert not complaints.strip(), f"{example} complained\n{complaints}"
    assert example.prints(output), f"{example} printed\n{output}\nand its page shows\n{example.printed}"


@pytest.mark.parametrize("page", pages())
def test_every_page_has_an_example_and_every_example_its_output(page: str) -> None:
    found = list(examples_in(page, pages()[page]))
    assert found, f"docs/client/{page}.md has no ```python block"
    silent = [str(example) for example in found if not (example.printed or "").strip(" .\n")]
    assert not silent, f"show what they print, in a ```text block behind each: {silent}"


def test_every_method_of_the_client_is_used_in_an_example_or_named() -> None:
    methods = [name for name, _ in inspect.getmembers(DhanClient, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) > 40
    text = "\n".join(pages().values())
    missing = [name for name in methods if not re.search(rf"(?:dhan\.|`){name}\b", text)]
    assert not missing, f"no page of docs/client shows or names these methods of DhanClient: {missing}"


def test_every_endpoint_is_named() -> None:
    text = "\n".join(pages().values())
    missing = [endpoint.name for endpoint in ENDPOINTS if f"`{endpoint.name}`" not in text]
    assert not missing, f"no page of docs/client names these rows of the endpoint table: {missing}"


def test_the_table_of_errors_is_the_tree() -> None:
    tree = [
        name
        for name, one in inspect.getmembers(failures, inspect.isclass)
        if issubclass(one, BrokerError) and one is not BrokerError
    ]
    listed = re.findall(r"^\| `(\w+)` \|", pages()["errors"], re.MULTILINE)
    assert sorted(listed) == sorted(tree)
    remedies = [remedy for remedy in failures.REMEDY.values() if remedy not in pages()["errors"]]
    assert not remedies, f"docs/client/errors.md does not give these remedies: {remedies}"


def test_every_page_is_linked_from_the_overview() -> None:
    unlinked = [page for page in pages() if page != "README" and f"({page}.md)" not in pages()["README"]]
    assert not unlinked
    assert "client/README.md" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")


def test_no_example_can_reach_the_live_service() -> None:
    for example in examples():
        made = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(example.code))
            if isinstance(node, ast.Call) and "DhanSettings" in ast.unparse(node.func)
        ]
        assert made, f"{example} has no settings"
        assert set(made) == {"DhanSettings.simulator"}, f"{example} leaves addresses at the live service"


LOADED = """
import pkgutil, sys
import algo_scalper.adapters.dhan as dhan, algo_scalper.runtime.clock, algo_scalper.runtime.market_clock
for module in pkgutil.iter_modules(dhan.__path__):
    __import__(f"{dhan.__name__}.{module.name}")
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("algo_scalper.")}))
"""


async def test_the_client_loads_nothing_of_the_engine() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LOADED, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().split() == ["adapters", "domain", "runtime"]


BROKEN = {
    "an exception": ("raise SystemExit(3)", "", 3, False),
    "other words": ("print('Rs 5.00')", "Rs 6.00", 0, False),
    "a line too many": ("print('one\\ntwo')", "one", 0, False),
    "anything where the page says so": ("print('Rs 5.00 today')", "Rs ... today", 0, True),
    "any lines where the page says so": ("print('one\\ntwo\\nthree')", "one\n...\nthree", 0, True),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_example_is_seen(name: str, tmp_path: Path) -> None:
    code, printed, ends, fits = BROKEN[name]
    (example,) = examples_in("made_up", f"# Page\n\n```python\n{code}\n```\n\n```text\n{printed}\n```\n")
    ended, output, _ = await run(example, tmp_path)
    assert (ended, example.prints(output)) == (ends, fits)
