"""`manage.py demo`: load two companies with three months of history, and print their users."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from capi.models.functions import database_now
from leadmachine import demo
from leadmachine.demo.people import CONTOSO, NORTHWIND, PASSWORD


class Command(BaseCommand):
    help = "Load the demo companies, unless they exist, and print their users. Not for production."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or settings.LINKEDIN_SANDBOX):
            raise CommandError(
                "The demo's passwords are public, so it is not for production. "
                "To load it anyway, set LINKEDIN_SANDBOX=on or DEBUG=on."
            )
        loaded = demo.load(database_now())
        self.stdout.write("Demo companies loaded." if loaded else "The demo companies already exist.")
        self.stdout.write(f"\nSign in with the password {PASSWORD} as")
        for company in (NORTHWIND, CONTOSO):
            for person in company.people:
                self.stdout.write(f"  {person.email:24} {person.role.label:6} at {company.name}")
