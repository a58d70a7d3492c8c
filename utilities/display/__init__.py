"""What a run shows while it goes and at its end."""
