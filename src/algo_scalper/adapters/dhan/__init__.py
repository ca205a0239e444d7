"""DhanHQ v2, client side: usable on its own. This page says where things are.

**Calls.** `client.DhanClient` has a method for everything the REST service does; what it sends is in `bodies`, what comes
back in `replies`, all calls in one table in `endpoints` (printed in ``docs/reference/dhan-endpoints.md``). `rest.DhanRest`
is the connection beneath it, `limits.Limiter` the account's budget of requests, `failures` the tree of errors, and
`auth.DhanAuth` the ways to an access token.

**Sockets.** `feed.DhanFeed` streams prices, `order_stream.DhanOrderStream` what happens to orders; `packets` decodes.

**The engine's face.** `orders.DhanBroker`, `history.DhanHistory`, `chain.DhanChains` and `catalogue.read_catalogue` speak
in the words of the domain and implement its ports.

Everything takes its time from a `domain.ports.Clock` and knows nothing of the rest of the program. Modules are imported
by name; this one imports nothing, so that who needs one part loads one part.
"""
