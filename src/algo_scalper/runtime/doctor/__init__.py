"""What stands between this machine and a trading day: one line per thing looked at, with its light and its remedy."""
