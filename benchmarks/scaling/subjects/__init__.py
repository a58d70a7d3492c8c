"""What is timed: our methods and other optimisers, each with ``load``, ``ask`` and ``tell``."""
