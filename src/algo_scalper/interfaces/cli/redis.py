"""``scalper redis``: is the mirror's server there, and what is in it. Looks only; nothing is written.

Exit codes: 0 it answers, or the key is there; 1 it does not, or there is none; 2 a setting is wrong.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer

from algo_scalper.adapters.redis_server import SHOWN_ENTRIES, Facts, RedisServer, RedisTrouble, Shown
from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.settings import load_settings

NOT_THERE = 1
_T = TypeVar("_T")


def run_ping(config: Path, *, as_json: bool) -> None:
    """Print how the server does; exit code 1 when it does not answer."""
    server = _server(config)
    facts = _asked(server, RedisServer.facts)
    if as_json:
        _print_json({"where": server.where, **facts._asdict(), "full": facts.is_full})
    else:
        typer.echo(f"{server.where} answers in {facts.answered_ms:.1f} ms: {facts.said}{_room(facts)}")


def run_show(key: str, config: Path, *, as_json: bool) -> None:
    """Print a key, or the keys of a pattern with ``*``; exit code 1 when there is none."""
    server = _server(config)
    if any(sign in key for sign in "*?["):
        found = _asked(server, lambda asked: asked.keys(key))
        if as_json:
            _print_json(found)
        elif found:
            typer.echo("\n".join(found))
        _end_without(key, there=bool(found), where=server.where)
        return
    shown = _asked(server, lambda asked: asked.show(key))
    if shown is not None:
        if as_json:
            _print_json(shown._asdict())
        else:
            typer.echo("\n".join(_lines(shown)))
    _end_without(key, there=shown is not None, where=server.where)


def _server(config: Path) -> RedisServer:
    # A secret is never stored among the settings, so no database has to be asked, which may be what is wrong.
    algo = load_algo(config) if config.exists() else None
    url = load_settings(os.environ, Path(".env"), algo).text("REDIS_URL")
    if not url:
        raise ConfigError("REDIS_URL is empty: no mirror is asked for; set it, as redis://127.0.0.1:6379/0")
    return RedisServer(url)


def _asked(server: RedisServer, question: Callable[[RedisServer], Awaitable[_T]]) -> _T:
    async def ask() -> _T:
        try:
            return await question(server)
        finally:
            await server.close()

    try:
        return asyncio.run(ask())
    except RedisTrouble as trouble:
        typer.echo(f"{trouble.standing}: {trouble}", err=True)
        sys.exit(NOT_THERE)


def _end_without(key: str, *, there: bool, where: str) -> None:
    if not there:
        typer.echo(f"no {key} at {where}", err=True)
        sys.exit(NOT_THERE)


def _room(facts: Facts) -> str:
    if facts.is_full:
        return "; FULL: it refuses writes (maxmemory reached, maxmemory-policy noeviction)"
    return ""


def _lines(shown: Shown) -> list[str]:
    left = "never expires" if shown.expires_s is None else f"expires in {shown.expires_s:.0f} s"
    lines = [f"{shown.key}   {shown.kind}, {left}"]
    if isinstance(shown.value, dict):
        width = max(map(len, shown.value), default=0)
        lines += [f"  {name:<{width}}  {value}" for name, value in shown.value.items()]
    elif shown.kind == "stream":
        lines[0] += f"; the newest {SHOWN_ENTRIES}"
        for entry, fields in shown.value:
            lines.append(f"  {entry}  {'  '.join(f'{name}={value}' for name, value in fields.items())}")
    elif isinstance(shown.value, str):
        lines.append(f"  {shown.value}")
    elif shown.value is not None:
        lines += [f"  {value}" for value in shown.value]
    return lines


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.encode(value).decode())
