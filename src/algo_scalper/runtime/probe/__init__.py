"""Trying at the broker what could only be read: one lot, as little as possible, everything taken back, all of it noted."""
