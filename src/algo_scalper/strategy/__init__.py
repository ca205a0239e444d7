"""Candles and chains in, an intention out: which way, with which expiry and which strike. Whether we may is `risk`."""
