"""Everything that knows nothing of processes: spaces, surrogates, acquisition, storage, display."""
