"""Reverie inside other tools' loops: a module each, which imports that tool when it is imported itself."""
