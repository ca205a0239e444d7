"""The page `docs/reference/simulator-realism.md`: every row measured, judged and explained.

    python -m algo_scalper.research.realism docs/reference/simulator-realism.md

Ten sets of twenty days in two processes, about three minutes; the same code gives the same page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import isnan, nan
from multiprocessing import get_context
from statistics import median

import msgspec

from algo_scalper.domain.errors import DataError
from algo_scalper.research.realism.days import COUNT, POOL, seeds_of, twenty_days
from algo_scalper.research.realism.observe import observe
from algo_scalper.research.realism.rows import INSIDE, OUT, WITHIN, Row, near, rows, sample_of, verdict

SETS = 10
"""How many sets of twenty days: one alone leaves now these rows out, now others. None of them is chosen.

Over ten of them each day of the week, and so each distance to expiry, has every part of volatility twice.
"""
PROCESSES = 2

CAUSES: dict[tuple[str, str], str] = {
    ("1. NIFTY's prints", "moves of nothing"): (
        "the index stood at 14,800 when prints were recorded and stands near 25,000 here, where its tick of 0.05 is a finer "
        "one; the same simulated walk on the ticks of 14,800 stands still in .05."
    ),
}
"""Why a row is out, by its section and text. A row that is out and has no sentence here is an error."""

LEFT_OUT = (
    ("VIX's half-life of 37 days, the term structure of one calm day", "every synthetic day is drawn for itself"),
    ("The recorder's polling gap and repeated snapshots", "they are the recorder's, not the market's"),
    ("Expiries beyond the third, futures, FINNIFTY's books", "not simulated, or never measured"),
    ("Worst days", "they are played from recordings"),
)


class Judged(msgspec.Struct, frozen=True):
    """A row with what each set of simulated days gave."""

    row: Row
    by_set: tuple[float, ...]

    @property
    def simulated(self) -> float:
        """The median of the sets; nan when one of them has no figure."""
        return nan if any(map(isnan, self.by_set)) else median(self.by_set)

    @property
    def verdict(self) -> str:
        """On the median."""
        return verdict(self.row, self.simulated)

    @property
    def sets_out(self) -> list[bool]:
        """Would the set alone be out?"""
        return [verdict(self.row, value) == OUT for value in self.by_set]


def simulate(sets: int = SETS) -> list[list[float]]:
    """The figure of every row, by set: the first ``sets`` of them, in two processes."""
    with get_context("spawn").Pool(PROCESSES) as pool:
        return pool.map(measure, range(sets), chunksize=1)


def measure(number: int) -> list[float]:
    """The figure of every row over the twenty days of one set."""
    sample = sample_of([observe(day, seed) for day, seed in twenty_days(number)])
    return [row.read(sample) for row in rows()]


def judge(measured: Sequence[Sequence[float]]) -> list[Judged]:
    """Every row with its verdict, of the figures of all rows by set."""
    return [Judged(row, tuple(values)) for row, values in zip(rows(), zip(*measured, strict=True), strict=True)]


def rows_out(judged: Sequence[Judged]) -> list[int]:
    """How many rows each set alone would leave out."""
    return [sum(out) for out in zip(*(one.sets_out for one in judged), strict=True)]


def figure(value: float) -> str:
    """Three digits that count: 0.0214, 3.63, 1,610, 98.0 M."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g} M"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


def page(judged: Sequence[Judged]) -> str:
    """The page as Markdown. A row that is out and has no named cause is a `DataError`."""
    counts = {word: sum(one.verdict == word for one in judged) for word in (INSIDE, WITHIN, OUT)}
    far = sum(one.verdict == INSIDE and not near(one.row.real, one.simulated) for one in judged)
    beside = [one for one in judged if one.verdict == WITHIN and one.row.range is not None]
    by_set = rows_out(judged)
    lines = [
        "<!-- Written by `python -m algo_scalper.research.realism`. Change the market, then run it again. -->",
        "",
        "# How real the simulated market is",
        "",
        f"{len(judged)} statistics of recorded Indian index options markets beside what simulated days give, as a client sees",
        f"them: quotes, index prints, bars, chains. A simulated figure is the median of {len(by_set)} independent sets of twenty days.",
        f"**{counts[INSIDE]} inside** the range of real days, **{counts[WITHIN]} within 25 %** of the real figure,",
        f"**{counts[OUT]} out**.",
        "",
        "Any one set of twenty days leaves some rows out, now these, now others, as twenty real days would: by its making a",
        f"range leaves out one real day in five. Of these sets the best leaves {min(by_set)} rows out, the middle one",
        f"{figure(median(by_set))}, the worst {max(by_set)}.",
        "",
        "    python -m algo_scalper.research.realism docs/reference/simulator-realism.md",
        "",
        "makes this page in about three minutes on two cores; the same code makes the same page. `--sets N` takes more or",
        "fewer sets.",
        "",
        "## How to read it",
        "",
        "- *Real* is the measured figure, *p10-p90* its range over real days where there is one: over days, or for what only",
        "  many days have (a standard deviation of gaps, a correlation) over runs of twenty of them.",
        "- *Simulated* is read off each set the same way; it is the median of the sets, and the least and the greatest of them",
        "  stand beside it. *Sets out*: how many sets would be OUT by themselves.",
        "- The verdict is on the median: *inside* the range, else *within 25 %* of the real figure, else OUT. Ranges that the",
        "  measurements give with the figure (the session's volatility, volatility at the money at the close) have no else.",
        f"- {far} of the rows inside are more than 25 % from the figure: tails, rare minutes, shares and totals that scatter",
        f"  widely over real days. {len(beside)} of the rows within 25 % lie beside a range; they are listed below.",
        "- The number before a heading's title is the section of the measurements.",
        "- Real days: NIFTY by the minute 2024 and early 2026, BANKNIFTY 2024 (ranges: 2018-23 and 2021), ticks of 2021, whole",
        "  chains every 65 seconds of one day in August 2025, the exchange's day files and Dhan's rolling at-the-money minutes",
        "  of early 2026. None of that data is part of this repository.",
        "- Books, sizes and spreads come from one recorded day in August 2025 with India VIX at 11.8: rows about the money are",
        "  read where the simulated premium, or the volatility left to expiry, is near that day's.",
        "- `iv over ATM at u`: implied volatility over that at the money, where u = ln(K/F) / (ATM volatility x root of time).",
        "- Minutes beyond so many standard deviations are counted after time of day and the day's own volatility are taken out.",
        "",
        *_out_lines([one for one in judged if one.verdict == OUT]),
        *_beside_lines(beside),
        *_set_lines(by_set),
        "## Not in the table",
        "",
        *(f"- {what}: {why}." for what, why in LEFT_OUT),
        "",
        "## The table",
    ]
    for section, group in groupby(judged, key=lambda one: one.row.section):
        lines += ["", f"### {section}", ""]
        lines += [
            "| | real | p10-p90 | simulated | least to greatest | sets out | |",
            "|---|---:|---:|---:|---:|---:|---|",
        ]
        lines += [_line(one) for one in group]
    return "\n".join(lines) + "\n"


def _line(one: Judged) -> str:
    known = f"{figure(one.row.range[0])} to {figure(one.row.range[1])}" if one.row.range else ""
    spread = f"{figure(min(one.by_set))} to {figure(max(one.by_set))}"
    out = str(sum(one.sets_out) or "")
    cells = (one.row.text, figure(one.row.real), known, figure(one.simulated), spread, out, one.verdict)
    return f"| {' | '.join(cells)} |"


def _out_lines(out: Sequence[Judged]) -> Iterator[str]:
    yield from ("## Rows that are out", "")
    if not out:
        yield from ("None.", "")
        return
    for one in out:
        cause = CAUSES.get((one.row.section, one.row.text))
        if cause is None:
            raise DataError(
                f"{one.row.section}: {one.row.text} is out ({figure(one.simulated)} for {figure(one.row.real)}) and no "
                "cause is named; mend the market or name it in CAUSES"
            )
        yield f"- *{one.row.section}: {one.row.text}*, {figure(one.simulated)} for {figure(one.row.real)}: {cause}"
    yield ""


def _beside_lines(beside: Sequence[Judged]) -> Iterator[str]:
    yield from ("## Rows beside their range, within 25 %", "")
    for one in beside:
        assert one.row.range is not None
        low, high = map(figure, one.row.range)
        yield (
            f"- *{one.row.section}: {one.row.text}*, {figure(one.simulated)} for {figure(one.row.real)}, "
            f"real days {low} to {high}"
        )
    yield ""


def _set_lines(by_set: Sequence[int]) -> Iterator[str]:
    """How the days were taken, and how many rows each set alone leaves out."""
    numbers = range(len(by_set))
    yield from (
        "## The sets",
        "",
        f"A set is {COUNT} sessions in a row, four of them expiry days. The first set takes its days from the seeds 1 to {POOL}, the",
        f"second from {seeds_of(1)[0]} to {seeds_of(1)[-1]}, and so on: none is chosen for what it gives. For each day the set's seeds are ordered",
        f"by the volatility they draw and cut into {COUNT} parts. The days of a set have one part each, in the next set the next one,",
        "and each takes the seed nearest the middle of its part whose kind of day (trend, chop, calm ...) still has room in",
        f"its share of {COUNT}. So the days of a set stand for all, and over ten sets every weekday has every part twice.",
        "",
        f"| set | {' | '.join(str(number + 1) for number in numbers)} |",
        f"|---|{'---:|' * len(by_set)}",
        f"| rows out | {' | '.join(map(str, by_set))} |",
    )
    for days in zip(*map(twenty_days, numbers), strict=True):
        yield f"| {days[0][0]:%Y-%m-%d %a} | {' | '.join(str(seed) for _, seed in days)} |"
    yield from ("", "The numbers under a set are the seeds of its days.", "")
