"""The columns that no one may read or look up, and how to reach each of them from a model."""

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import Model

SECRETS: dict[str, set[str]] = {
    "account.EmailConfirmation": {"key"},
    "capi.Attempt": {"sent_hashes"},
    "capi.Connection": {"sealed_token", "token_fingerprint"},
    "crm.AccountMail": {"content"},  # links for new passwords
    "crm.ApiKey": {"key_sha256"},
    "crm.CalendarFeed": {"token_sha256"},
    "crm.IdempotencyRecord": {"sha256"},
    "crm.IntakeSource": {"token_sha256", "sealed_secret"},
    "crm.Invitation": {"token_sha256"},
    "crm.Payload": {"body"},  # of the sender, whatever it is
    "crm.LeadSearch": {"key", "text"},  # a member's own, not even for their colleagues
    "crm.SignInProvider": {"sealed_secret"},
    "crm.TypedForm": {"key", "sealed"},
    "crm.User": {"password"},
    "mfa.Authenticator": {"data"},
    "sessions.Session": {"session_key", "session_data"},
    "socialaccount.SocialAccount": {"extra_data"},
    "socialaccount.SocialApp": {"secret", "key", "settings"},
    "socialaccount.SocialToken": {"token", "token_secret"},
    "usersessions.UserSession": {"session_key", "data"},
}
# Sound like secrets, and are none.
HARMLESS = {
    "capi.Connection": {
        "token_version",
        "token_saved_at",
        "token_saved_by",
        "token_expires_on",
        "token_confirmed_at",
    },
    "capi.ConversionEvent": {"once_key"},
    "capi.CountedLog": {"sealed_before"},
    "crm.BulkSelection": {"keys"},
    "crm.CustomField": {"key"},
    "crm.ExportSelection": {"keys"},
    "crm.LeadImportRow": {"key"},
    "crm.OrganisationDetails": {"key"},
    "crm.Payload": {"key"},
}
SOUNDS_SECRET = re.compile(
    "password|secret|token|hash|sha256|sealed|fingerprint|session_|^data$|^keys?$|_key$|^settings$"
)
RELATIONS_AT_MOST = 3


def columns_that_sound_secret() -> set[tuple[str, str]]:
    return {
        (model._meta.label, field.name)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
        if SOUNDS_SECRET.search(field.name) and not field.is_relation
    }


def paths_to_secrets(model: type[Model]) -> list[str]:
    """For each secret column that a lookup can reach from the model, over relations in both directions, the shortest
    path.
    """
    found = [
        (path, field)
        for path, field in paths(model)
        if field.name in SECRETS.get(field.model._meta.label, ())
    ]
    longest_first = sorted(found, key=lambda each: -len(each[0]))
    return list({field: path for path, field in longest_first}.values())


def paths(
    model: type[Model], before: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any]]:
    for field in model._meta.get_fields():
        name = _query_name(field)
        if not field.is_relation:
            yield "__".join((*before, name)), field
        elif len(before) < RELATIONS_AT_MOST and field.related_model:
            yield from paths(field.related_model, (*before, name))


def _query_name(field: Any) -> str:
    return str(
        field.field.related_query_name()
        if field.auto_created and not field.concrete
        else field.name
    )
