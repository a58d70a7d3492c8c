"""Scripts that regenerate what is in ``data/``."""
