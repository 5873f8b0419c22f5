"""`manage.py rotate_token_keys`: seal every access token, and users' second factors, again under the newest key."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from capi.services import key_rotation
from capi.services.key_rotation import Inventory
from crm.models.crypto import KeyState, fingerprints


class Command(BaseCommand):
    help = (
        "Seal access tokens and second factors again under the newest of LEADMACHINE_TOKEN_KEYS. Deliveries go on "
        "meanwhile. Ends with 1 where something can't be opened with the keys that are there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count, write nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        newest, *older = fingerprints()
        self.stdout.write(f"Keys: {', '.join([f'{newest} (newest)', *older])}.")
        before = key_rotation.take_inventory()
        self.stdout.write(f"Access tokens: {_counts(before.tokens)}.")
        self.stdout.write(f"Second factors: {_counts(before.second_factors)}.")
        if dry_run:
            self.stdout.write("A dry run: nothing was written.")
            after = before
        else:
            self.stdout.write(f"{key_rotation.rotate()} sealed again under {newest}.")
            after = key_rotation.take_inventory()
        self.stdout.write(f"{after.count(KeyState.OLDER)} under old keys")
        if after.count(KeyState.UNREADABLE):
            raise CommandError(_what_is_lost(after))


def _counts(rows: Sequence[tuple[object, KeyState]]) -> str:
    states = [state for _, state in rows]
    return (
        f"{states.count(KeyState.NEWEST)} under the newest key, {states.count(KeyState.OLDER)} under an older one, "
        f"{states.count(KeyState.UNREADABLE)} unreadable"
    )


def _what_is_lost(inventory: Inventory) -> str:
    companies = [company for company, state in inventory.tokens if state == KeyState.UNREADABLE]
    users = {user: None for user, state in inventory.second_factors if state == KeyState.UNREADABLE}
    lost = [f"The access tokens of {', '.join(companies)} can't be opened with these keys."] if companies else []
    if users:
        lost.append(f"The second factors of users {', '.join(map(str, users))} can't be opened with these keys.")
    return " ".join(
        [
            *lost,
            "Bring the missing key back into LEADMACHINE_TOKEN_KEYS and run this again. If it is gone for good, let "
            "the companies save their tokens again, and reset the second factors: manage.py reset_second_factor EMAIL.",
        ]
    )
