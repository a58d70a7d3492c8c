"""Callback for trainers of the package ``pytorch_lightning``."""

from __future__ import annotations

from reverie.integration.extras import missing
from reverie.integration.lightning_reports import Reports

try:
    from pytorch_lightning import Callback
except ImportError as error:
    raise missing("pytorch_lightning", "Lightning", "pytorch-lightning") from error


class ReverieReportCallback(Reports, Callback):
    """Of a trainer of ``pytorch_lightning``: reports a metric after each validation, ends what is given up.

    See `reverie.integration.lightning_reports.Reports` for its parameters and attributes.
    """
