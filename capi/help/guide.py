"""The files of `docs/guide` as pages: one source for who reads them in the repository and who reads them here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.template import engines
from django.utils.text import slugify
from markdown import Markdown

from capi.help.page import Page, Section

FOLDER: Final[Path] = settings.BASE_DIR / "docs" / "guide"
HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def page_from(slug: str) -> Page:
    """The page that `docs/guide/<slug>.md` makes. What stands before its first heading of the second rank is its intro,
    or all of it, where there is no such heading."""
    title, _, rest = (FOLDER / f"{slug}.md").read_text().removeprefix("# ").partition("\n")
    intro, *parts = HEADING.split(rest)
    return Page(slug, title.strip(), to_html(intro), tuple(_sections(slug, parts)))


def to_html(text: str) -> str:
    """Markdown as HTML. Trusted as a template is: it comes with the code, and nobody can type it in."""
    made = Markdown(extensions=["tables", "fenced_code"]).convert(text.strip())
    return engines["django"].from_string(made).render()


def _sections(slug: str, parts: list[str]) -> Iterator[Section]:
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        yield Section(slug, slugify(title), title, to_html(text))
