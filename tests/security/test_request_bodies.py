"""S22, and expensive requests: a body that no view expects is refused before anything reads it."""

import errno
import html
import json
from typing import Any

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from crm.accounts.bodies import DEFAULT_BODY_BYTES, MAX_IMPORT_BODY_BYTES, takes_import
from crm.models import Lead
from leadmachine import urls as product
from leadmachine.request_bodies import DISK_FULL
from tests.conftest import make_lead
from tests.crm.api.calling import caller

URL = "/api/v1/leads/"


@login_not_required
@takes_import
def with_file(request: HttpRequest) -> HttpResponse:
    return JsonResponse({name: file.size for name, file in request.FILES.items()})


urlpatterns = [path("file/", with_file), *product.urlpatterns]


class Unreadable:
    """A body that fails the test if anything reads it."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("it was read")

    readline = read


@pytest.fixture
def strict() -> Client:
    return Client(enforce_csrf_checks=True)


def unread(client: Client, address: str, **headers: Any) -> Any:
    return client.generic("POST", address, **{"wsgi.input": Unreadable(), **headers})


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    ["/login/", "/signup/", "/", "/no/such/page/", "/admin/login/", "/healthz/"],
)
def test_a_stranger_who_sends_400_mb_is_refused_unread(strict, address) -> None:
    answer = unread(
        strict,
        address,
        CONTENT_LENGTH=str(400_000_000),
        CONTENT_TYPE="multipart/form-data; boundary=x",
    )

    assert answer.status_code == 413
    assert "At most 256 kB can be sent here." in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "size", [MAX_IMPORT_BODY_BYTES + 1, 3 * 2**30], ids=["20 MB", "3 GB"]
)
def test_a_list_of_leads_that_is_too_long_is_refused_unread(
    client_as, sales, size
) -> None:
    kind = "multipart/form-data; boundary=x"

    answer = unread(
        client_as(sales), "/leads/import/", CONTENT_LENGTH=str(size), CONTENT_TYPE=kind
    )

    assert answer.status_code == 413
    assert "At most 20 MB can be sent here." in answer.content.decode()


@pytest.mark.django_db
def test_whose_session_has_ended_is_refused_too(client_as, sales) -> None:
    client = client_as(sales)
    client.session.flush()

    answer = unread(
        client,
        "/leads/new/",
        CONTENT_LENGTH=str(DEFAULT_BODY_BYTES + 1),
        CONTENT_TYPE="multipart/form-data; boundary=x",
    )

    assert answer.status_code == 413


@pytest.mark.django_db
@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/octet-stream", ""]
)
def test_a_page_takes_forms_alone(client_as, sales, kind) -> None:
    answer = unread(
        client_as(sales), "/leads/new/", CONTENT_LENGTH="10", CONTENT_TYPE=kind
    )

    assert answer.status_code == 415


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["idna", "hex", "undefined", "utf-16", "nonsense"])
def test_a_form_is_in_utf_8(client_as, sales, charset) -> None:
    boundary = f"multipart/form-data; boundary=x; charset={charset}"

    answer = client_as(sales).generic(
        "POST", "/theme/", b"--x--", content_type=boundary
    )

    assert answer.status_code == 415


def test_a_file_in_a_form_is_refused_before_it_is_written(
    client_as, sales, tmp_path, settings
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    file = SimpleUploadedFile("leads.csv", b"x" * 200_000)

    answer = client_as(sales).post(
        "/leads/new/", {"last_name": "Lovelace", "notes": file}
    )

    assert answer.status_code == 400
    assert "No files can be sent here." in answer.content.decode()
    assert not any(tmp_path.iterdir())
    assert not Lead.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("is_api", [False, True], ids=["page", "api"])
@pytest.mark.parametrize("step", ["new_file", "receive_data_chunk", "file_complete"])
def test_where_the_disk_for_uploads_is_full_a_sentence_says_so(
    client_as, sales, monkeypatch, step, is_api
) -> None:
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TemporaryFileUploadHandler, step, refuse)
    lead, client = make_lead(sales.company), client_as(sales)
    path, more = (
        ("/api/v1/files/", {"lead": lead.pk})
        if is_api
        else (f"/leads/{lead.pk}/files/", {})
    )

    answer = client.post(
        path, {"file": SimpleUploadedFile("Offer.pdf", b"x" * 3_000_000), **more}
    )

    assert answer.status_code == 400
    assert DISK_FULL in html.unescape(answer.content.decode())


@pytest.mark.django_db
def test_too_many_fields_are_a_page_that_names_no_setting(
    client_as, sales, settings
) -> None:
    settings.DEBUG = False

    answer = client_as(sales).post(
        "/leads/new/", {f"field{number}": "" for number in range(1_001)}
    )

    assert answer.status_code == 400
    assert "This request can&#x27;t be read." in answer.content.decode()
    assert "settings" not in answer.content.decode()


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("size", "status"),
    [(300_000, 200), (MAX_IMPORT_BODY_BYTES - 1000, 200), (MAX_IMPORT_BODY_BYTES, 413)],
    ids=["small", "largest", "too large"],
)
def test_a_view_that_takes_files_says_so_in_one_line(client, size, status) -> None:
    answer = client.post(
        "/file/", {"leads": SimpleUploadedFile("leads.csv", b"x" * size)}
    )

    assert answer.status_code == status
    assert status != 200 or answer.json() == {"leads": size}


# --- the API ---


def test_the_api_refuses_more_than_256_kb_unread(company) -> None:
    headers = {
        "CONTENT_LENGTH": str(DEFAULT_BODY_BYTES + 1),
        "CONTENT_TYPE": "application/json",
    }

    answer = unread(caller(company), URL, **headers)

    assert answer.status_code == 413
    assert answer.json() == {"detail": "At most 256 kB can be sent here."}


def test_the_api_refuses_a_form_unread(company) -> None:
    answer = unread(
        caller(company),
        URL,
        CONTENT_LENGTH="10",
        CONTENT_TYPE="multipart/form-data; boundary=x",
    )

    assert answer.status_code == 415


@pytest.mark.parametrize(
    "wrapped", ["%s", '{"inside": [%s]}'], ids=["outside", "inside"]
)
def test_an_object_with_more_than_100_keys_is_one_short_sentence(
    company, wrapped
) -> None:
    body = wrapped % json.dumps({f"key{number}": 1 for number in range(5_000)})

    answer = caller(company).generic("POST", URL, body, "application/json")

    assert answer.status_code == 400
    assert answer.json() == {"detail": "An object has more than 100 keys."}


def test_100_unknown_keys_are_each_named(company) -> None:
    answer = caller(company).post(URL, {f"key{number}": 1 for number in range(100)})

    assert answer.status_code == 400
