"""`manage.py create_company NAME --admin EMAIL`: create a company and its first admin, with no e-mail to confirm."""

import getpass
import os
import sys
from argparse import ArgumentParser
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError

from crm.models import Company, User
from crm.models.addresses import account_address
from crm.services.companies import provision_company

PASSWORD: Final = "LEADMACHINE_ADMIN_PASSWORD"  # noqa: S105 - the name of an environment variable


class Command(BaseCommand):
    help = (
        "Creates a company and its first admin, whose address counts as confirmed. Prompts for the password unless "
        f"{PASSWORD} is set. An existing user keeps their password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the company's name")
        parser.add_argument(
            "--admin",
            required=True,
            metavar="EMAIL",
            help="the e-mail address of its first admin",
        )

    def handle(self, *, name: str, admin: str, **options: Any) -> None:
        try:
            name, email = _new_name(name.strip()), account_address(admin)
            user = _user_of(email) or _with_password(User(email=email))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        sign_in_with = "their existing password"
        if user._state.adding:
            sign_in_with = "the password that you chose"
        company = provision_company(name=name, admin=user)
        self.stdout.write(
            f"Created the company {company} ({company.slug}), with user {user.pk} as its admin."
        )
        self.stdout.write(
            f"Sign in at {settings.SITE_URL}/login/ with this address and {sign_in_with}."
        )
        self.stdout.write(
            "Next: follow the three steps on the LinkedIn page, and invite colleagues from the Company page."
        )


def _new_name(name: str) -> str:
    """Return the name. Raises ValidationError if it is invalid or taken."""
    Company._meta.get_field("name").clean(name, None)
    existing = Company.objects.filter(name__iexact=name).first()
    if existing is not None:
        raise ValidationError(
            f"There is already a company “{existing}” ({existing.slug})."
        )
    return name


def _user_of(email: str) -> User | None:
    """Return the user with this address, or None.

    Raises ValidationError for an inactive user, and for one who signed up without confirming the address: the password
    may be a stranger's.
    """
    user = User.objects.with_address(email)
    if user is None:
        return None
    if not user.is_active:
        raise ValidationError(
            f"User {user.pk} is inactive. Activate them in /admin/ first, or choose another admin."
        )
    addresses = EmailAddress.objects.filter(user=user, email=user.email)
    if addresses.filter(verified=False).exists():
        raise ValidationError(
            f"User {user.pk} signed up with this address but never confirmed it, so it may have been anyone. "
            "Ask its owner to set a new password with “Forgot your password?”, or delete the user in /admin/. "
            "Then run this command again."
        )
    return user


def _with_password(user: User) -> User:
    """Set the password from the environment or the prompt. Raises ValidationError."""
    password = os.environ.get(PASSWORD) or _prompted(user.email)
    validate_password(password, user)
    user.set_password(password)
    return user


def _prompted(email: str) -> str:
    if not sys.stdin.isatty():
        raise ValidationError(
            f"There is no terminal to prompt for the password: set {PASSWORD}."
        )
    password = getpass.getpass(f"Password for {email}: ")
    if password != getpass.getpass("Repeat the password: "):
        raise ValidationError("The passwords don't match. Nothing was created.")
    return password
