"""What is told to a person who has started a simulator: where everything is, and how clients are pointed at it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from algo_scalper.interfaces.simulator.account import SIMULATED, AccountFacts
from algo_scalper.interfaces.simulator.tls import trust_lines

HOST = "127.0.0.1"
"""The only address that is served."""


def pointing_lines(
    port: int, tls: Path | None = None, accounts: Sequence[AccountFacts] = (AccountFacts(),)
) -> list[str]:
    """How our engine and other Dhan clients are pointed here. ``tls``: the folder of certificates, when there is one."""
    secure = "s" if tls is not None else ""
    rest, sockets = f"http{secure}://{HOST}:{port}", f"ws{secure}://{HOST}:{port}"
    # The commands of this project speak plain http to a simulator, which is on their own machine.
    own: tuple[str, ...] = (
        f"  this engine:       scalper run --sim-url {rest}",
        f"  shell commands:    scalper ltp NIFTY --sim-url {rest}",
    )
    if any((one.client_id, one.token) != (SIMULATED, SIMULATED) for one in accounts[:1]):
        words = f"DHANHQ_CLIENT_ID={accounts[0].client_id} DHANHQ_ACCESS_TOKEN=... DHANHQ_BASE_URL={rest}/v2"
        own = (f"  this engine:       {words} scalper run --market dhan",)
    return [
        *(own if tls is None else ()),
        *(f"  client id, token:  {one.client_id}, {_token(one)}" for one in accounts),
        f"  other clients:     REST {rest}/v2   feed {sockets}/feed   orders {sockets}/order-updates",
        f"  depth:             {sockets}/twentydepth   {sockets}/twohundreddepth",
        "  official SDK:      set its URL constants to these (docs/how-to/point-a-client-at-the-simulator.md)",
        f"  status and faults: {rest}/ in a browser; {rest}/sim/status, POST {rest}/sim/faults; scalper fault",
        *(trust_lines(tls) if tls is not None else ()),
    ]


def _token(account: AccountFacts) -> str:
    """A person's own word is not repeated."""
    return SIMULATED if account.token == SIMULATED else "as in its file"
