"""Signal receivers for sign-ins, failed sign-ins and changes of e-mail address."""

import logging
from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, email_confirmed, password_reset
from allauth.account.signals import user_logged_in as login_completed
from allauth.account.stages import EmailVerificationStage, LoginStageController
from allauth.socialaccount.models import SocialLogin
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models import Q
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from crm.accounts.sessions import SIGN_OUT_URL, note_password, provider_of
from crm.models import AuditAction, Membership, User
from crm.models.people import USERNAME_LENGTH, free_username
from crm.services import audit
from crm.services.calendar_feeds import remove_feeds_of
from crm.services.people import confirm_address

# E-mail addresses: a user has exactly one, `User.email`


@receiver(password_reset)
def _password_reset(user: User, **kwargs: Any) -> None:
    # The link was sent to that address.
    confirm_address(user)


@receiver(email_changed)
def _sign_in_follows(
    user: User, from_email_address: EmailAddress, **kwargs: Any
) -> None:
    """Free the old address as a username, so that someone else can sign up with it."""
    if (
        from_email_address
        and user.username == from_email_address.email[:USERNAME_LENGTH]
    ):
        user.username = free_username(user.email)
        user.save(update_fields=["username"])


@receiver(email_confirmed)
def _address_confirmed(
    request: HttpRequest, email_address: EmailAddress, **kwargs: Any
) -> None:
    """Record the sign-in that this completes as one with a password, which was typed a moment ago at sign-up.

    In another browser, the link only confirms the address. A sign-in with a provider stays one.
    """
    user = email_address.user
    begun = None
    if not request.user.is_authenticated:
        begun = LoginStageController.enter(request, EmailVerificationStage.key)
    if begun and begun.login.user == user and not provider_of(request, user):
        note_password(request, user, method="email")


@receiver(pre_save, sender=User)
def _address_changes(instance: User, update_fields: Any, **kwargs: Any) -> None:
    """Delete the previous address, and one not confirmed yet, so that no link to either works any more."""
    if update_fields is not None and "email" not in update_fields:
        return
    if User.objects.filter(pk=instance.pk).exclude(email=instance.email).exists():
        EmailAddress.objects.filter(user=instance).exclude(
            email=instance.email
        ).delete()


@receiver(pre_save, sender=User)
def _switched_off(instance: User, update_fields: Any, **kwargs: Any) -> None:
    """End the calendar links of a user whom the operator switches off: they stay ended if the user comes back."""
    if (
        instance.pk
        and not instance.is_active
        and (update_fields is None or "is_active" in update_fields)
    ):
        remove_feeds_of(user=instance)


# Sign-ins, recorded in the audit log of each of the user's companies

logger = logging.getLogger(__name__)


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    logger.info("User %s signed in.", user.pk)
    provider = provider_of(request, user)
    _record(
        AuditAction.SIGN_IN,
        user,
        *([Q(company__sign_in_provider__code=provider)] if provider else []),
    )


@receiver(login_completed)
def _signed_in_by_provider(
    request: HttpRequest, sociallogin: SocialLogin | None = None, **kwargs: Any
) -> None:
    if sociallogin:
        request.session[SIGN_OUT_URL] = sociallogin.state.get(SIGN_OUT_URL, "")


@receiver(user_login_failed)
def _failed(credentials: dict[str, Any], **kwargs: Any) -> None:
    name = str(credentials.get("email") or credentials.get("username") or "").strip()
    user = (
        User.objects.with_address(name)
        if "@" in name
        else User.objects.filter(username=name).first()
    )
    # Never log the input: it may be a password in the wrong field.
    logger.warning(
        "Failed sign-in for %s.", f"user {user.pk}" if user else "an unknown user"
    )
    if user is not None:
        _record(AuditAction.SIGN_IN_FAILED, user)


def _record(action: AuditAction, user: User, *conditions: Q) -> None:
    companies = Membership.objects.filter(*conditions, user=user).values_list(
        "company", flat=True
    )
    audit.record_in_each(companies, action=action, about=user, actor=user)
