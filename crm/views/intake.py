"""The address to which websites and programs send leads. What is answered with 202 has been stored."""

import logging
import time
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from crm.accounts.bodies import DEFAULT_BODY_BYTES, takes_anything
from crm.intake.bodies import FORM, MULTIPART, kind_of
from crm.intake.signatures import Received, is_signed
from crm.models import IntakeSource
from crm.models.crypto import Unreadable
from crm.services.intake_sources import note_unsigned
from crm.services.payloads import store_payload
from crm.services.rate_limits import WINDOW_SECONDS, are_within

logger = logging.getLogger(__name__)

PER_MINUTE: Final = 600  # payloads of one source
COMPANY_PER_MINUTE: Final = 3_000
NO_SOURCE: Final = "There is no source with this address."
SENDER_IDS: Final = ("Idempotency-Key", "webhook-id", "X-Shopify-Webhook-Id")


@csrf_exempt
@login_not_required
@takes_anything
@require_POST
def receive(request: HttpRequest, token: str) -> HttpResponse:
    """Store the body: 202, or 303 or a page for a browser. Otherwise 4xx or 503, and nothing is stored."""
    source = IntakeSource.objects.find(token)
    if source is None:
        return _refused(404, NO_SOURCE)
    if not (source.is_active and source.company.is_active):
        return _refused(410, "This source was switched off.")
    if not are_within(_limits(source)):
        refused = _refused(429, f"At most {PER_MINUTE} leads a minute can be sent.")
        refused["Retry-After"] = str(WINDOW_SECONDS)
        return refused
    body = request.read(DEFAULT_BODY_BYTES + 1)
    if len(body) > DEFAULT_BODY_BYTES:
        return _refused(413, "At most 256 kB can be sent here.")
    unsigned = _unless_signed(request, source, body) if source.signed_by else None
    if unsigned is not None:
        return unsigned
    content_type = request.META.get("CONTENT_TYPE", "")
    try:
        store_payload(
            source=source,
            body=body,
            content_type=content_type,
            sender_id=_sender_id(request),
        )
    except IntegrityError:  # someone has deleted it since it was found
        return _refused(404, NO_SOURCE)
    return _without_traces(_accepted(request, source, content_type))


def _unless_signed(
    request: HttpRequest, source: IntakeSource, body: bytes
) -> HttpResponse | None:
    """401 without the source's signature. 503 if that can't be known: the sender tries again later."""
    try:
        secret = source.secret
    except Unreadable:
        logger.exception("The secret of source %s can't be read.", source.pk)
        refused = _refused(503, "The signature can't be checked right now.")
        refused["Retry-After"] = str(WINDOW_SECONDS)
        return refused
    received = Received(request.headers, body, at=time.time())
    if is_signed(source.signed_by, secret, received):
        return None
    note_unsigned(source=source)
    return _refused(401, "The signature is missing or wrong.")


def _limits(source: IntakeSource) -> dict[str, int]:
    company = f"intake:{source.company_id}"
    return {company: COMPANY_PER_MINUTE, f"{company}:{source.pk}": PER_MINUTE}


def _accepted(
    request: HttpRequest, source: IntakeSource, content_type: str
) -> HttpResponse:
    """JSON for a program. A browser goes on to the page of the source, or gets one in the company's name."""
    is_form = kind_of(content_type) in (FORM, MULTIPART)
    if not is_form or "text/html" not in request.headers.get("Accept", ""):
        return JsonResponse({"status": "accepted"}, status=202)
    if source.thanks_url:
        return HttpResponseRedirect(source.thanks_url, status=303)
    context = {"company": source.company}
    return render(request, "crm/intake/thanks.html", context, status=202)


def _refused(status: int, sentence: str) -> HttpResponse:
    return _without_traces(JsonResponse({"detail": sentence}, status=status))


def _without_traces(response: HttpResponse) -> HttpResponse:
    """No page that follows learns the address."""
    response["Referrer-Policy"] = "no-referrer"
    return response


def _sender_id(request: HttpRequest) -> str:
    """The sender's id for this payload, "" if it has none."""
    for name in SENDER_IDS:
        if found := request.headers.get(name, "").strip():
            return f"{name.lower()}\n{found}"
    return ""
