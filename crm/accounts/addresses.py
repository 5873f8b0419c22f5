"""E-mail addresses that are known to belong to whom they say. A user has exactly one: `User.email`."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import password_reset
from django.db.models.signals import post_save
from django.dispatch import receiver

from crm.models import User


def confirm_address(user: User) -> None:
    """Take the user's address as theirs, and forget any other."""
    address = user.email.lower()
    EmailAddress.objects.filter(user=user).exclude(email=address).delete()
    EmailAddress.objects.update_or_create(user=user, email=address, defaults={"verified": True, "primary": True})


@receiver(password_reset)
def _came_from_a_mail(user: User, **kwargs: Any) -> None:
    # The link was in a mail to that address.
    confirm_address(user)


@receiver(post_save, sender=User)
def _address_changed(instance: User, created: bool, update_fields: Any, **kwargs: Any) -> None:
    """Drop a former address at once: no reset link goes there any more."""
    if not created and (update_fields is None or "email" in update_fields):
        EmailAddress.objects.filter(user=instance).exclude(email=instance.email.lower()).delete()
