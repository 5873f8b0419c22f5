"""Write the connection: token, ad account, resume. Each is one transaction and wakes a worker if needed."""

import re
import time
from collections.abc import Collection
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from capi.delivery import retries
from capi.delivery.pauses import database_of_new_connection, pause_held_back
from capi.delivery.wakeup import wake_on_commit
from capi.models import Connection, ConversionRule, check_linkedin_id
from capi.models.choices import Reason
from capi.models.connection import SENDS_FROM_HERE
from capi.models.token import fingerprint, seal
from capi.services.events import STEP_SECONDS
from crm.models import AuditAction, Company, User
from crm.services import audit

TOKEN_LENGTH = range(20, 2049)
ACCOUNT_PREFIX = "urn:li:sponsoredAccount:"

RETRY_NOW: dict[str, object] = {
    "next_attempt_at": None,
    "next_look_at": None,
    "failures_in_a_row": 0,
    "throttles_in_a_row": 0,
}
RESUMED: dict[str, object] = RETRY_NOW | {
    "is_paused": False,
    "paused_reason": Reason.NONE,
    "paused_at": None,
    "paused_version": "",
    "resting_since": None,
    "rest_cause": "",
}


class NotConnected(Exception):
    """The company has no access token, so nothing can be sent."""


class SendingPaused(Exception):
    """All sending is paused until the operator resumes it. The message is for the user."""

    def __init__(self) -> None:
        super().__init__(
            "All sending is paused. The operator of LeadMachine has to resume it first."
        )


def refuse_while_all_is_paused(company: Company) -> None:
    """Raise SendingPaused while the company's events may not be sent from this database."""
    if Connection.objects.for_company(company).exclude(SENDS_FROM_HERE).exists():
        raise SendingPaused


def connection_of(company: Company) -> Connection:
    """The company's connection, created without a token on first use."""
    defaults = {"sends_from": database_of_new_connection}
    return Connection.objects.get_or_create(company=company, defaults=defaults)[0]


def save_token(
    *,
    company: Company,
    token: str,
    user: User | None = None,
    ad_account_id: str = "",
    expires_on: date | None = None,
) -> Connection:
    """Seal and store the token, and resume what the old one had paused. An empty `ad_account_id` changes nothing.

    `expires_on` is the day the token expires, if it does.

    Raises ValidationError, which never contains the value, if the token or the account id is invalid.
    """
    token = clean_token(token)
    ad_account_id = clean_ad_account_id(ad_account_id)
    with transaction.atomic():
        connection = connection_of(company)
        changes = {"ad_account_id": ad_account_id} if ad_account_id else {}
        Connection.objects.filter(pk=connection.pk).update(
            sealed_token=seal(company_id=company.pk, token=token),
            token_fingerprint=fingerprint(token),
            token_version=F("token_version") + 1,
            token_saved_at=Now(),
            token_saved_by=user,
            token_expires_on=expires_on,
            token_confirmed_at=None,
            **changes,
            **RESUMED,
        )
        pause_held_back(Connection.objects.for_company(company))
        # A 403 may have been due to the person who created the old token.
        resume_rules(
            ConversionRule.objects.for_company(company).filter(
                paused_reason=Reason.RULE_FORBIDDEN
            )
        )
        details: audit.Details = {"fields": ["token", *changes]}
        audit.record(
            company=company,
            action=AuditAction.TOKEN_SAVED,
            about=connection,
            details=details,
            actor=user,
        )
        wake_on_commit(company.pk)
    connection.refresh_from_db()
    return connection


def save_ad_account(*, company: Company, ad_account_id: str) -> Connection:
    """Save the ad account id, given as digits or as the full URN. Raises ValidationError if it is invalid."""
    return _save_details(company, {"ad_account_id": clean_ad_account_id(ad_account_id)})


def save_token_details(
    *,
    company: Company,
    fields: Collection[str],
    ad_account_id: str,
    expires_on: date | None,
) -> Connection:
    """Save the details of the current token that `fields` names. An empty `ad_account_id` changes nothing.

    Raises ValidationError if the account id is invalid.
    """
    ad_account_id = clean_ad_account_id(ad_account_id)
    values: dict[str, Any] = {}
    if ad_account_id and "ad_account_id" in fields:
        values["ad_account_id"] = ad_account_id
    if "expires_on" in fields:
        values["token_expires_on"] = expires_on
    return _save_details(company, values)


def _save_details(company: Company, values: dict[str, Any]) -> Connection:
    with transaction.atomic():
        connection = connection_of(company)
        if not values:
            return connection
        for name, value in values.items():
            setattr(connection, name, value)
        connection.save(update_fields=list(values))
        details: audit.Details = {"fields": list(values)}
        audit.record(
            company=company,
            action=AuditAction.AD_ACCOUNT_SAVED,
            about=connection,
            details=details,
        )
    return connection


def remove_token(*, company: Company) -> None:
    """Delete the token. Events are still planned, and wait for the next token."""
    with transaction.atomic():
        Connection.objects.for_company(company).update(
            sealed_token="",
            token_fingerprint="",
            token_version=F("token_version") + 1,
            token_saved_at=None,
            token_saved_by=None,
            token_expires_on=None,
            token_confirmed_at=None,
            **RESUMED,
        )
        pause_held_back(Connection.objects.for_company(company))
        audit.record(
            company=company,
            action=AuditAction.TOKEN_REMOVED,
            about=connection_of(company),
        )


def resume_connection(*, company: Company) -> None:
    """Resume a paused or resting connection with its current token. Raises SendingPaused.

    Events waiting for a retry become due now, too: oldest first, as many as fit into STEP_SECONDS. The others keep
    their scheduled time.
    """
    refuse_while_all_is_paused(company)
    with transaction.atomic():
        own = Connection.objects.for_company(company)
        # Without a pause, `resting_since` stays: only a response from LinkedIn shows that its trouble is over.
        if not own.filter(is_paused=True).update(**RESUMED):
            own.update(**RETRY_NOW)
        audit.record(
            company=company,
            action=AuditAction.CONNECTION_RESUMED,
            about=connection_of(company),
        )
    until = time.monotonic() + STEP_SECONDS
    while retries.hurry(company_id=company.pk) and time.monotonic() < until:
        pass
    # Not before they are due: a fast worker would find nothing.
    wake_on_commit(company.pk)


def clean_token(token: str) -> str:
    """The token without surrounding white space. Raises ValidationError, which never contains it."""
    token = token.strip()
    if not token:
        raise ValidationError(
            "Paste the access token from Campaign Manager.", code="empty"
        )
    if len(token) not in TOKEN_LENGTH:
        raise ValidationError(
            f"An access token has {TOKEN_LENGTH.start} to {TOKEN_LENGTH.stop - 1} characters. "
            "Copy it again, complete and on its own.",
            code="length",
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise ValidationError(
            "An access token is one line of ASCII characters without spaces. Copy it again.",
            code="characters",
        )
    return token


def clean_ad_account_id(text: str) -> str:
    """The bare account id from pasted text, or "" if it is empty. Raises ValidationError."""
    bare = text.strip().removeprefix(ACCOUNT_PREFIX)
    if bare:
        check_linkedin_id(bare)
    return bare


def resume_rules(rules: QuerySet[ConversionRule]) -> None:
    rules.update(
        is_paused=False, paused_reason=Reason.NONE, paused_message="", paused_at=None
    )
