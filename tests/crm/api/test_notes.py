"""Notes through the API: written and read like other rows, and changed only by those who wrote them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import ApiKey, Note
from tests.conftest import make_deal, make_lead, make_note
from tests.crm.api.calling import ADMIN_AND_SALES, call, caller

pytestmark = pytest.mark.django_db

NOTES = "/api/v1/notes/"
OPERATIONS = [
    ("GET", NOTES, None, 200, ADMIN_AND_SALES),
    ("GET", NOTES + "{note}/", None, 200, ADMIN_AND_SALES),
    ("POST", NOTES, {"text": "Called", "lead": "{lead}"}, 201, ADMIN_AND_SALES),
]


@pytest.fixture
def script(company):
    return caller(company, "sales")


@pytest.fixture
def deal(company):
    return make_deal(make_lead(company))


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
@pytest.mark.parametrize(("method", "path", "body", "success", "may"), OPERATIONS)
def test_a_role_may_what_the_matrix_says_and_no_more(
    company, admin, deal, method, path, body, success, may, role
):
    note = make_note(admin, deal)
    values = {"note": note.pk, "lead": deal.lead_id}

    data = (
        {name: value.format(**values) for name, value in body.items()} if body else None
    )
    answer = call(caller(company, role), method, path.format(**values), data)

    assert answer.status_code == (success if may[role] else 403)


def test_a_key_writes_changes_and_deletes_its_own_notes_for_an_hour(script, deal):
    added = script.post(
        NOTES, {"kind": "call", "text": "Six minutes", "deal": deal.pk}
    ).json()
    path = f"{NOTES}{added['id']}/"

    changed = script.patch(path, {"text": "Seven minutes"}).json()
    Note.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    refused = [script.patch(path, {"text": "Eight"}), script.delete(path)]

    assert {name: added[name] for name in ("kind", "lead", "deal", "author", "edited_at")} == {
        "kind": "call", "lead": deal.lead_id, "deal": deal.pk, "author": None, "edited_at": None,
    }  # fmt: skip
    assert Note.objects.get().api_key == ApiKey.objects.get()
    assert (changed["text"], bool(changed["edited_at"])) == ("Seven minutes", True)
    assert [answer.status_code for answer in refused] == [409, 409]
    assert Note.objects.get().text == "Seven minutes"


@pytest.mark.parametrize(
    ("role", "status"), [("admin", 204), ("sales", 409), ("ops", 403)]
)
def test_an_admins_key_deletes_what_others_have_written(
    company, admin, deal, role, status
):
    note = make_note(admin, deal)

    answer = caller(company, role).delete(f"{NOTES}{note.pk}/")

    assert (answer.status_code, Note.objects.exists()) == (status, role != "admin")


def test_nobody_changes_a_note_of_someone_else(company, admin, deal):
    note = make_note(admin, deal)

    answer = caller(company, "admin").patch(f"{NOTES}{note.pk}/", {"text": "Other"})

    assert (answer.status_code, Note.objects.get().text) == (409, "Wants forty seats")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ["lead"]),
        ({"lead": "lead", "deal": "deal"}, ["lead"]),
        ({"lead": "lead", "text": " "}, ["text"]),
        ({"lead": "lead", "text": "x" * 10_001}, ["text"]),
        ({"lead": "lead", "kind": "party"}, ["kind"]),
        ({"lead": "lead", "author": 1}, ["author"]),
    ],
)
def test_bad_input_is_named_and_nothing_is_saved(script, deal, fields, named):
    ids = {"lead": deal.lead_id, "deal": deal.pk}

    answer = script.post(
        NOTES,
        {
            "text": "Called",
            **{name: ids.get(value, value) for name, value in fields.items()},
        },
    )

    assert (answer.status_code, list(answer.json())) == (400, named)
    assert not Note.objects.exists()


def test_a_note_stays_where_it_was_written(script, deal):
    added = script.post(NOTES, {"text": "Called", "lead": deal.lead_id}).json()

    answer = script.patch(f"{NOTES}{added['id']}/", {"deal": deal.pk})

    assert (answer.status_code, list(answer.json())) == (400, ["deal"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"lead", "deal", "other"}), ("?lead={lead}", {"lead", "deal"}), ("?deal={deal}", {"deal"}),
        ("?kind=call", {"other"}), ("?lead=999999999999", set()),
    ],
)  # fmt: skip
def test_lists_are_narrowed(script, sales, company, deal, query, found):
    make_note(sales, deal.lead, text="lead")
    make_note(sales, deal, text="deal")
    make_note(sales, make_lead(company), text="other", kind="call")

    answer = script.get(NOTES + query.format(lead=deal.lead_id, deal=deal.pk))

    assert {note["text"] for note in answer.json()["results"]} == found


@pytest.mark.parametrize(
    "query", ["kind=party", "kind=", "lead=", "lead=x", "deal=-1", "author=1"]
)
def test_an_odd_filter_is_a_400(script, query):
    assert script.get(f"{NOTES}?{query}").status_code == 400


def test_the_same_request_with_the_same_key_adds_one(script, deal):
    body = {"text": "Called", "lead": deal.lead_id}

    answers = [
        script.post(NOTES, body, headers={"Idempotency-Key": "row-1"}) for _ in range(2)
    ]

    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert Note.objects.count() == 1


def test_a_note_causes_no_conversion_so_it_takes_no_grace(script, deal):
    assert (
        script.post(
            f"{NOTES}?grace=true", {"text": "Called", "lead": deal.lead_id}
        ).status_code
        == 400
    )
