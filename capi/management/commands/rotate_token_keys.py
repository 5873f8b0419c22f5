"""`manage.py rotate_token_keys`: seal every access token, and users' second factors, anew under the newest key."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from capi import vault
from capi.models import Connection
from crm.accounts import sealing


class Command(BaseCommand):
    help = "Seal every access token anew under the newest of LEADMACHINE_TOKEN_KEYS. Deliveries go on meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count, write nothing")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        unreadable: list[str] = []
        counts: Counter[str] = Counter()
        for pk, company, sealed in self._tokens():
            try:
                counts[self._rotate(pk, sealed, dry_run=dry_run)] += 1
            except vault.UnreadableToken:
                unreadable.append(company)
        second_factors = sealing.rotate(dry_run=dry_run)
        if second_factors:
            self.stdout.write(f"{second_factors} second factors of users {_done(dry_run)}.")
        self.stdout.write(f"{counts['new']} under the newest key, {counts['rotated']} {_done(dry_run)}.")
        if unreadable:
            raise CommandError(
                f"{len(unreadable)} can't be read with these keys: {', '.join(unreadable)}. Bring the old key back "
                "into LEADMACHINE_TOKEN_KEYS and run this again, or let the companies save their tokens anew."
            )
        left = counts["rotated"] if dry_run else self._left()
        self.stdout.write(f"{left} under old keys")

    def _rotate(self, pk: int, sealed: str, *, dry_run: bool) -> str:
        if vault.is_under_newest_key(sealed):
            return "new"
        resealed = vault.reseal(sealed)
        if not dry_run:
            # Only if it is still the one that was read: a token saved meanwhile is under the newest key already.
            Connection.objects.filter(pk=pk, sealed_token=sealed).update(sealed_token=resealed)
        return "rotated"

    def _left(self) -> int:
        return sum(not vault.is_under_newest_key(sealed) for _, _, sealed in self._tokens())

    def _tokens(self) -> list[tuple[int, str, str]]:
        saved = Connection.objects.exclude(sealed_token="").order_by("pk")
        return list(saved.values_list("pk", "company__slug", "sealed_token"))


def _done(dry_run: bool) -> str:
    return "would be sealed anew" if dry_run else "sealed anew"
