"""Several people merge, undo, erase and change the same leads at once: one of them wins, and nothing is half done."""

import threading

import pytest
from django.db import connection, transaction

from crm.data_exchange.importing.matching import existing_leads, person_key
from crm.models import CrmEvent, Lead, LeadImport, LeadMerge
from crm.models.lead import LeadMerged
from crm.services.editing import delete
from crm.services.erasure import erase_lead
from crm.services.lead_merges import MergeRefused, merge_leads
from crm.services.merge_undo import undo_merge
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import make_deal, make_lead
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls) -> list[BaseException | None]:
    """Run the calls at once. Returns the exception of each, or None."""
    barrier, raised = threading.Barrier(len(calls)), [None] * len(calls)

    def run(at: int) -> None:
        try:
            barrier.wait()
            calls[at]()
        except BaseException as error:
            raised[at] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.fixture
def leads(company):
    first, second = make_lead(company), make_lead(company, email="second@example.com")
    make_deal(first)
    make_deal(second)
    return first, second


def test_of_two_merges_of_the_same_leads_one_is_refused(leads):
    first, second = leads

    raised = at_once(
        lambda: merge_leads(kept=first, gone=second),
        lambda: merge_leads(kept=second, gone=first),
    )

    assert sorted(type(each).__name__ for each in raised) == [
        "MergeRefused",
        "NoneType",
    ]
    assert LeadMerge.objects.count() == 1
    [kept] = Lead.objects.current()
    assert (kept.deals.count(), kept.crm_events.count()) == (
        2,
        CrmEvent.objects.count(),
    )


def test_a_merge_that_is_undone_twice_is_undone_once(leads):
    first, second = leads
    merge = merge_leads(kept=first, gone=second)

    raised = at_once(lambda: undo_merge(merge=merge), lambda: undo_merge(merge=merge))

    assert sorted(type(each).__name__ for each in raised) == [
        "MergeRefused",
        "NoneType",
    ]
    assert [lead.deals.count() for lead in leads] == [1, 1]


@pytest.mark.parametrize("erased", [0, 1])
def test_a_person_who_is_erased_meanwhile_is_erased_with_all_that_was_merged(
    leads, erased
):
    first, second = leads

    raised = at_once(
        lambda: merge_leads(kept=first, gone=second),
        lambda: erase_lead(lead=leads[erased]),
    )

    # The other one has what there is of the person: nothing is half erased.
    if isinstance(raised[1], LeadMerged):
        assert (raised[0], erased) == (None, 1)
        assert not Lead.objects.filter(email="").exists()
        return
    assert raised[1] is None
    assert raised[0] is None or isinstance(raised[0], MergeRefused)
    assert Lead.objects.get(pk=leads[erased].pk).email == ""
    if raised[0] is None:
        assert not Lead.objects.exclude(email="").exists()
    assert not LeadMerge.objects.filter(kept__erased_at__isnull=False).exists()


def test_an_import_that_waited_for_a_merge_writes_to_the_lead_that_was_kept(
    company, leads
):
    kept, gone = leads
    row, found = {"email": gone.email}, []

    def find() -> None:
        with transaction.atomic():
            lead_import = LeadImport.objects.create(company=company, size=1)
            found.append(
                existing_leads(lead_import, {person_key(row): row}, locks=True)
            )
        connection.close()

    finding = threading.Thread(target=find)
    with transaction.atomic():
        merge_leads(kept=kept, gone=gone)
        finding.start()
        wait_for(
            somebody_waits,
            seconds=30,
            told="The import did not come to wait for the lead.",
        )
    finding.join()

    assert found == [{person_key(row): kept}]


def test_a_deletion_locks_the_merged_leads_in_the_order_of_all_changes(leads):
    older, kept = leads
    merge_leads(kept=kept, gone=older)

    def delete_kept() -> None:
        delete(row=kept)
        connection.close()

    deleting = threading.Thread(target=delete_kept)
    with transaction.atomic():
        Lead.objects.select_for_update(no_key=True).get(pk=older.pk)
        deleting.start()
        wait_for(
            somebody_waits,
            seconds=30,
            told="The deletion did not come to wait for the lead.",
        )
        # Otherwise this would be a deadlock.
        Lead.objects.select_for_update(no_key=True, nowait=True).get(pk=kept.pk)
    deleting.join()

    assert not Lead.objects.exists()
