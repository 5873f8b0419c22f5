"""Tasks through the API: written and read like other rows, with reminders and what they may be about."""

import pytest

from crm.models import Task, TaskReminder
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.api.calling import ADMIN_AND_SALES, ALL, call, caller

pytestmark = pytest.mark.django_db

TASKS = "/api/v1/tasks/"
OPERATIONS = [
    ("GET", TASKS, None, 200, ALL),
    ("GET", TASKS + "{task}/", None, 200, ALL),
    (
        "POST",
        TASKS,
        {"title": "Call", "due_on": "2099-03-12", "owner": "{owner}"},
        201,
        ADMIN_AND_SALES,
    ),
    (
        "PUT",
        TASKS + "{task}/",
        {"title": "Call", "due_on": "2099-03-12", "owner": "{owner}"},
        200,
        ADMIN_AND_SALES,
    ),
    ("PATCH", TASKS + "{task}/", {"title": "Write"}, 200, ADMIN_AND_SALES),
    ("DELETE", TASKS + "{task}/", None, 204, ADMIN_AND_SALES),
]


@pytest.fixture
def script(company):
    return caller(company)


def new(membership, **fields):
    return {
        "title": "Call Ada",
        "due_on": "2099-03-12",
        "owner": membership.user_id,
        **fields,
    }


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
@pytest.mark.parametrize(("method", "path", "body", "success", "may"), OPERATIONS)
def test_a_role_may_what_the_matrix_says_and_no_more(
    company, admin, method, path, body, success, may, role
):
    ids = {"task": make_task(admin).pk, "owner": admin.user_id}
    body = body and {
        name: int(value.format(**ids)) if "{" in value else value
        for name, value in body.items()
    }
    before = list(Task.objects.values())

    answer = call(caller(company, role), method, path.format(**ids), body)

    assert answer.status_code == (success if may[role] else 403)
    assert (list(Task.objects.values()) != before) is (may[role] and method != "GET")


def test_a_task_is_added_with_all_that_it_has(script, sales, company):
    deal = make_deal(make_lead(company))

    answer = script.post(
        TASKS, new(sales, kind="call", due_time="14:30", deal=deal.pk, reminder=True)
    )

    body = answer.json()
    assert answer.status_code == 201
    assert (body["deal"], body["lead"], body["due_time"], body["is_done"]) == (
        deal.pk,
        None,
        "14:30:00",
        False,
    )
    assert TaskReminder.objects.get().task_id == body["id"]


def test_a_script_finishes_and_reopens_a_task(script, sales):
    task = make_task(sales, due_on="2099-03-12", reminder=True)

    done = script.patch(f"{TASKS}{task.pk}/", {"is_done": True}).json()
    reminders = TaskReminder.objects.count()
    again = script.patch(f"{TASKS}{task.pk}/", {"is_done": False}).json()

    assert (done["is_done"], bool(done["done_at"]), reminders) == (True, True, 0)
    assert (again["is_done"], again["done_at"]) == (False, None)
    assert TaskReminder.objects.count() == 1


def test_a_task_may_be_added_done(script, sales):
    assert script.post(TASKS, new(sales, is_done=True)).json()["is_done"] is True


def test_a_task_is_not_about_a_lead_and_a_deal(script, sales, company):
    deal = make_deal(make_lead(company))
    task = make_task(sales, lead=deal.lead)

    answers = [
        script.post(TASKS, new(sales, lead=deal.lead_id, deal=deal.pk)),
        script.patch(f"{TASKS}{task.pk}/", {"deal": deal.pk}),
    ]

    assert [(answer.status_code, list(answer.json())) for answer in answers] == [
        (400, ["deal"])
    ] * 2
    assert (
        script.patch(f"{TASKS}{task.pk}/", {"deal": deal.pk, "lead": None}).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["mine", "ada", "deal", "done"]), ("?owner={owner}", ["mine", "deal", "done"]), ("?lead={lead}", ["ada"]),
        ("?deal={deal}", ["deal"]), ("?is_done=true", ["done"]), ("?is_done=false", ["mine", "ada", "deal"]),
        ("?owner=null", []), ("?owner={owner}&is_done=true", ["done"]),
    ],
)  # fmt: skip
def test_lists_are_narrowed(script, sales, admin, company, query, found):
    deal = make_deal(make_lead(company))
    make_task(sales, title="mine")
    make_task(admin, title="ada", lead=deal.lead)
    make_task(sales, title="deal", deal=deal)
    script.post(TASKS, new(sales, title="done", is_done=True))

    answer = script.get(
        TASKS + query.format(owner=sales.user_id, lead=deal.lead_id, deal=deal.pk)
    )

    assert sorted(task["title"] for task in answer.json()["results"]) == sorted(found)


@pytest.mark.parametrize(
    "query",
    [
        "is_done=1",
        "is_done=",
        "owner=",
        "deal=",
        "owner=x",
        "owner=1.5",
        "lead=-1",
        "lead=1e400",
        "who=me",
    ],
)
def test_an_odd_filter_is_a_400(script, query):
    assert script.get(f"{TASKS}?{query}").status_code == 400


def test_the_same_request_with_the_same_key_adds_one(script, sales):
    answers = [
        script.post(TASKS, new(sales), headers={"Idempotency-Key": "row-1"})
        for _ in range(2)
    ]

    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert Task.objects.count() == 1


def test_a_task_causes_no_conversion_so_it_takes_no_grace(script, sales):
    assert script.post(f"{TASKS}?grace=true", new(sales)).status_code == 400
