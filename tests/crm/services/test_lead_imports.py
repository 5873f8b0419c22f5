"""Imports as people and keys steer them: what is started at this moment stays."""

import threading

import pytest
from django.db import connection, transaction

from crm.models import LeadImport, Membership
from crm.services import lead_imports
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.crm.importing.uploading import PEOPLE, upload
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


def test_an_import_that_is_started_at_this_moment_is_not_discarded(sales: Membership) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes one transaction after the other.")
    ready, discarded = upload(sales, PEOPLE), []

    def discard() -> None:
        discarded.append(lead_imports.discard(lead_import=ready))
        connection.close()

    discarding = threading.Thread(target=discard)
    with transaction.atomic():
        lead_imports.start(lead_import=ready, owner=None, tells_platforms=False, actor=sales.user)
        discarding.start()
        wait_for(somebody_waits, seconds=30, told="The deletion did not come to wait for the import.")
    discarding.join()

    assert discarded == [False]
    assert LeadImport.objects.get().state == "running"
