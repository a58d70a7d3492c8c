"""Regret of optimisers on many problems: ours and others, with the same problems, seeds and evaluations."""
