"""`manage.py demo`: load two companies with three months of history, and print their users."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from capi.models.functions import database_now
from crm.models import Company
from leadmachine import demo
from leadmachine.demo.people import CONTOSO, NORTHWIND, PASSWORD
from leadmachine.environment import env


class Command(BaseCommand):
    help = "Load the demo companies, unless they exist, and print their users. Not for production."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--set-up",
            action="store_true",
            help="what make run does: migrate, and load only into its own database",
        )

    def handle(self, *args: Any, set_up: bool = False, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "This is for development: the demo's passwords are public. A server is started as docs/production.md "
                "says. On a machine of your own, set DEBUG=on."
            )
        if set_up:
            call_command("migrate", interactive=False, verbosity=0)
            if reason := _other_database():
                return self.stdout.write(reason)
        self._load()

    def _load(self) -> None:
        loaded = demo.load(database_now())
        self.stdout.write(
            "Demo companies loaded." if loaded else "The demo companies already exist."
        )
        self.stdout.write(f"\nSign in with the password {PASSWORD} as")
        for company in (NORTHWIND, CONTOSO):
            for person in company.people:
                self.stdout.write(
                    f"  {person.email:24} {person.role.label:6} at {company.name}"
                )


def _other_database() -> str:
    """Return why users with a public password must not be added unasked; "" if they may be."""
    if Company.objects.filter(slug=NORTHWIND.slug).exists():
        return ""
    if env.str("DATABASE_URL", default=""):
        return (
            "DATABASE_URL names a database of your own, so no demo data was added. To add it, run manage.py demo with "
            "the same settings."
        )
    if Company.objects.exists():
        return "This database has companies of its own, so no demo data was added."
    return ""
