"""The day as a report a person reads: trades with every charge, what it all came to, and why there was no more."""

from __future__ import annotations

from collections.abc import Iterable

from algo_scalper.domain.units import clock_text, rupees_text
from algo_scalper.engine.views import TradeView, words
from algo_scalper.research.backtest import DayResult

NO_EDGE = (
    "The bundled strategy is an example and shows no edge over random entries. Most individual traders of these "
    "instruments lose money."
)


def report_lines(result: DayResult) -> list[str]:
    """The whole report of a simulated day."""
    lines = [f"{result.day:%a %d %b %Y}   SIMULATED market ({words(result.market)}), PAPER money", NO_EDGE, ""]
    lines += trade_lines(result.trades)
    lines += ["", *total_lines(result.gross_paise, result.charges_paise)]
    lines += [f"LEFT: {sentence}" for sentence in result.left] or ["FLAT: nothing is held"]
    lines += ["", "Why no trade, by minutes:"]
    for name, count in sorted(result.reasons.items(), key=lambda item: -item[1]):
        kind, _, reason = name.partition(":")
        lines.append(f"  {count:5d}  {words(kind)}: {words(reason)}")
    lines += [f"  {notice}" for notice in result.notices]
    return lines


def trade_lines(trades: Iterable[TradeView]) -> list[str]:
    """A line per trade, and its charges by line."""
    lines: list[str] = []
    for trade in trades:
        lines.append(
            f"{clock_text(trade.opened_ns)}-{clock_text(trade.closed_ns)}  {trade.contract:28s} {trade.quantity:5d}  "
            f"{rupees_text(trade.entry_paise):>9} -> {rupees_text(trade.exit_paise):>9}  "
            f"gross {rupees_text(trade.gross_paise):>10}  net {rupees_text(trade.net_paise):>10}  {words(trade.reason)}"
        )
        charges = ", ".join(
            f"{name} {rupees_text(paise)}" for name, paise in trade.charges.items() if paise and name != "total"
        )
        lines.append(f"                   charges {rupees_text(trade.gross_paise - trade.net_paise)}: {charges}")
    return lines or ["No trades."]


def total_lines(gross_paise: int, charges_paise: int) -> list[str]:
    """What the day came to."""
    return [
        f"Gross   Rs {rupees_text(gross_paise):>12}",
        f"Charges Rs {rupees_text(charges_paise):>12}",
        f"Net     Rs {rupees_text(gross_paise - charges_paise):>12}",
    ]
