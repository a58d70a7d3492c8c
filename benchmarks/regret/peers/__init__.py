"""One driver a peer: a process of the peer's own environment that answers start, ask and tell in JSON lines."""
