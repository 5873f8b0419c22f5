"""The help pages in their order, the search, and the views."""

from functools import cache
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leadmachine.help import troubleshooting
from leadmachine.help.guide import HelpPage, HelpSection, page_from

BEFORE: Final = ("linkedin", "admin", "sales", "ops")
AFTER: Final = ("faq", "glossary", "api")


@cache
def all_pages() -> dict[str, HelpPage]:
    """Return the pages by slug. Cached for good: they change only with the code."""
    pages = [*map(page_from, BEFORE), troubleshooting.page(), *map(page_from, AFTER)]
    return {page.slug: page for page in pages}


def find(text: str) -> list[tuple[HelpPage, HelpSection]]:
    """Return the sections that contain every word of `text`, ignoring case, each with its page.

    One with this title comes first, then those with all words in the title.
    """
    words = text.casefold().split()
    matches: list[tuple[HelpPage, HelpSection]] = []
    for page in all_pages().values():
        for section in page.sections:
            searched = f"{page.title} {section.title} {section.text}".casefold()
            if all(word in searched for word in words):
                matches.append((page, section))

    def rank(match: tuple[HelpPage, HelpSection]) -> tuple[bool, bool]:
        title = match[1].title.casefold()
        return title.split() != words, not all(word in title for word in words)

    return sorted(matches, key=rank)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List all pages with their sections or, with `?q=`, the matching sections. For all signed-in users."""
    query = request.GET.get("q", "").strip()[:100]
    context = {
        "asked": query,
        "found": find(query) if query else [],
        "pages": all_pages().values(),
    }
    return render(request, "leadmachine/help/index.html", context)


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    help_page = all_pages().get(slug)
    if help_page is None:
        raise Http404
    return render(request, "leadmachine/help/page.html", {"page": help_page})
