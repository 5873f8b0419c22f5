"""S02, S03: no form, filter, bulk action or serializer takes the neighbour's ids, and no list shows their rows."""

import re
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from capi.models import ConversionRule
from crm.models import Company, Deal, Lead
from tests.security.rows import checksum
from tests.security.world import NEIGHBOURS_NUMBER, World
from tests.size import sized_sample

NONE_SUCH = 10**15
TASK = {"title": "Mallory", "kind": "task", "due_on": "2026-03-12"}
LISTS = (
    "/tasks/", "/dashboard/", "/leads/", "/deals/", "/organisations/", "/integrations/linkedin/",
    "/integrations/linkedin/events/", "/sandbox/linkedin/",
)  # fmt: skip
# They have no filters, and some are slow to render: each is requested once.
PAGES = ("/my-day/", "/company/", "/company/people/", "/api/v1/docs/", "/account/")
API_LISTS = (
    "leads", "deals", "tasks", "notes", "files", "saved-views", "bulk-changes", "organisations", "conversion-rules",
    "conversion-events",
)  # fmt: skip


@pytest.fixture
def admin(ours: World, client_as: Any) -> Client:
    return client_as(ours.members["admin"])


@pytest.fixture
def script(ours: World) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ours.keys['admin']}")
    return client


@pytest.mark.parametrize("whose", ["the neighbour's", "nobody's"])
@pytest.mark.parametrize(
    ("path", "fields", "related"),
    [
        ("/leads/new/", {"first_name": "Mallory", "type": "inbound", "status": "status"}, ["status", "owner"]),
        ("/leads/{lead}/edit/", {"first_name": "Mallory", "type": "inbound", "status": "status"}, ["status", "owner"]),
        ("/leads/{lead}/status/", {}, ["status"]),
        ("/leads/status/", {"lead": "lead"}, ["status"]),
        ("/deals/new/?lead={lead}", {"title": "Mallory", "currency": "EUR", "stage": "stage"}, ["stage", "owner"]),
        (
            "/deals/{deal}/edit/", {"title": "Mallory", "currency": "EUR", "stage": "stage"},
            ["stage", "owner", "lost_reason"],
        ),
        ("/deals/{deal}/move/", {}, ["stage"]),
        ("/tasks/new/?lead={lead}", TASK, ["owner"]),
        ("/tasks/{task}/edit/", TASK, ["owner"]),
    ],
)  # fmt: skip
def test_no_form_takes_a_foreign_id(
    ours: World,
    theirs: World,
    admin: Client,
    path: str,
    fields: dict[str, str],
    related: list[str],
    whose: str,
) -> None:
    before, own = (checksum(ours.company), checksum(theirs.company)), ours.ids
    for name in related:
        foreign = theirs.ids[name] if whose == "the neighbour's" else NONE_SUCH
        body = {key: own.get(value, value) for key, value in fields.items()} | {
            name: foreign
        }

        answer = admin.post(path.format(**own), body)

        assert answer.status_code == 404 or "invalid" in answer.content.decode(), (
            path,
            name,
            answer.status_code,
        )
        assert b"Plover" not in answer.content
    assert (checksum(ours.company), checksum(theirs.company)) == before


def test_a_bulk_change_leaves_the_neighbours_lead_alone(
    ours: World, theirs: World, admin: Client
) -> None:
    before = checksum(theirs.company)

    answer = admin.post(
        "/leads/status/",
        {"lead": [theirs.ids["lead"], NONE_SUCH], "status": ours.ids["status"]},
    )

    assert answer.status_code == 302
    assert checksum(theirs.company) == before


def test_a_new_deal_is_for_an_own_lead_only(
    ours: World, theirs: World, admin: Client
) -> None:
    answers = [
        admin.get(f"/deals/new/?lead={theirs.ids['lead']}"),
        admin.post(
            f"/deals/new/?lead={theirs.ids['lead']}",
            {"title": "Mallory", "stage": ours.ids["stage"]},
        ),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert not Deal.objects.filter(title="Mallory").exists()


@pytest.mark.parametrize("kind", ["statuses", "stages"])
def test_a_form_of_many_rows_takes_no_row_of_the_neighbours(
    ours: World, theirs: World, admin: Client, kind: str
) -> None:
    foreign = theirs.ids[kind.removesuffix("es") if kind == "statuses" else "stage"]
    before = checksum(theirs.company)
    form = {
        "TOTAL_FORMS": 1,
        "INITIAL_FORMS": 1,
        "MIN_NUM_FORMS": 0,
        "MAX_NUM_FORMS": 1000,
    }
    row = {"0-id": foreign, "0-name": "Mallory", "0-position": 1, "0-meaning": "new"}

    answer = admin.post(
        f"/company/{kind}/",
        {f"{kind}-{key}": value for key, value in {**form, **row}.items()},
    )

    assert answer.status_code < 500
    assert b"Plover" not in answer.content
    assert checksum(theirs.company) == before


@pytest.mark.parametrize("whose", ["the neighbour's", "nobody's"])
@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize(
    ("kind", "body", "related"),
    [
        ("lead", {"first_name": "Mallory"}, ["status", "owner"]),
        (
            "deal",
            {"title": "Mallory", "lead": "lead"},
            ["lead", "stage", "owner", "lost_reason"],
        ),
        (
            "task",
            {"title": "Mallory", "due_on": "2026-03-12", "owner": "owner"},
            ["lead", "deal", "owner"],
        ),
    ],
)
def test_no_serializer_takes_a_foreign_id(
    ours: World, theirs: World, script: APIClient, kind: str, body: dict[str, Any], related: list[str], method: str,
    whose: str,
) -> None:  # fmt: skip
    script.get("/api/v1/leads/")  # the key's last use is noted
    before = checksum(ours.company), checksum(theirs.company)
    path = f"/api/v1/{kind}s/" + ("" if method == "post" else f"{ours.ids[kind]}/")
    for name in related:
        foreign = theirs.ids[name] if whose == "the neighbour's" else NONE_SUCH
        answer = getattr(script, method)(
            path, {k: ours.ids.get(v, v) for k, v in body.items()} | {name: foreign}
        )

        assert (answer.status_code, list(answer.json())) == (400, [name])
        assert b"Plover" not in answer.content
    assert (checksum(ours.company), checksum(theirs.company)) == before


ALWAYS = ["", "?search={mark}"]
FURTHER = [
    "?status={status}", "?owner={owner}", "?source={mark} fair", "?stage={stage}", "?rule={rule}",
    "?lead={lead}", "?deal={deal}", "?sort=owner", "?sort=-name", "?page=999", "?state=rejected", "?before={event}",
    "?after=1", "?cursor={mark}", "?page_size=500", "?pipeline={pipeline}", "?lost_reason={lost_reason}",
    "?view={saved_view}",
]  # fmt: skip


@pytest.fixture
def queries() -> list[str]:
    """All of them; in `make test` a quarter of FURTHER."""
    return [*ALWAYS, *sized_sample(FURTHER, one_in=4)]


@pytest.mark.sized
def test_no_list_part_or_count_shows_the_neighbours(
    ours: World,
    theirs: World,
    admin: Client,
    script: APIClient,
    settings: Any,
    queries: list[str],
) -> None:
    settings.LINKEDIN_SANDBOX = True
    for query in queries:
        asked = query.format(mark=theirs.mark, **theirs.ids)
        paths = LISTS if query else LISTS + PAGES
        answers = {path: admin.get(path + asked) for path in paths}
        answers |= {
            f"{path} part": admin.get(path + asked, headers={"HX-Request": "true"})
            for path in paths
        }
        answers |= {kind: script.get(f"/api/v1/{kind}/{asked}") for kind in API_LISTS}

        for name, answer in answers.items():
            told = re.sub(
                r"plover( |%20|\+)fair", "", answer.content.decode().lower()
            ).replace(asked.lower(), "")
            assert answer.status_code < 500, (name, query)
            assert "plover" not in told, (name, query)
            assert NEIGHBOURS_NUMBER not in told, (name, query)


def test_a_search_finds_the_own_alone(
    ours: World, theirs: World, admin: Client
) -> None:
    search = admin.post("/leads/", {"search": "Plover"}, follow=True)
    choice = admin.post("/deals/new/", {"search": "Plover"})

    assert list(search.context["page"]) == []
    assert list(choice.context["leads"]) == []


def test_the_same_id_in_two_companies_is_each_ones_own(
    ours: World, theirs: World
) -> None:
    counts = {
        model.__name__: [
            model.objects.for_company(world.company).count() for world in (ours, theirs)
        ]
        for model in (Lead, Deal, ConversionRule)
    }

    assert counts == {"Lead": [2, 2], "Deal": [2, 2], "ConversionRule": [1, 1]}
    assert Company.objects.count() == 2
