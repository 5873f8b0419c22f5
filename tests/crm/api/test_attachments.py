"""Files through the API: sent as a form, one per request, and downloaded as bytes."""

import pytest
from rest_framework.test import APIClient

from crm.models import ApiKey, Attachment
from tests.conftest import client_of, make_deal, make_lead, make_note
from tests.crm.api.calling import ADMIN_AND_SALES, caller
from tests.crm.files import AWAY, CONTENT, content_of, make_file, names_stored, upload

pytestmark = pytest.mark.django_db

FILES = "/api/v1/files/"


@pytest.fixture
def script(company):
    return caller(company, "sales")


@pytest.fixture
def deal(company):
    return make_deal(make_lead(company))


def send(script, idempotency_key="", **fields):
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return script.post(
        FILES, {"file": upload(), **fields}, format="multipart", headers=headers
    )


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_a_role_may_what_the_matrix_says_and_no_more(company, admin, deal, role):
    file, client = make_file(admin, deal), caller(company, role)

    answers = [
        client.get(FILES),
        client.get(f"{FILES}{file.pk}/"),
        client.get(f"{FILES}{file.pk}/content/"),
        send(client, lead=deal.lead_id),
    ]

    content = answers[2]
    assert not content.streaming or b"".join(content) == CONTENT
    expected = [200, 200, 200, 201] if ADMIN_AND_SALES[role] else [403] * 4
    assert [answer.status_code for answer in answers] == expected


@pytest.mark.parametrize("about", ["lead", "deal", "note"])
def test_a_key_adds_reads_and_deletes_its_own_files(
    script, sales, deal, about, django_capture_on_commit_callbacks
):
    note = make_note(sales, deal.lead)
    pk = {"lead": deal.lead_id, "deal": deal.pk, "note": note.pk}[about]

    added = send(script, **{about: pk})
    path = f"{FILES}{added.json()['id']}/"
    content = script.get(
        f"{path}content/", headers={"Accept": "application/octet-stream"}
    )

    on_deal = deal.pk if about == "deal" else None
    assert added.status_code == 201
    assert script.get(path).json() == added.json()
    assert {name: value for name, value in added.json().items() if name not in ("id", "created_at")} == {
        "name": "Offer.pdf", "size": len(CONTENT), "lead": deal.lead_id, "deal": on_deal, "author": None,
        "note": note.pk if about == "note" else None,
    }  # fmt: skip
    assert Attachment.objects.get().api_key == ApiKey.objects.get()
    assert b"".join(content) == CONTENT
    assert content["Content-Type"] == "application/octet-stream"
    assert content["Content-Disposition"] == 'attachment; filename="Offer.pdf"'
    with django_capture_on_commit_callbacks(execute=True):
        assert script.delete(path).status_code == 204
    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_only_an_admin_deletes_what_another_has_added(company, sales, script, deal):
    file = make_file(sales, deal)
    path = f"{FILES}{file.pk}/"

    assert script.delete(path).status_code == 409
    assert caller(company).delete(path).status_code == 204


def test_the_list_is_narrowed_by_lead_deal_and_note(sales, script, deal):
    on_deal, on_lead, other = (
        make_file(sales, deal),
        make_file(sales, deal.lead),
        make_lead(sales.company, email=""),
    )
    make_file(sales, other)
    note = make_note(sales, deal)
    on_note = make_file(sales, note)

    queries = ({"lead": deal.lead_id}, {"deal": deal.pk}, {"note": note.pk})
    found = [script.get(FILES, query).json()["results"] for query in queries]

    assert [[file["id"] for file in files] for files in found] == [
        [on_note.pk, on_lead.pk, on_deal.pk], [on_note.pk, on_deal.pk], [on_note.pk],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({}, "lead", "Choose a lead, a deal or a note."),
        ({"lead": "{lead}", "deal": "{deal}"}, "lead", "not several"),
        ({"lead": "{lead}", "note": "{note}"}, "lead", "not several"),
        ({"note": "999999999"}, "note", "your company's notes"),
        ({"lead": "9" * 5_000}, "lead", ""),
        ({"lead": "Ada\x00"}, "lead", "Enter a whole number."),
        ({"lead": "999999999"}, "lead", "your company's leads"),
        ({"lead": "{lead}", "name": "x"}, "name", "read-only"),
        ({"lead": "{lead}", "colour": "x"}, "colour", "no such field"),
        ({"lead": "{lead}", "file": ""}, "file", "Choose a file"),
        ({"lead": "{lead}", "file": "text"}, "file", "Choose a file"),
        (
            {"lead": "{lead}", "file": [upload(), upload()]},
            "file",
            "request of its own",
        ),
        (
            {"lead": "{lead}", "file": upload("Empty.txt", b"")},
            "file",
            "Empty.txt is empty",
        ),
    ],
)
def test_bad_input_is_a_400_that_names_the_field_and_nothing_is_kept(
    script, sales, deal, fields, field, message
):
    values = {"lead": deal.lead_id, "deal": deal.pk, "note": make_note(sales, deal).pk}
    sent = {
        name: value.format(**values) if isinstance(value, str) else value
        for name, value in fields.items()
    }

    answer = send(script, **sent)

    assert answer.status_code == 400
    assert message in str(answer.json()[field])
    assert (Attachment.objects.count(), names_stored()) == (0, set())


def test_another_companys_lead_file_and_content_are_not_there(
    script, sales, other_company, deal
):
    stranger, file = caller(other_company), make_file(sales, deal)

    answers = [stranger.get(f"{FILES}{file.pk}/{part}") for part in ("", "content/")]
    answers += [
        stranger.delete(f"{FILES}{file.pk}/"),
        send(stranger, lead=deal.lead_id),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 400]
    assert names_stored() == {file.stored_as}


def test_a_repeat_with_the_same_key_adds_nothing_and_another_file_does(script, deal):
    first, repeat = (send(script, "night-1", lead=deal.lead_id) for _ in range(2))
    other = send(script, "night-1", lead=deal.lead_id, file=upload(content=b"other"))

    assert [answer.status_code for answer in (first, repeat, other)] == [201, 201, 201]
    assert first.json() == repeat.json() != other.json()
    assert {content_of(file) for file in Attachment.objects.all()} == {
        CONTENT,
        b"other",
    }
    assert len(names_stored()) == 2


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_file_can_not_be_changed(script, sales, deal, method):
    file = make_file(sales, deal)

    assert (
        getattr(script, method)(f"{FILES}{file.pk}/", {"name": "x"}).status_code == 405
    )


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"file": "x"}', b"--x\r\n"])
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "x/y",
    ],
)
def test_a_body_that_is_no_form_is_refused(script, deal, kind, body):
    answer = script.generic("POST", FILES, body, content_type=kind)

    assert answer.status_code in (400, 415)
    assert answer["Content-Type"] == "application/json"
    assert not Attachment.objects.exists()


def test_a_hundred_and_one_files_are_a_400(script, deal):
    assert (
        send(script, lead=deal.lead_id, file=[upload() for _ in range(101)]).status_code
        == 400
    )


def test_no_other_address_of_the_api_takes_a_file(script, deal):
    answer = script.post(
        "/api/v1/notes/", {"lead": deal.lead_id, "text": upload()}, format="multipart"
    )

    assert answer.status_code == 415


def test_a_storage_that_is_away_is_a_503_with_a_sentence(script, sales, deal, settings):
    file = make_file(sales, deal)
    settings.STORAGES = {**settings.STORAGES, "attachments": {"BACKEND": AWAY}}

    answers = [
        send(script, lead=deal.lead_id),
        script.get(f"{FILES}{file.pk}/content/"),
    ]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert "can't be reached" in answers[0].json()["detail"]


def test_a_full_company_is_a_409(script, deal, settings):
    settings.FILES_MB_PER_COMPANY = 0

    answer = send(script, lead=deal.lead_id)

    assert (answer.status_code, "no room left" in answer.json()["detail"]) == (
        409,
        True,
    )


def test_a_session_needs_its_csrf_token(client_as, sales, deal):
    client = client_of(sales.user, APIClient(enforce_csrf_checks=True))

    assert send(client, lead=deal.lead_id).status_code == 403
    client.get(f"/leads/{deal.lead_id}/")
    token = client.cookies["csrftoken"].value
    sent = client.post(
        FILES,
        {"file": upload(), "lead": deal.lead_id},
        format="multipart",
        headers={"X-CSRFToken": token},
    )
    assert sent.status_code == 201
    assert Attachment.objects.get().actor == sales.user
