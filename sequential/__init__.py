"""The same study in one process."""

from reverie.house import enter

enter(__name__)
