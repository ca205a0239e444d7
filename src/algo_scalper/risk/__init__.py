"""May we, how much, when out: pure functions over frozen contexts. They return values and change nothing."""
