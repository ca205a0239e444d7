"""All checks in the order people read them."""

from __future__ import annotations

from algo_scalper.runtime.doctor import at_the_broker as broker
from algo_scalper.runtime.doctor import on_this_machine as machine
from algo_scalper.runtime.doctor.checkup import Check, Checkup, Surroundings, run_checks
from algo_scalper.runtime.doctor.lines import Line

AT_THE_BROKER: tuple[tuple[str, Check[Checkup]], ...] = (
    ("token", broker.token),
    ("account", broker.account),
    ("data plan", broker.data_plan),
    ("segments", broker.segments),
    ("static IP", broker.static_ip),
    ("funds", broker.money),
    ("kill switch", broker.kill_switch),
    ("P&L exit", broker.pnl_exit),
    ("foreign orders", broker.others_hands),
    ("clock", broker.clock_gap),
    ("catalogue", broker.master),
)
ON_THIS_MACHINE: tuple[tuple[str, Check[Surroundings]], ...] = (
    ("settings", machine.settings),
    ("session", machine.session),
    ("stores", machine.databases),
    ("redis", machine.redis),
    ("disk", machine.disk),
    ("permissions", machine.permissions),
    ("versions", machine.versions),
    ("running costs", machine.costs),
)


async def examine(at: Checkup) -> list[Line]:
    """The account at the broker. Nothing is changed there; no check hides another."""
    try:
        return await run_checks(at, AT_THE_BROKER)
    finally:
        await at.broker.close()


async def examine_machine(at: Surroundings) -> list[Line]:
    """This machine. Nothing is changed here; no check hides another."""
    return await run_checks(at, ON_THIS_MACHINE)
