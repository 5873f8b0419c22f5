"""`manage.py create_company NAME --admin EMAIL`: a company and its first admin, who needs no mail to sign in."""

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
from django.core.validators import validate_email

from crm.models import Company, User
from crm.services.companies import provision_company

PASSWORD: Final = "LEADMACHINE_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable


class Command(BaseCommand):
    help = (
        "Makes a company and its first admin, whose address counts as confirmed. The password is asked for, or taken "
        f"from {PASSWORD}. Somebody who has an account keeps their password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the company's name")
        parser.add_argument("--admin", required=True, metavar="EMAIL", help="the e-mail address of its first admin")

    def handle(self, *, name: str, admin: str, **options: Any) -> None:
        try:
            name, email = _new_name(name.strip()), _address(admin.strip().lower())
            user = _user_of(email) or _with_password(User(email=email))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        password = "you chose" if user._state.adding else "they have"
        company = provision_company(name=name, admin=user)
        self.stdout.write(f"Made the company {company} ({company.slug}), with user {user.pk} as its admin.")
        self.stdout.write(f"Sign in at {settings.SITE_URL}/login/ with the address and the password that {password}.")
        self.stdout.write("Next: the three steps on the LinkedIn page. The others are invited from the Company page.")


def _new_name(name: str) -> str:
    """The name, where it can be one and no company has it yet. Raises ValidationError."""
    Company._meta.get_field("name").clean(name, None)
    there = Company.objects.filter(name__iexact=name).first()
    if there is not None:
        raise ValidationError(f"There is a company “{there}” already ({there.slug}).")
    return name


def _address(email: str) -> str:
    validate_email(email)
    return email


def _user_of(email: str) -> User | None:
    """The user with this address, None where nobody has it.

    Raises ValidationError for one who is switched off, and for one who signed up with an address that nobody has
    confirmed: the password may be a stranger's.
    """
    user = User.objects.filter(email__iexact=email).first()
    if user is not None and not user.is_active:
        raise ValidationError(f"User {user.pk} is switched off. Activate them in /admin/ first, or name somebody else.")
    if user is not None and EmailAddress.objects.filter(user=user, verified=False).exists():
        raise ValidationError(
            f"User {user.pk} signed up with this address and never confirmed it, so anyone may have. "
            "Let its owner choose a new password by “Forgot your password?”, or delete the user in /admin/. "
            "Then run this again."
        )
    return user


def _with_password(user: User) -> User:
    """The new user with the password of the environment, or one that is typed. Raises ValidationError."""
    password = os.environ.get(PASSWORD) or _typed(user.email)
    validate_password(password, user)
    user.set_password(password)
    return user


def _typed(email: str) -> str:
    if not sys.stdin.isatty():
        raise ValidationError(f"There is no terminal to ask for the password: set {PASSWORD}.")
    password = getpass.getpass(f"Password for {email}: ")
    if password != getpass.getpass("The same again: "):
        raise ValidationError("The two differ. Nothing was made.")
    return password
