"""The baseline's task, plain and tuned."""

import hashlib
import os
import time
from functools import cache
from typing import Any

import requests
from celery import shared_task
from django.conf import settings

from benchmarks.naive.models import Log
from capi.models import ConversionRule
from crm.models import Lead

TOKEN = "A" * 40


@cache
def _session() -> requests.Session:
    return requests.Session()


def _post() -> Any:
    return _session().post if os.environ.get("NAIVE_TUNED") else requests.post


@shared_task(name="naive.send")
def send(lead_id: int, crm_event: str) -> None:
    lead = Lead.objects.get(pk=lead_id)
    rule = ConversionRule.objects.get(
        company_id=lead.company_id, crm_event=crm_event, is_active=True
    )
    digest = hashlib.sha256(lead.email.strip().lower().encode()).hexdigest()
    response = _post()(
        f"{settings.LINKEDIN_API_URL}/rest/conversionEvents",
        json={
            "conversion": f"urn:lla:llaPartnerConversion:{rule.linkedin_id}",
            "conversionHappenedAt": int(time.time() * 1000) - 1000,
            "eventId": f"naive-{lead_id}",
            "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": digest}]},
        },
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "LinkedIn-Version": settings.LINKEDIN_API_VERSION,
            "X-Restli-Protocol-Version": "2.0.0",
        },
        timeout=30,
    )
    Log.objects.create(lead_id=lead_id, status=response.status_code)
