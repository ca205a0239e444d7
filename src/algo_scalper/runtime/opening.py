"""The first event of a session: rules, day, contracts, and our own books as they were last committed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import date

from algo_scalper import __version__
from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.events import SessionStarted
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.ports import Restored
from algo_scalper.domain.rules import Rules
from algo_scalper.runtime.source_hash import source_hash

NOTHING_RESTORED = Restored(positions=(), orders=(), ledger=None, soft=None, standing_halt="")


def account_tag(account: str) -> str:
    """Six letters that begin every correlation id of this account: ``AS`` and four of its hash."""
    digest = hashlib.sha256(account.encode()).digest()
    return "AS" + base64.b32encode(digest)[:4].decode()


def opening_event(
    at_ns: int,
    account: str,
    epoch: int,
    day: date,
    rules: Rules,
    contracts: Sequence[Contract],
    previous_close_paise: dict[int, int],
    *,
    market: str = "SIMULATED",
    money: str = "PAPER",
    restored: Restored = NOTHING_RESTORED,
    week_before_paise: int = 0,
) -> SessionStarted:
    """`SessionStarted` with only the contracts the rules can trade: the indices' own, in their order."""
    traded = {index.name for index in rules.indices}
    held = {position.key for position in restored.positions}
    return SessionStarted(
        at_ns=at_ns,
        account=account,
        tag=account_tag(account),
        epoch=epoch,
        code_version=__version__,
        source_hash=source_hash(),
        day=day,
        market=market,
        money=money,
        rules=rules,
        contracts=tuple(c for c in contracts if c.underlying in traded or c.key in held),
        previous_close_paise=previous_close_paise,
        ledger=restored.ledger or DayLedger(day=day, week_before_paise=week_before_paise),
        positions=restored.positions,
        orders=restored.orders,
        soft=restored.soft,
        standing_halt=restored.standing_halt,
    )
