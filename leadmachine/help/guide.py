"""The files of `docs/guide` as help pages. Each section has its own URL."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Final

from django.conf import settings
from django.template import engines
from django.urls import reverse
from django.utils.html import strip_tags
from django.utils.text import slugify
from markdown import Markdown

EXCERPT_LENGTH: Final = 180


@dataclass(frozen=True, slots=True)
class HelpSection:
    """The part of a page under one heading. `html` is trusted: it never contains user input."""

    page_slug: str
    anchor: str
    title: str
    html: str

    @property
    def url(self) -> str:
        return f"{reverse('help_page', args=[self.page_slug])}#{self.anchor}"

    @property
    def text(self) -> str:
        return " ".join(unescape(strip_tags(self.html)).split())

    @property
    def excerpt(self) -> str:
        text = self.text
        if len(text) <= EXCERPT_LENGTH:
            return text
        return text[:EXCERPT_LENGTH].rpartition(" ")[0] + " …"


@dataclass(frozen=True, slots=True)
class HelpPage:
    """A help page."""

    slug: str
    title: str
    intro: str
    sections: tuple[HelpSection, ...]

    @property
    def url(self) -> str:
        return reverse("help_page", args=[self.slug])


FOLDER: Final[Path] = settings.BASE_DIR / "docs" / "guide"
HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def page_from(slug: str) -> HelpPage:
    """Return the page of `docs/guide/<slug>.md`. Its intro is everything before the first second-level heading."""
    title, _, rest = (
        (FOLDER / f"{slug}.md").read_text().removeprefix("# ").partition("\n")
    )
    intro, *parts = HEADING.split(rest)
    return HelpPage(slug, title.strip(), to_html(intro), tuple(_sections(slug, parts)))


def to_html(text: str) -> str:
    """Convert Markdown to HTML. The text is trusted like a template: it is part of the code, not user input."""
    html = Markdown(extensions=["tables", "fenced_code"]).convert(text.strip())
    return engines["django"].from_string(html).render()


def _sections(slug: str, parts: list[str]) -> Iterator[HelpSection]:
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        yield HelpSection(slug, slugify(title), title, to_html(text))
