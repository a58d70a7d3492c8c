"""Trials as the files of other tools. Each kind is a module with ``write(chronicle, path)``, loaded for it alone."""
