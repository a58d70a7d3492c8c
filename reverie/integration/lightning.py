"""Callback for trainers of the package ``lightning``."""

from __future__ import annotations

from reverie.integration.extras import missing
from reverie.integration.lightning_reports import Reports

try:
    from lightning.pytorch import Callback
except ImportError as error:
    raise missing("lightning", "Lightning", "lightning") from error


class ReverieReportCallback(Reports, Callback):
    """Of a trainer of ``lightning``: reports a metric after each validation, ends what is given up.

    See `reverie.integration.lightning_reports.Reports` for its parameters and attributes.
    """
