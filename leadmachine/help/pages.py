"""All pages of the help in their order, and finding something in them."""

from functools import cache
from typing import Final

from leadmachine.help import troubleshooting
from leadmachine.help.guide import Page, Section, page_from

BEFORE: Final = ("linkedin", "admin", "sales", "ops")
AFTER: Final = ("faq", "api")


@cache
def all_pages() -> dict[str, Page]:
    """By slug. They change with the code alone."""
    pages = [*map(page_from, BEFORE), troubleshooting.page(), *map(page_from, AFTER)]
    return {page.slug: page for page in pages}


def find(text: str) -> list[Section]:
    """The sections that hold every word of `text`, whatever its case; those with all of them in the title first."""
    words = text.casefold().split()
    found = [
        section
        for page in all_pages().values()
        for section in page.sections
        if all(word in f"{page.title} {section.title} {section.text}".casefold() for word in words)
    ]
    return sorted(found, key=lambda section: not all(word in section.title.casefold() for word in words))
