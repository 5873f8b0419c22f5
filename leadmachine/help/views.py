"""The help: for everybody who is signed in, whatever their role."""

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from leadmachine.help.pages import all_pages, find

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
