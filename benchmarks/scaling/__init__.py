"""How Reverie behaves as trials, workers and observations grow."""
