"""A member's tasks as a calendar: the page with its link, and what the link leads to."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, member
from crm.models import CalendarFeed
from crm.models.roles import Action
from crm.selectors.calendar_feeds import ICALENDAR, calendar_of, etag_of, reader_of
from crm.services.calendar_feeds import remove_feed, renew_feed


@member(Action.EDIT_LEADS)
def calendar(request: MemberRequest) -> HttpResponse:
    """Explain the link. A POST replaces it with a new one, and shows that only once."""
    url = ""
    if request.method == "POST":
        token = renew_feed(membership=request.membership)
        url = request.build_absolute_uri(reverse("calendar_feed", args=[token]))
    feed = (
        CalendarFeed.objects.for_company(request.membership.company)
        .filter(user=request.user)
        .first()
    )
    return render(request, "crm/tasks/calendar.html", {"feed": feed, "url": url})


@require_POST
@member(Action.EDIT_LEADS)
def calendar_remove(request: MemberRequest) -> HttpResponse:
    """Remove the link."""
    remove_feed(membership=request.membership)
    messages.success(request, "The link no longer works.")
    return redirect("calendar")


@require_safe
@login_not_required
def calendar_feed(request: HttpRequest, token: str) -> HttpResponse:
    """The calendar; 304 if it is as the program has it. 404 for an unknown or old link, and without access."""
    feed = CalendarFeed.objects.find(token)
    reader = reader_of(feed) if feed else None
    if reader is None:
        raise Http404
    calendar = calendar_of(reader)
    etag = etag_of(calendar)
    # A program may keep it, and asks each time whether it is still the same.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    whole = HttpResponse(calendar, content_type=ICALENDAR, headers=headers)
    return get_conditional_response(request, etag=etag, response=whole) or whole
