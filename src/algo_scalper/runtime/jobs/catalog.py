"""Job: the instrument master into the catalog, early enough for a person to look at what changed."""

from __future__ import annotations

from algo_scalper.runtime.catalog_import import Outcome, import_catalog, import_settings
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told


async def import_instruments(ground: Ground, _: Due) -> Told:
    """Ask the server, whatever the age of our copy: lots and expiries of today are in today's file."""
    how = import_settings(ground.settings, ground.data_dir, ground.indices)
    report = await import_catalog(ground.stores.catalog, how, ground.clock, fresh=True)
    if report.outcome is Outcome.REFUSED:
        return Told(
            Light.RED,
            f"the file is refused and the old catalog stays: {'; '.join(report.objections)}; see: scalper instruments status",
        )
    if report.outcome is Outcome.UNCHANGED:
        return Told(
            Light.GREEN, f"unchanged: {report.instrument_total:,} instruments, {report.derivative_total:,} contracts"
        )
    said = (
        f"{report.instrument_total:,} instruments, {report.derivative_total:,} contracts, {len(report.changes)} changes"
    )
    waiting = sorted({change.underlying for change in report.changes if change.waits})
    if waiting:
        names = ", ".join(waiting)
        return Told(Light.AMBER, f"{said}; ENTRIES in {names} wait for you: scalper instruments accept {waiting[0]}")
    return Told(Light.GREEN, said)
