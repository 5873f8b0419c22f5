"""`manage.py pause_sending`: pause all sending, as after restoring a backup."""

from typing import Any

from django.core.management import BaseCommand

from capi.delivery import pauses


class Command(BaseCommand):
    help = "Pause sending for every company, test events included, until manage.py resume_sending."

    def handle(self, **options: Any) -> None:
        count = pauses.pause_all()
        self.stdout.write(
            f"All sending is paused (companies with a connection: {count})."
        )
        self.stdout.write("Events are kept. To send them: manage.py resume_sending")
