"""Algo Scalper: an autonomous intraday engine that buys Indian index options through DhanHQ v2."""

__version__ = "0.1.0"
