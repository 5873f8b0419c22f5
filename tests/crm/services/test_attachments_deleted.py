"""The content of files goes with their rows, whatever deletes those, and a sweep deletes what is left over."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from django.db import transaction

from crm.models import Attachment, Company, Deal
from crm.models import file_storage as storage
from crm.services.attachments import delete_file, sweep
from crm.services.editing import delete
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead, make_note
from tests.crm.files import make_file, names_stored, put

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(company):
    return make_lead(company)


@pytest.fixture
def after_commit(django_capture_on_commit_callbacks):
    return lambda: django_capture_on_commit_callbacks(execute=True)


def folder(days_ago: int) -> str:
    """The folder of the files that were stored so many days ago."""
    return (datetime.now(UTC).date() - timedelta(days=days_ago)).isoformat()


def sweep_up():
    return sweep(lambda: None)


def test_its_content_is_deleted_after_the_commit_and_stays_where_that_fails(
    sales, lead, after_commit
):
    file = make_file(sales, lead)

    with after_commit(), pytest.raises(RuntimeError), transaction.atomic():
        delete_file(attachment=Attachment.objects.get())
        raise RuntimeError
    assert names_stored() == {file.stored_as}

    with after_commit():
        delete_file(attachment=file)
        assert names_stored() == {file.stored_as}
    assert names_stored() == set()


@pytest.mark.django_db(transaction=True)
def test_a_row_is_deleted_even_if_its_content_can_t_be(
    sales, lead, monkeypatch, caplog
):
    file = make_file(sales, lead)
    monkeypatch.setattr(
        "crm.models.attachment.discard",
        Mock(side_effect=OSError("the disk is read-only")),
    )

    delete_file(attachment=file)

    assert not Attachment.objects.exists()
    assert "the disk is read-only" in caplog.text


def test_files_go_with_their_deal_and_their_lead_and_stay_on_a_deal_that_was_moved(
    sales, lead, after_commit
):
    other = make_lead(lead.company, first_name="Grace", email="")
    moved, deal = make_deal(lead), make_deal(lead)
    on_moved, _, on_lead = (
        make_file(sales, subject) for subject in (moved, deal, lead)
    )
    Deal.objects.filter(pk=moved.pk).update(lead=other)

    with after_commit():
        delete(row=deal)
    assert names_stored() == {on_moved.stored_as, on_lead.stored_as}
    with after_commit():
        delete(row=lead)

    assert names_stored() == {on_moved.stored_as}
    assert list(Attachment.objects.values_list("lead", "deal")) == [(None, moved.pk)]


def test_files_go_with_their_company(sales, lead, after_commit):
    make_file(sales, lead)

    with after_commit():
        Company.objects.all().delete()

    assert names_stored() == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("S37")
def test_an_erasure_deletes_the_files_on_the_person_and_their_deals(sales, lead):
    other = make_lead(lead.company, first_name="Grace", email="")
    moved = make_deal(other)
    for subject in (
        lead,
        make_deal(lead),
        moved,
        make_note(sales, lead),
        make_note(sales, moved),
    ):
        make_file(sales, subject)
    kept = make_file(sales, other)
    Deal.objects.filter(pk=moved.pk).update(lead=lead)

    erase_lead(lead=lead)

    assert list(Attachment.objects.all()) == [kept]
    assert names_stored() == {kept.stored_as}


@pytest.mark.django_db(transaction=True)
def test_an_erasure_does_not_wait_for_a_storage_that_is_away(sales, lead, monkeypatch):
    tries = []

    def refuse(self, name):
        tries.append(name)
        raise ConnectionError

    for _ in range(3):
        make_file(sales, lead)
    monkeypatch.setattr(type(storage.storage()), "delete", refuse)

    erase_lead(lead=lead)

    assert not Attachment.objects.exists()
    assert len(tries) == 1
    assert len(names_stored()) == 3


def test_the_sweep_deletes_what_no_row_has_once_its_day_and_the_next_are_over(
    sales, lead
):
    file = make_file(sales, lead)
    Attachment.objects.update(stored_as=put(f"{folder(2)}/used"))
    young = put(f"{folder(1)}/young")
    put(f"{folder(2)}/orphan")
    others = put("backups/not-ours")

    assert sweep_up() == 1

    assert names_stored() == {f"{folder(2)}/used", young, others, file.stored_as}


def test_the_sweep_takes_a_step_before_each_deletion_so_that_a_slow_storage_is_no_standstill(
    company,
):
    for number in range(5):
        put(f"{folder(2)}/orphan-{number}")
    steps = []

    assert sweep(lambda: steps.append(1)) == 5

    assert len(steps) >= 5


def test_the_sweep_needs_no_storage_that_has_anything(company):
    assert sweep_up() == 0


def test_the_sweep_removes_the_folders_of_days_that_have_no_file_left(company):
    put(f"{folder(2)}/orphan")

    sweep_up()
    sweep_up()

    assert storage.storage().listdir("")[0] == []


def test_what_a_restore_has_left_is_deleted(sales, lead):
    """The file is there, and its row is not: the backup of the database was older."""
    put(f"{folder(2)}/stored-since")

    sweep_up()

    assert names_stored() == set()
