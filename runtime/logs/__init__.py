"""Where else the numbers of a run go while it trains: `table.LOGS` is the vocabulary."""
