"""Files on the pages of leads and deals."""

import pytest
from django.core.handlers.base import BaseHandler
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.accounts.bodies import MAX_UPLOAD_BODY_BYTES, UPLOAD_PATHS
from crm.models import Attachment, Deal, Lead
from crm.models import file_storage as storage
from crm.models.attachment import MAX_BYTES
from crm.models.roles import Role
from crm.services.undo import undo
from tests.conftest import join, make_deal, make_lead, make_note
from tests.crm.files import AWAY, CONTENT, content_of, make_file, names_stored, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(company):
    return make_lead(company)


def told(answer, client: Client) -> str:
    return client.get(answer.url).content.decode()


def test_files_are_added_to_a_lead_several_at_once(client_as, sales, lead):
    client = client_as(sales)

    answer = client.post(
        f"/leads/{lead.pk}/files/",
        {"file": [upload("Offer.pdf"), upload("Seats.csv", b"a,b")]},
    )

    page = told(answer, client)
    files = {file.name: file for file in Attachment.objects.all()}
    assert answer.url == f"/leads/{lead.pk}/"
    assert {name: (file.lead, file.deal, content_of(file)) for name, file in files.items()} == {
        "Offer.pdf": (lead, None, CONTENT), "Seats.csv": (lead, None, b"a,b"),
    }  # fmt: skip
    assert "2 files were added." in page
    assert "<bdi>Offer.pdf</bdi>" in page
    assert "by <bdi>Sales Jansen</bdi>" in page


def test_a_file_on_a_deal_is_on_its_page_and_not_on_that_of_its_lead(
    client_as, sales, lead
):
    deal, client = make_deal(lead), client_as(sales)

    answer = client.post(f"/deals/{deal.pk}/files/", {"file": upload()})

    assert "Offer.pdf was added." in told(answer, client)
    assert "<bdi>Offer.pdf</bdi>" in client.get(f"/deals/{deal.pk}/").content.decode()
    assert "Offer.pdf" not in client.get(f"/leads/{lead.pk}/").content.decode()
    assert Attachment.objects.get().lead == lead


@pytest.mark.parametrize("about", ["lead", "deal"])
def test_files_on_a_note_are_shown_with_it_and_not_among_those_of_its_lead_or_deal(
    client_as, sales, lead, about
):
    subject = make_deal(lead) if about == "deal" else lead
    note, client = make_note(sales, subject), client_as(sales)
    path = f"/notes/{note.pk}/files/"

    answer = client.post(
        path, {"file": [upload("Offer.pdf"), upload("Seats.csv", b"a,b")]}
    )

    page = told(answer, client)
    assert answer.url == subject.get_absolute_url()
    assert "2 files were added." in page
    timeline, files = page.split('id="timeline"')[1], page.split('id="files"')[1]
    assert "<bdi>Offer.pdf</bdi>" in timeline.split("</ol>")[0]
    assert "No files yet." in files
    assert path in page
    kept = set(Attachment.objects.values_list("name", "lead", "deal", "note"))
    on_deal = subject.pk if about == "deal" else None
    assert kept == {
        (name, lead.pk, on_deal, note.pk) for name in ("Offer.pdf", "Seats.csv")
    }
    form = client.get(path).content.decode()
    assert "Seats.csv" in form
    assert "Wants forty seats" in form


def test_a_note_that_is_deleted_takes_its_files_along(
    client_as, sales, lead, django_capture_on_commit_callbacks
):
    note, client = make_note(sales, lead), client_as(sales)
    path = f"/notes/{note.pk}/delete/"
    assert "with its files" not in client.get(path).content.decode()
    make_file(sales, note)
    other = make_file(sales, lead)

    assert "with its files" in client.get(path).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(path)

    assert Attachment.objects.get() == other
    assert names_stored() == {other.stored_as}


def test_the_routes_that_take_files_are_those_that_the_web_server_lets_them_through_to(
    company, lead
):
    nouns = ("lead", "deal", "note", "task")
    assert [
        bool(UPLOAD_PATHS.fullmatch(f"/{noun}s/{lead.pk}/files/")) for noun in nouns
    ] == [True, True, True, False]
    assert MAX_UPLOAD_BODY_BYTES > MAX_BYTES


def test_a_body_that_is_too_large_is_refused_unread(client_as, sales, lead):
    answer = client_as(sales).post(
        f"/leads/{lead.pk}/files/",
        {"file": upload()},
        CONTENT_LENGTH=str(MAX_UPLOAD_BODY_BYTES + 1),
    )

    assert answer.status_code == 413
    assert "At most 25 MB can be sent here." in answer.content.decode()


def test_a_download_is_never_shown_on_our_origin(client_as, sales, lead):
    file = make_file(sales, lead, "Größe <b>.html", b"<script>alert(1)</script>")

    answer = client_as(sales).get(
        file.get_absolute_url(), headers={"Accept-Encoding": "gzip"}
    )

    assert b"".join(answer) == b"<script>alert(1)</script>"
    assert {name: answer[name] for name in ("Content-Type", "X-Content-Type-Options", "Content-Length")} == {
        "Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Content-Length": "25",
    }  # fmt: skip
    assert (
        answer["Content-Disposition"]
        == "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe%20%3Cb%3E.html"
    )
    assert "no-store" in answer["Cache-Control"]


def test_the_web_server_gets_the_open_file_so_that_a_slow_reader_takes_no_thread(
    client_as, sales, lead
):
    file, client = make_file(sales, lead), client_as(sales)
    cookies = "; ".join(
        f"{name}={morsel.value}" for name, morsel in client.cookies.items()
    )
    request = RequestFactory(
        headers={"Accept-Encoding": "gzip", "Cookie": cookies}
    ).get(file.get_absolute_url())
    handler = BaseHandler()
    handler.load_middleware()

    answer = handler.get_response(request)

    assert answer.file_to_stream.read() == CONTENT
    answer.close()


@pytest.mark.parametrize(
    "name", ['a"b\\c.pdf', "a;filename=b.exe", "ünï.pdf", "x" * 200]
)
def test_no_name_breaks_the_header(client_as, sales, lead, name):
    file = make_file(sales, lead)
    Attachment.objects.update(name=name)

    answer = client_as(sales).get(file.get_absolute_url())
    header = answer["Content-Disposition"]

    assert b"".join(answer) == CONTENT
    assert header.startswith("attachment; filename")
    assert "\n" not in header


def test_ops_see_no_files_and_can_add_or_fetch_none(client_as, sales, ops, lead):
    file, client = make_file(sales, lead), client_as(ops)

    assert "Offer.pdf" not in client.get(f"/leads/{lead.pk}/").content.decode()
    assert client.get(file.get_absolute_url()).status_code == 403
    assert (
        client.post(f"/leads/{lead.pk}/files/", {"file": upload()}).status_code == 403
    )
    assert client.post(f"/files/{file.pk}/delete/").status_code == 403
    assert len(names_stored()) == 1


def test_another_companys_files_are_a_404(client_as, sales, other_company, lead):
    stranger = client_as(join(other_company, Role.ADMIN, email="admin@contoso.example"))
    file = make_file(sales, lead)

    answers = [
        stranger.get(file.get_absolute_url()),
        stranger.post(f"/files/{file.pk}/delete/"),
        stranger.post(f"/leads/{lead.pk}/files/", {"file": upload()}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert names_stored() == {file.stored_as}


def test_a_double_click_adds_a_file_once_and_another_file_from_the_same_page_is_another(
    client_as, sales, lead
):
    client, url, key = client_as(sales), f"/leads/{lead.pk}/files/", "0" * 32

    for content in (b"one", b"one", b"two"):
        client.post(url, {"file": upload("Offer.pdf", content), "form_key": key})

    assert sorted(content_of(file) for file in Attachment.objects.all()) == [
        b"one",
        b"two",
    ]
    assert len(names_stored()) == 2


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "Choose a file first."),
        ({"file": "not a file"}, "Choose a file first."),
        (
            {"file": [upload("Empty.txt", b""), upload()]},
            "Nothing was uploaded: Empty.txt is empty.",
        ),
    ],
    ids=["nothing", "text", "empty"],
)
def test_what_can_not_be_kept_is_named_and_nothing_is_kept(
    client_as, sales, lead, sent, message
):
    client = client_as(sales)

    assert message in told(client.post(f"/leads/{lead.pk}/files/", sent), client)
    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_nothing_is_added_to_someone_who_has_been_erased_meanwhile(
    client_as, sales, lead
):
    Lead.objects.update(
        erased_at=timezone.now(), first_name="", email="", share_with_ad_platforms=False
    )
    client = client_as(sales)

    page = told(client.post(f"/leads/{lead.pk}/files/", {"file": upload()}), client)

    assert "Nothing was saved: this person has since been erased." in page
    assert 'id="files"' not in page
    assert names_stored() == set()


def test_a_storage_that_is_away_is_a_plain_sentence_both_ways(
    client_as, sales, lead, settings
):
    file, client = make_file(sales, lead), client_as(sales)
    settings.STORAGES = {**settings.STORAGES, "attachments": {"BACKEND": AWAY}}

    up, down = (
        client.post(f"/leads/{lead.pk}/files/", {"file": upload()}),
        client.get(file.get_absolute_url()),
    )

    page = told(down, client)
    assert up.url == down.url == f"/leads/{lead.pk}/"
    assert "the storage for files is full or can&#x27;t be reached" in page
    assert "This file can&#x27;t be read at the moment." in page
    assert Attachment.objects.count() == 1


def test_a_file_that_the_storage_has_lost_is_a_plain_sentence(client_as, sales, lead):
    file, client = make_file(sales, lead), client_as(sales)
    storage.delete(file.stored_as)

    assert "The storage no longer has this file." in told(
        client.get(file.get_absolute_url()), client
    )


def test_one_deletes_what_one_has_added_and_an_admin_everything(
    client_as, sales, admin, company, lead, django_capture_on_commit_callbacks
):
    colleague = client_as(join(company, Role.SALES, email="other@example.com"))
    file = make_file(sales, lead)
    url = f"/files/{file.pk}/delete/"

    assert colleague.post(url).status_code == 403
    assert url not in colleague.get(f"/leads/{lead.pk}/").content.decode()
    assert url in client_as(sales).get(f"/leads/{lead.pk}/").content.decode()
    assert "Delete <bdi>Offer.pdf</bdi>?" in client_as(admin).get(url).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        answer = client_as(sales).post(url)

    assert answer.url == f"/leads/{lead.pk}/"
    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_the_page_reads_the_files_in_one_query_however_many(client_as, sales, lead):
    client, url = client_as(sales), f"/leads/{lead.pk}/"
    counts = []
    for more in (1, 5):
        for _ in range(more):
            make_file(sales, lead)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        counts.append(sum("crm_attachment" in query["sql"] for query in queries))

    assert counts == [2, 1]  # the first also reads how much space is left


@pytest.mark.parametrize("model", [Lead, Deal])
def test_what_has_a_file_is_not_removed_by_an_undo(
    client_as, sales, company, lead, model
):
    client = client_as(sales)
    url = "/leads/new/" if model is Lead else f"/deals/new/?lead={lead.pk}"
    values = {
        "first_name": "Grace",
        "type": "inbound",
        "status": lead.status_id,
        "title": "New",
        "currency": "EUR",
    }
    client.post(url, {**values, "stage": make_deal(lead).stage_id})
    added = model.objects.order_by("-pk")[0]
    make_file(sales, added)

    undone = undo(company=company, action=added.crm_events.latest("pk").action)

    assert (undone.removed, undone.changed_since) == ([], [added])
    assert Attachment.objects.count() == 1
