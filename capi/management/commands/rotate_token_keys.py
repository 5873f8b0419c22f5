"""`manage.py rotate_token_keys`: encrypt all access tokens and second factors with the newest key."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from capi.services import key_rotation
from capi.services.key_rotation import Inventory
from crm.models.crypto import KeyState, fingerprints


class Command(BaseCommand):
    help = (
        "Encrypt access tokens and second factors again with the newest of LEADMACHINE_TOKEN_KEYS. Deliveries "
        "continue meanwhile. Exits with 1 if anything is unreadable with these keys."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only count, don't write"
        )

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        newest, *older = fingerprints()
        self.stdout.write(f"Keys: {', '.join([f'{newest} (newest)', *older])}.")
        before = key_rotation.take_inventory()
        self.stdout.write(f"Access tokens: {_counts(before.tokens)}.")
        self.stdout.write(f"Client secrets: {_counts(before.client_secrets)}.")
        self.stdout.write(f"Second factors: {_counts(before.second_factors)}.")
        if dry_run:
            self.stdout.write("Dry run: nothing was written.")
            after = before
        else:
            self.stdout.write(f"{key_rotation.rotate()} encrypted again with {newest}.")
            after = key_rotation.take_inventory()
        self.stdout.write(f"{after.count(KeyState.OLDER)} left with older keys")
        if after.count(KeyState.UNREADABLE):
            raise CommandError(unreadable_message(after))


def _counts(rows: Sequence[tuple[object, KeyState]]) -> str:
    states = [state for _, state in rows]
    return (
        f"{states.count(KeyState.NEWEST)} with the newest key, {states.count(KeyState.OLDER)} with an older one, "
        f"{states.count(KeyState.UNREADABLE)} unreadable"
    )


def unreadable_message(inventory: Inventory) -> str:
    """Return whose secrets no key decrypts, and what to do."""
    companies = [
        company for company, state in inventory.tokens if state == KeyState.UNREADABLE
    ]
    users = {
        user: None
        for user, state in inventory.second_factors
        if state == KeyState.UNREADABLE
    }
    sentences = []
    if companies:
        sentences = [
            f"These keys can't decrypt the access tokens of {', '.join(companies)}."
        ]
    clients = [
        company
        for company, state in inventory.client_secrets
        if state == KeyState.UNREADABLE
    ]
    if clients:
        sentences.append(
            f"These keys can't decrypt the client secrets of {', '.join(clients)}."
        )
    if users:
        sentences.append(
            f"These keys can't decrypt the second factors of users {', '.join(map(str, users))}."
        )
    return " ".join(
        [
            *sentences,
            "Restore the missing key to LEADMACHINE_TOKEN_KEYS and run manage.py rotate_token_keys. If it is lost, ask "
            "the companies to save their tokens and client secrets again, and reset the second factors: "
            "manage.py reset_second_factor EMAIL.",
        ]
    )
