"""The pages of the help: all of them in their order, finding something in them, and their views."""

from functools import cache
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leadmachine.help import troubleshooting
from leadmachine.help.guide import Page, Section, page_from

# --- All pages of the help in their order, and finding something in them.

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


# --- The help: for everybody who is signed in, whatever their role.

LONGEST_SEARCH: Final = 100


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All pages with their sections or, with `?q=`, the sections that hold these words."""
    asked = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    context = {"asked": asked, "found": find(asked) if asked else [], "pages": all_pages().values()}
    return render(request, "leadmachine/help/index.html", context)


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    found = all_pages().get(slug)
    if found is None:
        raise Http404
    return render(request, "leadmachine/help/page.html", {"page": found})
