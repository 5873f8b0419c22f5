"""Who signed in, and who tried to: on record in each of the person's companies."""

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models import Q
from django.dispatch import receiver

from crm import audit
from crm.models import AuditAction, Membership, User

logger = logging.getLogger(__name__)


@receiver(user_logged_in)
def _signed_in(user: User, **kwargs: Any) -> None:
    logger.info("User %s signed in.", user.pk)
    _record(AuditAction.SIGN_IN, user)


@receiver(user_login_failed)
def _failed(credentials: dict[str, Any], **kwargs: Any) -> None:
    name = str(credentials.get("email") or credentials.get("username") or "").strip()
    user = User.objects.filter(Q(email__iexact=name) | Q(username=name)).first() if name else None
    # What was typed is repeated nowhere: it may be a password in the wrong field.
    logger.warning("A sign-in failed, for %s.", f"user {user.pk}" if user else "nobody we know")
    if user is not None:
        _record(AuditAction.SIGN_IN_FAILED, user)


def _record(action: AuditAction, user: User) -> None:
    for company_id in Membership.objects.filter(user=user).values_list("company", flat=True):
        audit.record(company=company_id, action=action, about=user, actor=user)
