"""The instrument master, Dhan's CSV of everything that is listed: from its bytes to a catalog one may trade by.

`layout` knows the columns, `rows` reads one row, `reader` a whole file; `links` finds what a contract is written on,
`judge` says what is wrong with a file and `terms` what has changed since the last one; `download` fetches it, and `book`
finds a contract in memory. None of them touches a database: that is ``adapters/storage/catalog.py``.
"""
