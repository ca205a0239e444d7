"""What is told to a person who has started a simulator: where everything is, and how clients are pointed at it."""

from __future__ import annotations

from pathlib import Path

from algo_scalper.interfaces.simulator.tls import trust_lines

HOST = "127.0.0.1"
"""The only address that is served."""


def pointing_lines(port: int, tls: Path | None = None) -> list[str]:
    """How our engine and other Dhan clients are pointed here. ``tls``: the folder of certificates, when there is one."""
    secure = "s" if tls is not None else ""
    rest, sockets = f"http{secure}://{HOST}:{port}", f"ws{secure}://{HOST}:{port}"
    # The commands of this project speak plain http to a simulator, which is on their own machine.
    own = [
        f"  this engine:       scalper run --sim-url {rest}",
        f"  shell commands:    scalper ltp NIFTY --sim-url {rest}",
    ]
    return [
        *(own if tls is None else ()),
        "  client id, token:  SIMULATED, SIMULATED",
        f"  other clients:     REST {rest}/v2   feed {sockets}/feed   orders {sockets}/order-updates",
        f"  depth:             {sockets}/twentydepth   {sockets}/twohundreddepth",
        "  official SDK:      set its URL constants to these (docs/how-to/point-a-client-at-the-simulator.md)",
        f"  status and faults: {rest}/ in a browser; {rest}/sim/status, POST {rest}/sim/faults; scalper fault",
        *(trust_lines(tls) if tls is not None else ()),
    ]
