"""Faults injected into real runs, and the proof that nothing finished is lost, repeated or left running."""
