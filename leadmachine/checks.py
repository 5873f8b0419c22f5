"""System checks of the wiring: what a production start can't do without. Each says what to do."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def production_settings(**kwargs: Any) -> list[CheckMessage]:
    """Errors for settings without which production is not safe. Nothing with `DEBUG` on."""
    if settings.DEBUG:
        return []
    wrong: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < 50 or settings.SECRET_KEY.startswith("django-insecure"):
        wrong.append(
            Error(
                "SECRET_KEY is missing or too short.",
                hint="Set SECRET_KEY to 50 or more random signs: "
                "python -c 'import secrets; print(secrets.token_urlsafe(64))'",
                id="leadmachine.E001",
            )
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        wrong.append(
            Error(
                "ALLOWED_HOSTS does not name the hosts that this installation answers for.",
                hint="Set ALLOWED_HOSTS, for example ALLOWED_HOSTS=crm.example.com",
                id="leadmachine.E002",
            )
        )
    return wrong
