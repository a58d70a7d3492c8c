"""The parallel run: who says what to whom."""

from reverie.house import enter

enter(__name__)
