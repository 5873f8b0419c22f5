"""Files: no row without its content, nothing readable without a row, and never more than a company may keep."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connections
from django.utils import timezone

from crm.models import ApiKey, Attachment, Change, CrmEvent, Deal, Lead, Note
from crm.models import file_storage as storage
from crm.models.attachment import MAX_BYTES, MAX_ON_NOTE
from crm.models.file_storage import StorageFailed
from crm.models.lead import PersonErased
from crm.models.roles import Role
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services.attachments import add_files, may_delete, stored
from crm.services.notes import delete_note
from tests.conftest import join, make_deal, make_lead, make_note
from tests.crm.files import AWAY, CONTENT, content_of, make_file, names_stored, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(company):
    return make_lead(company)


def test_a_file_has_a_row_and_its_content(sales, lead):
    deal = make_deal(lead)

    on_lead, on_deal = (
        make_file(sales, lead),
        make_file(sales, deal, "Contract.docx", b"PK"),
    )

    assert (on_lead.lead, on_lead.deal, on_lead.size, content_of(on_lead)) == (
        lead,
        None,
        len(CONTENT),
        CONTENT,
    )
    assert (on_deal.lead, on_deal.deal, str(on_deal), content_of(on_deal)) == (
        lead,
        deal,
        "Contract.docx",
        b"PK",
    )
    assert names_stored() == {on_lead.stored_as, on_deal.stored_as}


def test_its_name_on_the_storage_says_nothing_about_it(sales, lead):
    file = make_file(sales, lead, "Ada Lovelace.pdf")

    day, _, name = file.stored_as.partition("/")
    assert day == datetime.now(UTC).date().isoformat()
    assert len(name) == 32
    assert int(name, 16)


def test_it_says_who_added_it(sales, company, lead):
    key, _ = ApiKey.objects.issue(company=company, role="sales", name="Scanner")

    by_sales = make_file(sales, lead)
    with stored([upload()], company=company) as files:
        by_key = add_files(subject=lead, files=files, author=key)[0]

    assert (by_sales.author, by_key.author) == (sales.user, key)


def test_a_file_changes_nothing_else(sales, lead):
    Lead.objects.update(updated_at=timezone.now() - timedelta(days=3))
    before = (
        Lead.objects.get().updated_at,
        CrmEvent.objects.count(),
        Change.objects.count(),
    )

    make_file(sales, lead).delete()

    assert (
        Lead.objects.get().updated_at,
        CrmEvent.objects.count(),
        Change.objects.count(),
    ) == before


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Offer 3, März.pdf", "Offer 3, März.pdf"),
        ("C:\\Users\\ada\\offer.pdf", "offer.pdf"),
        ("../../etc/passwd", "passwd"),
        ("Ada\u202exe.pdf", "Adaxe.pdf"),
        ("off\x00er\r\n\x1b.pdf", "offer.pdf"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_its_name_is_as_typed_but_for_what_could_deceive(sales, lead, typed, shown):
    file = upload()
    # Bypasses Django's own cleaning, which not every upload goes through.
    file._name = typed

    with stored([file], company=sales.company) as files:
        added = add_files(subject=lead, files=files, author=sales)[0]

    assert added.name == shown


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "Choose a file first."),
        ([upload(), upload("Empty.txt", b"")], "Empty.txt is empty."),
        (None, "25 MB"),
    ],
    ids=["none", "empty", "too large"],
)
def test_what_can_not_be_kept_is_refused_before_anything_is_stored(
    company, lead, files, message
):
    if files is None:
        large = upload()
        large.size = MAX_BYTES + 1
        files = [upload(), large]

    with pytest.raises(ValidationError, match=message), stored(files, company=company):
        pass

    assert names_stored() == set()


def test_a_storage_that_is_away_leaves_nothing(company, lead, settings):
    settings.STORAGES = {**settings.STORAGES, "attachments": {"BACKEND": AWAY}}

    with (
        pytest.raises(StorageFailed, match="Nothing was uploaded"),
        stored([upload()], company=company),
    ):
        pass

    assert not Attachment.objects.exists()


def test_a_disk_that_fills_up_half_way_leaves_nothing(company, lead, monkeypatch):
    disk, stored_before = type(storage.storage()), []
    save = disk.save

    def save_first(self, name, content):
        if stored_before:
            raise OSError(28, "No space left on device")
        stored_before.append(save(self, name, content))
        return stored_before[0]

    monkeypatch.setattr(disk, "save", save_first)
    with pytest.raises(StorageFailed), stored([upload(), upload()], company=company):
        pass

    assert len(stored_before) == 1
    assert names_stored() == set()


@pytest.mark.parametrize("on_deal", [False, True])
def test_nothing_is_kept_of_someone_who_has_been_erased_meanwhile(sales, lead, on_deal):
    subject = make_deal(lead) if on_deal else lead
    Lead.objects.update(
        erased_at=timezone.now(), first_name="", email="", share_with_ad_platforms=False
    )

    with pytest.raises(PersonErased):
        make_file(sales, subject)

    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_nothing_is_kept_on_a_deal_that_has_been_deleted_meanwhile(sales, lead):
    deal = make_deal(lead)
    Deal.objects.get().delete()

    with pytest.raises(DeletedMeanwhile):
        make_file(sales, deal)

    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_where_nobody_knows_how_a_commit_ended_the_content_stays_for_the_sweep(
    company, lead
):
    with pytest.raises(OperationalError), stored([upload()], company=company):
        raise OperationalError("the connection was lost in the commit")

    assert len(names_stored()) == 1


def test_a_full_company_is_told_so_and_another_is_not(
    sales, other_company, lead, settings
):
    settings.FILES_MB_PER_COMPANY = 1
    make_file(sales, lead, content=b"x" * 700_000)
    stranger = join(other_company, Role.SALES, email="sales@contoso.example")

    with pytest.raises(ValidationError) as refusal:
        make_file(sales, lead, content=b"x" * 700_000)
    make_file(stranger, make_lead(other_company), content=b"x" * 700_000)

    assert (
        "no room left for this. Your company uses 683.6\xa0KB of 1.0\xa0MB."
        in refusal.value.message
    )
    assert (Attachment.objects.count(), len(names_stored())) == (2, 2)


def test_a_note_has_room_for_so_many_files(sales, lead):
    note = make_note(sales, lead)
    for _ in range(MAX_ON_NOTE):
        make_file(sales, note)
    make_file(sales, lead)

    with pytest.raises(ValidationError, match="files can be kept on a note"):
        make_file(sales, note)

    assert len(names_stored()) == MAX_ON_NOTE + 1


def test_nothing_is_kept_on_a_note_that_has_been_deleted_meanwhile(sales, lead):
    note = make_note(sales, lead)
    delete_note(note=Note.objects.get())

    with pytest.raises(ValidationError, match="note has since been deleted"):
        make_file(sales, note)

    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_a_note_on_a_deal_that_was_moved_still_takes_files(sales, lead):
    deal, other = make_deal(lead), make_lead(lead.company, first_name="Grace", email="")
    make_note(sales, deal)
    Deal.objects.filter(pk=deal.pk).update(lead=other)

    file = make_file(sales, Note.objects.get())

    assert (file.lead, file.deal, file.note) == (lead, deal, Note.objects.get())


def test_a_lead_has_room_for_so_many_files(sales, lead, monkeypatch):
    monkeypatch.setattr("crm.services.attachments.MAX_FILES", 2)
    make_file(sales, lead)
    make_file(sales, lead)
    make_file(sales, make_deal(lead))

    with pytest.raises(ValidationError, match="files can be kept on a lead"):
        make_file(sales, lead)

    assert (Attachment.objects.count(), len(names_stored())) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_two_uploads_at_once_can_not_pass_the_limit_together(sales, lead, settings):
    settings.FILES_MB_PER_COMPANY = 1
    both_are_stored, refused = Barrier(2, timeout=60), []

    def add():
        try:
            with stored(
                [upload(content=b"x" * 700_000)], company=sales.company
            ) as files:
                both_are_stored.wait()
                add_files(subject=lead, files=files, author=sales)
        except ValidationError:
            refused.append(True)
        finally:
            connections.close_all()

    threads = [Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == [True]
    assert names_stored() == {Attachment.objects.get().stored_as}


def test_whoever_added_a_file_may_delete_it_and_so_may_an_admin(
    sales, admin, company, lead
):
    colleague, file = (
        join(company, Role.SALES, email="other@example.com"),
        make_file(sales, lead),
    )

    assert [may_delete(file, each) for each in (sales, colleague, admin)] == [
        True,
        False,
        True,
    ]
    sales.role = "ops"
    assert not may_delete(file, sales)
