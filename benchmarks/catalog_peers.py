"""The peers of `catalog_import`, run by the Python of an environment that has pandas; prints one line of JSON.

*to_sql*: the file through ``pandas.read_csv``, the rows and columns our catalog keeps, ``DataFrame.to_sql`` with its defaults.
*OpenAlgo's way*, rebuilt from reading ``broker/dhan/database/master_contract_db.py`` (nothing of it is copied): all rows through
``read_csv``, exchange and symbol by two ``DataFrame.apply`` over rows, a list of dictionaries, the ids that are there already
left out, ``Session.bulk_insert_mappings`` in one transaction into a table with seven indexes that was emptied before. Its
shortcuts are its own: no check of the file, and the table is empty while the import runs.

    PYTHON benchmarks/catalog_peers.py to_sql|openalgo master.csv sqlite:////tmp/x.sqlite3
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.orm import Session, declarative_base

KEPT = [
    "SEM_EXM_EXCH_ID", "SEM_SEGMENT", "SEM_SMST_SECURITY_ID", "SEM_INSTRUMENT_NAME", "SEM_TRADING_SYMBOL", "SEM_LOT_UNITS",
    "SEM_CUSTOM_SYMBOL", "SEM_EXPIRY_DATE", "SEM_STRIKE_PRICE", "SEM_OPTION_TYPE", "SEM_TICK_SIZE", "SEM_SERIES",
]  # fmt: skip
EXCHANGES = {
    ("NSE", "E"): ("NSE", "NSE_EQ"), ("BSE", "E"): ("BSE", "BSE_EQ"), ("NSE", "I"): ("NSE_INDEX", "IDX_I"),
    ("BSE", "I"): ("BSE_INDEX", "IDX_I"), ("NSE", "D"): ("NFO", "NSE_FNO"), ("BSE", "D"): ("BFO", "BSE_FNO"),
    ("NSE", "C"): ("CDS", "NSE_CURRENCY"), ("BSE", "C"): ("BCD", "BSE_CURRENCY"), ("MCX", "M"): ("MCX", "MCX_COMM"),
}  # fmt: skip

Base: Any = declarative_base()


class Token(Base):
    __tablename__ = "symtoken"
    id = sa.Column(sa.Integer, primary_key=True)
    symbol = sa.Column(sa.String, nullable=False, index=True)
    brsymbol = sa.Column(sa.String, nullable=False, index=True)
    name = sa.Column(sa.String)
    exchange = sa.Column(sa.String, index=True)
    brexchange = sa.Column(sa.String, index=True)
    token = sa.Column(sa.String, index=True)
    expiry = sa.Column(sa.String)
    strike = sa.Column(sa.Float)
    lotsize = sa.Column(sa.Integer)
    instrumenttype = sa.Column(sa.String)
    tick_size = sa.Column(sa.Float)
    __table_args__ = (sa.Index("symbol_and_exchange", "symbol", "exchange"),)


def to_sql(master: str, engine: sa.Engine) -> int:
    frame = pd.read_csv(master, usecols=KEPT, low_memory=False)
    frame = frame[frame.SEM_EXM_EXCH_ID.isin(["NSE", "BSE"]) & frame.SEM_SEGMENT.isin(["I", "E", "D"])]
    expiry = pd.to_datetime(frame.SEM_EXPIRY_DATE, errors="coerce")
    frame = frame.assign(
        SEM_EXPIRY_DATE=expiry.dt.date,
        SEM_LOT_UNITS=frame.SEM_LOT_UNITS.astype("int64"),
        strike_paise=(frame.SEM_STRIKE_PRICE.fillna(0) * 100).round().astype("int64"),
    )
    frame.to_sql("master", engine, if_exists="replace", index=False)
    return len(frame)


def openalgo(master: str, engine: sa.Engine) -> int:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.query(Token).delete()
        session.commit()
        frame = pd.read_csv(master, low_memory=False)
        expiry = (
            pd.to_datetime(frame["SEM_EXPIRY_DATE"], errors="coerce").dt.strftime("%d-%b-%y").fillna("-1").str.upper()
        )
        frame = frame.assign(expiry=expiry)
        places = frame.apply(_place, axis=1, result_type="expand")
        frame["exchange"], frame["brexchange"], frame["instrumenttype"] = places[0], places[1], places[2]
        frame["symbol"] = frame.apply(_symbol, axis=1)
        made = pd.DataFrame(
            {
                "symbol": frame["symbol"], "brsymbol": frame["SEM_TRADING_SYMBOL"], "name": frame["SM_SYMBOL_NAME"],
                "exchange": frame["exchange"], "brexchange": frame["brexchange"],
                "token": frame["SEM_SMST_SECURITY_ID"].astype(str), "expiry": frame["expiry"],
                "strike": frame["SEM_STRIKE_PRICE"], "lotsize": frame["SEM_LOT_UNITS"],
                "instrumenttype": frame["instrumenttype"], "tick_size": frame["SEM_TICK_SIZE"] / 100,
            }
        )  # fmt: skip
        rows = made.to_dict(orient="records")
        there = {token for (token,) in session.query(Token.token)}
        fresh = [row for row in rows if row["token"] not in there]
        session.bulk_insert_mappings(Token, fresh)
        session.commit()
    return len(fresh)


def _place(row: Any) -> tuple[str, str, str]:
    exchange, segment = EXCHANGES.get((row["SEM_EXM_EXCH_ID"], row["SEM_SEGMENT"]), ("Unknown", "Unknown"))
    kind = row["SEM_INSTRUMENT_NAME"]
    return exchange, segment, row["SEM_OPTION_TYPE"] if kind.startswith("OPT") else kind[:3]


def _symbol(row: Any) -> str:
    parts = str(row["SEM_CUSTOM_SYMBOL"]).split(" ")
    day = row["expiry"].replace("-", "")
    if row["instrumenttype"] in ("CE", "PE") and len(parts) > 3:
        return f"{parts[0]}{day}{parts[-2]}{row['instrumenttype']}"
    if row["instrumenttype"] == "FUT":
        return f"{parts[0]}{day}FUT"
    return str(row["SEM_TRADING_SYMBOL"])


def main() -> None:
    way, master, url = sys.argv[1:]
    began, spent = time.perf_counter(), time.process_time()
    rows = {"to_sql": to_sql, "openalgo": openalgo}[way](master, sa.create_engine(url))
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "cpu_s": cpu, "rows": rows, "peak_mb": int(peak.split()[1]) / 1024}))


if __name__ == "__main__":
    main()
