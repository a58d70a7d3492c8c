"""Studies of several objectives, and of constraints on metrics, against other optimisers."""
