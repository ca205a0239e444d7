"""The jobs beside the page: what they tell people goes to the notices and to the terminal."""

from __future__ import annotations

from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.interfaces.api.health import health
from algo_scalper.interfaces.api.settings import DeskSettings
from algo_scalper.runtime.jobs.runner import JobRunner
from algo_scalper.runtime.publish import Notice, StreamReader

STARTING_NS = 2 * NS_PER_MINUTE
"""An engine that was never heard is no trouble for so long: it fetches the master and warms up."""


async def run_jobs(jobs: JobRunner, settings: DeskSettings, reader: StreamReader) -> None:
    """Run them until cancelled."""
    began_ns = settings.clock.now_ns()

    def tell(level: str, text: str) -> None:
        settings.print_line(text if level == "info" else f"{level.upper()}: {text}")
        reader.tell(Notice(settings.clock.now_ns(), level, "job", text))

    def troubles() -> list[str]:
        engine = settings.engine_state()
        never_heard = reader.age_ns is None and settings.clock.now_ns() - began_ns < STARTING_NS
        if never_heard or engine.state == "stopped":  # its own end, with code 0, is the end of the day
            return []
        _, body = health(
            reader.replica.day,
            age_ns=reader.age_ns,
            engine=engine,
            version=settings.version,
            market=settings.market,
            money=settings.money,
            mirror=settings.mirror_view,
        )
        return list(body["troubles"])

    try:
        await jobs.run(tell, troubles)
    finally:
        await jobs.close()
