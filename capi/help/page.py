"""A page of the help, and its sections, each of which has an address of its own."""

from dataclasses import dataclass
from html import unescape
from typing import Final

from django.urls import reverse
from django.utils.html import strip_tags

EXCERPT_LENGTH: Final = 180


@dataclass(frozen=True, slots=True)
class Section:
    """A part under a heading. `html` is ours and never anything that a user typed."""

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
        return text if len(text) <= EXCERPT_LENGTH else text[:EXCERPT_LENGTH].rpartition(" ")[0] + " …"


@dataclass(frozen=True, slots=True)
class Page:
    """What one reads at a time."""

    slug: str
    title: str
    intro: str
    sections: tuple[Section, ...]

    @property
    def url(self) -> str:
        return reverse("help_page", args=[self.slug])
