"""The verb ``reverie report``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from learning_objective.command_line import Parser
from reverie.verbs.finding import find_run
from reverie.verbs.speaking import add_run
from utilities.display.text import clean, duration
from utilities.errors import ReverieError, StudyError

_HELP = """\
Write a report of a study, finished or running: figures and tables in one HTML file that needs no network. Nothing else
in the run folder is touched.

example:
  reverie report runs/digits                     writes runs/digits/report.html
  reverie report runs/digits -o digits.html      writes there instead
  reverie report runs/digits --png figures       the figures as PNGs, too
  reverie report runs/digits --watch 60          again every minute; a browser that shows it follows"""

_LEAST_WATCH = 5.0
_PAGES = (".html", ".htm")
"""Endings by which ``--output`` is taken for ``--to-path``, which it once was here."""


def main(arguments: Sequence[str], program: str) -> int:
    """Write the report that the command line asks for; return the exit status."""
    options = _parse(arguments, program)
    if isinstance(options, int):
        return options
    try:
        while True:
            began = time.monotonic()
            running = _write(options)
            if options.watch is None or not running:
                return 0
            time.sleep(max(1.0, options.watch - (time.monotonic() - began)))
    except ReverieError as error:
        print(f"error: {clean(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {clean(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    parser = Parser(
        prog=program, description=_HELP, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_run(parser)
    parser.add_argument(
        "-o", "--to-path", type=Path, metavar="FILE", help="file to write (default: report.html in the run folder)"
    )
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write each figure as a PNG there, too")
    parser.add_argument(
        "--objective",
        metavar="NAME",
        help="of several objectives, the one by which parameters are looked at (default: each)",
    )
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="write it again so often while the study runs")
    return parser


def _parse(arguments: Sequence[str], program: str) -> argparse.Namespace | int:
    parser = make_parser(program)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if Path(options.output).suffix.lower() in _PAGES:
        options.to_path, options.output = options.to_path or Path(options.output), parser.get_default("output")
    if options.watch is not None and not options.watch >= _LEAST_WATCH:
        print(f"error: --watch must be at least {_LEAST_WATCH:g} seconds; got {options.watch:g}", file=sys.stderr)
        return 2
    return options


def _write(options: argparse.Namespace) -> bool:
    """Write the report once; returns whether its study still runs."""
    try:
        import vl_convert  # noqa: F401 - a clear sentence before the work, not after it
    except ImportError:
        raise StudyError("the report needs vl-convert-python: `pip install reverie[report]`") from None
    from reverie.report.content import compose
    from reverie.report.evidence import read_evidence
    from reverie.report.page import render, to_png
    from utilities.storage.atomic import replace_file
    from utilities.storage.lock import held

    began = time.monotonic()
    folder = find_run(options.run, options.output)
    evidence = read_evidence(folder)
    running = held(folder / "journal.jsonl")
    content = compose(evidence, running=running, objective=options.objective)
    refresh = options.watch if running else None
    page = render(
        content.title, content.subtitle, content.facts, content.sections, written=time.time(), refresh=refresh
    )
    output = options.to_path or folder / "report.html"
    replace_file(output, page.encode("utf-8", "replace"))
    print(f"{output}: {len(page) / 1e6:.1f} MB in {duration(time.monotonic() - began)}")
    if options.png is not None:
        options.png.mkdir(parents=True, exist_ok=True)
        for section in content.sections:
            for figure in section.figures:
                if figure.spec is not None:
                    replace_file(options.png / f"{figure.name}.png", to_png(figure))
        print(f"{options.png}: {sum(f.spec is not None for s in content.sections for f in s.figures)} figures")
    return running
