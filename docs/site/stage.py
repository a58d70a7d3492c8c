"""Lay out the site's sources: the pages of ``docs/``, and what they link to elsewhere in the repository.

The pages are read in the repository, too, where a link is relative to its file. In the site, ``docs/`` is the root, and
each file of the repository that a page links to, directly or through another one, lies under ``project/``.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent.parent
ELSEWHERE = "project/"
_LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.MULTILINE | re.DOTALL)


def lay_out(folder: Path) -> None:
    """Write the sources to `folder`.

    Raises
    ------
    ValueError
        A page links to what is not there.
    """
    waiting = [PurePosixPath("docs") / page.name for page in sorted((ROOT / "docs").glob("*.md"))]
    waiting += [PurePosixPath("docs/reference") / page.name for page in sorted((ROOT / "docs/reference").glob("*.md"))]
    known = set(waiting)
    while waiting:
        source = waiting.pop()
        place = folder / _published(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".md":
            shutil.copyfile(ROOT / source, place)
            continue
        text = (ROOT / source).read_text(encoding="utf-8")
        place.write_text(_relinked(text, source), encoding="utf-8")
        new = [target for target in _targets(text, source) if target not in known]
        known.update(new)
        waiting += dict.fromkeys(new)


def _relinked(text: str, source: PurePosixPath) -> str:
    """Text of a page with its links as they are in the site."""
    here = posixpath.dirname(_published(source)) or "."

    def rewrite(match: re.Match[str]) -> str:
        target = _resolve(source, match[2])
        return f"{match[1]}{posixpath.relpath(_published(target), here)}{match[3] or ''}{match[4]}"

    parts = _CODE.split(text)
    return "".join(part if i % 2 else _LINK.sub(rewrite, part) for i, part in enumerate(parts))


def _targets(text: str, source: PurePosixPath) -> list[PurePosixPath]:
    return [_resolve(source, match[2]) for match in _LINK.finditer(_CODE.sub("", text))]


def _resolve(source: PurePosixPath, link: str) -> PurePosixPath:
    """File of the repository that a link leads to; of a folder, its README."""
    target = PurePosixPath(posixpath.normpath(posixpath.join(source.parent.as_posix(), link)))
    if (ROOT / target).is_dir():
        target = target / "README.md"
    if not (ROOT / target).is_file():
        raise ValueError(f"{source}: a link must lead to a file, or to a folder with a README.md; got {link}")
    return target


def _published(source: PurePosixPath) -> str:
    return source.relative_to("docs").as_posix() if source.parts[0] == "docs" else ELSEWHERE + source.as_posix()
