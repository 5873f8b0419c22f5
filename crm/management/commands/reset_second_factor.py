"""`manage.py reset_second_factor EMAIL`: let in a user who has lost their codes, or whose encryption key is lost."""

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management import BaseCommand, CommandError

from crm.accounts.mfa import reset_second_factor
from crm.models import User

NAMES: Final = {
    "webauthn": "passkeys",
    "totp": "authenticator app",
    "recovery_codes": "recovery codes",
}


class Command(BaseCommand):
    help = "Removes a user's app, passkeys and recovery codes, and signs them out. Verify who is asking first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "email", metavar="EMAIL", help="the e-mail address they sign in with"
        )

    def handle(self, *, email: str, **options: Any) -> None:
        user = User.objects.with_address(email)
        if user is None:
            raise CommandError("No user has this e-mail address.")
        removed, ended = reset_second_factor(user=user)
        if not removed:
            self.stdout.write(
                f"User {user.pk} has no second factor. Nothing was changed."
            )
            return
        names = " and ".join(NAMES[kind] for kind in removed)
        self.stdout.write(
            f"User {user.pk}: {names} removed, {ended} session{'' if ended == 1 else 's'} ended."
        )
        self.stdout.write(
            "They can now sign in with their password. Ask them to set up a second factor under “Your account”."
        )
