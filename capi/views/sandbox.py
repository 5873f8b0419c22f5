"""The sandbox page, in development: what the LinkedIn stand-in received."""

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from capi.linkedin.sandbox.scenarios import ACCOUNTS, MANY, REFUSING_RULES, TOKENS
from capi.selectors.sandbox import received_from
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action


@require_safe
@vary_on_headers("HX-Request")
@member(Action.SEE_EVENT_LOG)
def received(request: MemberRequest) -> HttpResponse:
    """The company's requests, newest first. 404 without the sandbox."""
    if not settings.LINKEDIN_SANDBOX:
        raise Http404
    return render(
        request,
        "capi/sandbox/_received.html" if request.htmx else "capi/sandbox/received.html",
        {
            "requests": received_from(request.membership.company_id),
            "tokens": TOKENS,
            "rules": REFUSING_RULES,
            "accounts": ACCOUNTS,
            "many": MANY,
            "ledger": settings.LINKEDIN_SANDBOX_LEDGER.name,
        },
    )
