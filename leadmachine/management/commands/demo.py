"""`manage.py demo`: two companies with three months of history, and who can sign in there."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from capi.models.functions import database_now
from leadmachine import demo
from leadmachine.demo.people import CONTOSO, NORTHWIND, PASSWORD


class Command(BaseCommand):
    help = "Load the demo companies, unless they are there, and print who can sign in. Not for production."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG or settings.LINKEDIN_SANDBOX):
            raise CommandError(
                "The demo's passwords are public, so it is not for production. "
                "Set LINKEDIN_SANDBOX=on to load it all the same, or DEBUG=on."
            )
        loaded = demo.load(database_now())
        self.stdout.write("Demo companies loaded." if loaded else "The demo companies are there already.")
        self.stdout.write(f"\nSign in with the password {PASSWORD} as")
        for company in (NORTHWIND, CONTOSO):
            for person in company.people:
                self.stdout.write(f"  {person.email:24} {person.role.label:6} at {company.name}")
