"""How far one master and its surrogate go: many workers, many observations, many ranks, long journals."""
