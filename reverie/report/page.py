"""The page: one HTML file that needs no network, light or dark as its reader's system is."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from reverie.report.figure import Figure, Row


@dataclass(frozen=True)
class Fact:
    """A number at the top of the page: what it is, and what is to be known of it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: its heading, sentences that stand for themselves, and figures."""

    title: str
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    preformatted: str = ""


def render(
    title: str,
    subtitle: str,
    facts: Sequence[Fact],
    sections: Sequence[Section],
    *,
    written: float,
    refresh: float | None,
) -> str:
    """Return the HTML.

    Parameters
    ----------
    title, subtitle
        Of the page.
    facts, sections
        What is in it; sections without anything are left out.
    written
        Seconds since the epoch.
    refresh
        Seconds after which a browser is to look again; None for a page that stays as it is.
    """
    shown = [section for section in sections if section.figures or section.notes or section.preformatted]
    specs = {figure.name: figure.spec for section in shown for figure in section.figures if figure.spec is not None}
    again = "" if refresh is None else f'<meta http-equiv="refresh" content="{refresh:.0f}">'
    links = "".join(f'<li><a href="#{_anchor(section.title)}">{_text(section.title)}</a></li>' for section in shown)
    when = datetime.fromtimestamp(written, UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = "".join(map(_section, shown))
    tiles = "".join(map(_fact, facts))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{again}<title>{_text(title)}</title>
<style>{_asset("report.css")}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<h1>{_text(title)}</h1>
<p>{_text(subtitle)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="content">
<dl class="facts">{tiles}</dl>
{body}
</main>
<footer><p>Written {when} by Reverie.</p></footer>
<script>{_library()}</script>
<script type="application/json" id="specifications">{_data(specs)}</script>
<script>{_asset("report.js")}</script>
</body>
</html>
"""


def _fact(fact: Fact) -> str:
    note = f'<dd class="note">{_text(fact.note)}</dd>' if fact.note else ""
    return f"<div><dt>{_text(fact.name)}</dt><dd>{_text(fact.value)}</dd>{note}</div>"


def _section(section: Section) -> str:
    notes = "".join(f"<p>{_text(note)}</p>" for note in section.notes)
    text = f'<pre tabindex="0">{_text(section.preformatted)}</pre>' if section.preformatted else ""
    figures = "".join(map(_figure, section.figures))
    grid = f'<div class="figures">{figures}</div>' if figures else ""
    anchor = _anchor(section.title)
    heading = f'<h2 id="{anchor}-title">{_text(section.title)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">{heading}{notes}{grid}{text}</section>'


def _figure(figure: Figure) -> str:
    name = html.escape(figure.name, quote=True)
    chart = ""
    if figure.spec is not None:
        chart = (
            f'<div class="chart" id="chart-{name}" role="img" tabindex="0" aria-labelledby="{name}-title" '
            f'aria-describedby="{name}-says"><div class="drawing"></div></div>'
        )
    wide = ' class="wide"' if figure.wide else ""
    return (
        f'<figure id="{name}"{wide}><h3 id="{name}-title">{_text(figure.title)}</h3>'
        f'<figcaption id="{name}-says">{_text(figure.says)}</figcaption>{chart}{_table(figure)}</figure>'
    )


def _table(figure: Figure) -> str:
    if not figure.rows:
        return ""
    columns = list(dict.fromkeys(column for row in figure.rows for column in row))
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    lines = "".join(f"<tr>{_cells(row, columns)}</tr>" for row in figure.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    shown = "" if figure.spec is not None else " open"
    return f'<details{shown}><summary>Numbers</summary><div class="scroll" tabindex="0">{table}</div></details>'


def _cells(row: Row, columns: Sequence[str]) -> str:
    return "".join(f"<td>{_text(row.get(column, ''))}</td>" for column in columns)


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _anchor(title: str) -> str:
    return "-".join(word for word in "".join(c if c.isalnum() else " " for c in title.lower()).split())


def _data(value: Any) -> str:
    """JSON that cannot end the script element in which it stands."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _asset(name: str) -> str:
    return (files("reverie.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    bundle: Any = vl_convert.javascript_bundle  # its stub lacks the default of its argument
    return str(bundle()).replace("</script", "<\\/script")


def to_png(figure: Figure, scale: float = 2.0) -> bytes:
    """Draw a figure that has a specification, on white."""
    import vl_convert

    spec = _sized(figure.spec or {})
    ramp = {"heatmap": {"scheme": "blues"}}
    config = {"background": "white", "font": "sans-serif", "axis": {"labelSeparation": 6}, "range": ramp}
    return bytes(vl_convert.vegalite_to_png({"title": figure.title, "config": config, **spec}, scale=scale))


def _sized(spec: Any, width: int = 640) -> Any:
    """Specification with a width in place of that of the page."""
    if isinstance(spec, dict):
        return {
            key: width if (key, value) == ("width", "container") else _sized(value, width)
            for key, value in spec.items()
        }
    return [_sized(item, width) for item in spec] if isinstance(spec, list) else spec
