"""DhanHQ v2, client side: the binary feed, the order socket and the REST calls, in the words of the domain."""
