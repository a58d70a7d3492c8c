"""Build the site; a warning is an error, and so is a link that leads nowhere.

pip install -r docs/site/requirements.txt
python docs/site/build.py [FOLDER]          docs/site/html by default
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main as sphinx
from stage import ROOT, lay_out


def main(folder: Path) -> int:
    """Build into `folder`; return the exit status."""
    with tempfile.TemporaryDirectory() as sources:
        lay_out(Path(sources))
        options = ["-q", "-W", "--keep-going", "-n", "-b", "html", "-d", f"{sources}-doctrees"]
        return sphinx([*options, "-c", str(ROOT / "docs" / "site"), sources, str(folder)])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "site" / "html"))
