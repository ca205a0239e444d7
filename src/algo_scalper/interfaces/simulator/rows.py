"""Rows of the book, positions, trades and funds as Dhan prints them: key order, sentinels and number style included."""

from __future__ import annotations

import msgspec

from algo_scalper.domain.account import Funds
from algo_scalper.domain.charges import Charges
from algo_scalper.domain.instruments import Contract, Exchange, OptionType, key_security_id, key_segment
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, BrokerStatus, OrderKind, Product, Side
from algo_scalper.interfaces.simulator.master import display_name, expiry_with_time, trading_symbol
from algo_scalper.interfaces.simulator.replies import java_float, java_rupees
from algo_scalper.interfaces.simulator.stamps import Stamps
from algo_scalper.simulation.exchange import FOREIGN_ID, ExchangeOrder, Fill

ORDER_TYPE = {OrderKind.LIMIT: "LIMIT", OrderKind.STOP_LIMIT: "STOP_LOSS"}
DRV_TYPE = {OptionType.CE: "CALL", OptionType.PE: "PUT"}
_ZERO = java_rupees(0)
_LEG_NUMBER = {"STOP_LOSS_LEG": 2, "TARGET_LEG": 3}
_FIRST_TRADE_ID = 1_000_000


def exchange_order_id(row: BrokerOrder, record: ExchangeOrder, exchange: Exchange) -> str:
    """Like the exchanges' own: 16 digits at NSE, close to epoch nanoseconds at BSE, ``0`` where none was given."""
    if not _exchange_ns(row, record):
        return "0"
    if exchange is Exchange.BSE:
        return str(record.created_ns)
    sequence = int(record.broker_id) % 1_000_000_000
    return f"1{1 + sequence % 8}00000{sequence:09d}"


def _exchange_ns(row: BrokerOrder, record: ExchangeOrder) -> int:
    """When the exchange last spoke of the order; 0 for one that never reached it."""
    never = record.is_kept or row.status in (BrokerStatus.TRANSIT, BrokerStatus.REJECTED)
    return 0 if never else record.updated_ns


def remaining_quantity(row: BrokerOrder) -> int:
    """What is still open; 0 once cancelled or expired, the whole of it when rejected."""
    if row.status in (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED):
        return 0
    return row.quantity - row.filled_quantity


def oms_text(row: BrokerOrder) -> str:
    """``omsErrorDescription`` and ``reasonDescription``; an error only when the status is REJECTED."""
    if row.status is BrokerStatus.REJECTED:
        return row.reason
    if row.status in (BrokerStatus.TRADED, BrokerStatus.PART_TRADED):
        return "TRADE CONFIRMED"
    return "" if row.status is BrokerStatus.TRANSIT else "CONFIRMED"


def order_row(
    row: BrokerOrder, record: ExchangeOrder, contract: Contract, client_id: str, stamps: Stamps
) -> dict[str, object]:
    """One element of ``GET /orders``."""
    return {
        "dhanClientId": client_id,
        "orderId": row.broker_id,
        "exchangeOrderId": exchange_order_id(row, record, contract.exchange),
        "correlationId": row.correlation_id,
        "orderStatus": row.status,
        "transactionType": row.side.name,
        "exchangeSegment": key_segment(row.key).name,
        "productType": record.product,
        "orderType": ORDER_TYPE[row.kind],
        "validity": "IOC" if record.particulars.immediate else "DAY",
        "tradingSymbol": trading_symbol(contract),
        "securityId": str(key_security_id(row.key)),
        "quantity": row.quantity,
        "disclosedQuantity": record.particulars.disclosed_quantity,
        "price": java_rupees(row.price_paise),
        "triggerPrice": java_rupees(row.trigger_paise),
        "afterMarketOrder": record.particulars.after_open_s is not None,
        "boProfitValue": _ZERO,
        "boStopLossValue": _ZERO,
        "legName": "NA",
        "createTime": stamps.text(record.created_ns),
        "updateTime": stamps.text(record.updated_ns),
        "exchangeTime": stamps.text(_exchange_ns(row, record)),
        "drvExpiryDate": contract.expiry.isoformat(),
        "drvOptionType": DRV_TYPE[contract.option_type],
        "drvStrikePrice": java_rupees(contract.strike_paise),
        "omsErrorCode": "0",
        "omsErrorDescription": oms_text(row),
        "algoId": record.particulars.parent_id or "0",
        "remainingQuantity": remaining_quantity(row),
        "averageTradedPrice": average_rupees(row.filled_value_paise, row.filled_quantity),
        "filledQty": row.filled_quantity,
    }


def average_rupees(value_paise: int, quantity: int) -> msgspec.Raw:
    """Value over quantity, unrounded: Dhan keeps three and more decimals (``49.125``)."""
    return java_rupees(value_paise / quantity) if quantity else _ZERO


def trade_row(
    fill: Fill, record: ExchangeOrder, contract: Contract, client_id: str, stamps: Stamps
) -> dict[str, object]:
    """One element of ``GET /trades``: ``drvOptionType`` is ``NA`` there even for options."""
    row, at = record.row(), stamps.text(fill.at_ns)
    return {
        "dhanClientId": client_id,
        "orderId": fill.broker_id,
        "exchangeOrderId": exchange_order_id(row, record, contract.exchange),
        "exchangeTradeId": str(_FIRST_TRADE_ID + fill.number),
        "transactionType": fill.side.name,
        "exchangeSegment": key_segment(fill.key).name,
        "productType": record.product,
        "orderType": ORDER_TYPE[record.kind],
        "tradingSymbol": trading_symbol(contract),
        "customSymbol": None,
        "securityId": str(key_security_id(fill.key)),
        "tradedQuantity": fill.quantity,
        "tradedPrice": java_rupees(fill.price_paise),
        "createTime": at,
        "updateTime": at,
        "exchangeTime": at,
        "drvExpiryDate": contract.expiry.isoformat(),
        "drvOptionType": "NA",
        "drvStrikePrice": java_rupees(contract.strike_paise),
    }


def history_row(
    order: ExchangeOrder,
    contract: Contract,
    charges: Charges,
    at_ns: int,
    name: str,
    client_id: str,
    stamps: Stamps,
) -> dict[str, object]:
    """One element of ``GET /trades/{from}/{to}/{page}``: an order with what it cost, each line to four decimals."""
    row = order.row()
    return {
        "dhanClientId": client_id,
        "orderId": order.broker_id,
        "exchangeOrderId": exchange_order_id(row, order, contract.exchange),
        "exchangeTradeId": "0",
        "transactionType": order.side.name,
        "exchangeSegment": key_segment(order.key).name,
        "productType": order.product,
        "orderType": ORDER_TYPE[order.kind],
        "customSymbol": name,
        "securityId": str(key_security_id(order.key)),
        "tradedQuantity": order.filled_quantity,
        "tradedPrice": average_rupees(order.filled_value_paise, order.filled_quantity),
        "isin": "",
        "instrument": "OPTIDX",
        "sebiTax": _exact(charges.sebi_e9),
        "stt": _exact(charges.stt_e9),
        "brokerageCharges": _exact(charges.brokerage_e9),
        "serviceTax": _exact(charges.gst_e9),
        "exchangeTransactionCharges": _exact(charges.exchange_e9 + charges.ipft_e9),
        "stampDuty": _exact(charges.stamp_e9),
        "createTime": "NA",
        "updateTime": "NA",
        "exchangeTime": stamps.text(at_ns),
        "drvExpiryDate": "NA",
        "drvOptionType": DRV_TYPE[contract.option_type],
        "drvStrikePrice": java_rupees(contract.strike_paise),
    }


def _exact(paise_e9: int) -> msgspec.Raw:
    """A charge in rupees with four decimals."""
    return java_float(round(paise_e9 / 1e11, 4))


def position_row(
    position: BrokerPosition, contract: Contract, product: Product, ltp_paise: int, client_id: str
) -> dict[str, object]:
    """One element of ``GET /positions``, for a position opened today; it stays all day, CLOSED once flat."""
    bought, sold, net = position.bought_quantity, position.sold_quantity, position.net_quantity
    buy_average = position.bought_value_paise / bought if bought else 0.0
    sell_average = position.sold_value_paise / sold if sold else 0.0
    realised = min(bought, sold) * (sell_average - buy_average)
    open_average = buy_average if net > 0 else sell_average
    unrealised = net * (ltp_paise - open_average) if net and ltp_paise else 0.0
    return {
        "dhanClientId": client_id,
        "tradingSymbol": trading_symbol(contract),
        "securityId": str(key_security_id(position.key)),
        "positionType": "CLOSED" if not net else "LONG" if net > 0 else "SHORT",
        "exchangeSegment": key_segment(position.key).name,
        "productType": product,
        "buyAvg": java_rupees(buy_average),
        "costPrice": java_rupees(buy_average if bought else sell_average),
        "buyQty": bought,
        "sellAvg": java_rupees(sell_average),
        "sellQty": sold,
        "netQty": net,
        "realizedProfit": java_rupees(round(realised)),
        "unrealizedProfit": java_rupees(round(unrealised)),
        "rbiReferenceRate": java_rupees(100),
        "multiplier": 1,
        "carryForwardBuyQty": 0,
        "carryForwardSellQty": 0,
        "carryForwardBuyValue": _ZERO,
        "carryForwardSellValue": _ZERO,
        "dayBuyQty": bought,
        "daySellQty": sold,
        "dayBuyValue": java_rupees(position.bought_value_paise),
        "daySellValue": java_rupees(position.sold_value_paise),
        "drvExpiryDate": expiry_with_time(contract),
        "drvOptionType": DRV_TYPE[contract.option_type],
        "drvStrikePrice": java_rupees(contract.strike_paise),
        "crossCurrency": False,
    }


def funds_body(funds: Funds, client_id: str) -> dict[str, object]:
    """``GET /fundlimit``, with the real misspellings; the balance includes collateral."""
    available, own = java_rupees(funds.available_paise), funds.available_paise - funds.collateral_paise
    return {
        "dhanClientId": client_id,
        "availabelBalance": available,
        "sodLimit": java_rupees(funds.start_of_day_paise),
        "collateralAmount": java_rupees(funds.collateral_paise),
        "receiveableAmount": _ZERO,
        "utilizedAmount": java_rupees(max(funds.start_of_day_paise - own, 0)),
        "blockedPayoutAmount": _ZERO,
        "withdrawableBalance": java_rupees(own),
    }


def order_alert(
    row: BrokerOrder,
    record: ExchangeOrder,
    contract: Contract,
    last_fill_paise: int,
    ref_ltp_paise: int,
    client_id: str,
    stamps: Stamps,
) -> bytes:
    """One push of the order socket: camelCase, Title-case status, zero numbers and empty strings omitted.

    An order that a forever order placed names it in ``algoOrdNo``, as the legs of a super order name their entry.
    """
    by_hand = row.correlation_id == FOREIGN_ID and not record.particulars.parent_id
    data: dict[str, object] = {
        "exchange": contract.exchange,
        "segment": "D",
        "source": "N" if by_hand else "P",
        "securityId": str(key_security_id(row.key)),
        "clientId": client_id,
        "exchOrderNo": exchange_order_id(row, record, contract.exchange),
        "orderNo": row.broker_id,
        "product": "I" if record.product is Product.INTRADAY else "M",
        "txnType": "B" if row.side is Side.BUY else "S",
        "orderType": "LMT" if row.kind is OrderKind.LIMIT else "SL",
        "validity": "IOC" if record.particulars.immediate else "DAY",
        "discQuantity": record.particulars.disclosed_quantity,
        "remainingQuantity": remaining_quantity(row),
        "quantity": row.quantity,
        "tradedQty": row.filled_quantity,
        "price": _number(row.price_paise),
        "triggerPrice": _number(row.trigger_paise),
        "tradedPrice": _number(last_fill_paise),
        "algoOrdNo": record.particulars.parent_id,
        "avgTradedPrice": _number(row.filled_value_paise / row.filled_quantity if row.filled_quantity else 0),
        "strategyId": "NA",
        "offMktFlag": "0" if record.particulars.after_open_s is None else "1",
        "orderDateTime": stamps.text(record.created_ns),
        "exchOrderTime": stamps.text(_exchange_ns(row, record)),
        "lastUpdatedTime": stamps.text(record.updated_ns),
        "remarks": "Super Order" if record.particulars.leg else " " if by_hand else "NR",
        "mktType": "NL",
        "reasonDescription": oms_text(row),
        "legNo": _LEG_NUMBER.get(record.particulars.leg, 1),
        "instrument": "OPTIDX",
        "symbol": trading_symbol(contract)[:15],
        "productName": record.product,
        "status": _status(row, record),
        "lotSize": contract.lot,
        "strikePrice": _number(contract.strike_paise),
        "expiryDate": contract.expiry.isoformat(),
        "optType": contract.option_type,
        "displayName": display_name(contract),
        "isin": "NA",
        "series": "XX",
        "goodTillDaysDate": stamps.text(record.created_ns)[:10],
        "refLtp": _number(ref_ltp_paise),
        "tickSize": contract.tick_paise / 100,
        "algoId": "0",
        "multiplier": 1,
        "correlationId": row.correlation_id,
    }
    kept = {key: value for key, value in data.items() if value not in (0, "")}
    return msgspec.json.encode({"Data": kept, "Type": "order_alert"})


def _status(row: BrokerOrder, record: ExchangeOrder) -> str:
    """Title case; a modification that rests is ``Modified``."""
    is_modified = row.status is BrokerStatus.PENDING and record.modifications
    return "Modified" if is_modified else row.status.replace("_", " ").title()


def _number(paise: float) -> int | float:
    """Rupees as the order socket prints them: ``131``, ``131.2``."""
    rupees = paise / 100
    return int(rupees) if rupees == int(rupees) else rupees
