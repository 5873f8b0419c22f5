"""Django's `loaddata`, plus the CRM events of the leads and deals that it loads."""

from collections.abc import Sequence

from django.core.management.commands import loaddata

from crm.models.fixtures import restoring


class Command(loaddata.Command):
    def loaddata(self, fixture_labels: Sequence[str]) -> None:
        with restoring(self.using):
            super().loaddata(fixture_labels)
