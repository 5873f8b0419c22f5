"""`manage.py resume_sending`: send again, after restoring a backup or after pause_sending."""

from typing import Any

from django.core.management import BaseCommand

from capi.delivery import pauses


class Command(BaseCommand):
    help = (
        "Resume sending for every company, from this database. After restoring a backup, first run "
        "manage.py repeat_privacy_changes."
    )

    def handle(self, **options: Any) -> None:
        if count := pauses.resume_all():
            self.stdout.write(
                f"Sending resumed (companies: {count}). Workers send what is due within seconds."
            )
        else:
            self.stdout.write("Sending was not paused.")
