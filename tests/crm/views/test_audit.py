"""The audit log as an admin reads and downloads it."""

import csv
import io

import pytest

from crm.data_exchange.exporting.cells import as_text
from crm.models import ApiKey, AuditAction, AuditEntry
from crm.models.roles import Role
from crm.services import audit
from tests.conftest import join, make_lead

pytestmark = pytest.mark.django_db

PAGE, EXPORT = "/company/audit/", "/company/audit/export/"


@pytest.fixture
def client(client_as, admin):
    signed_in = client_as(admin)
    signed_in.get(PAGE)
    return signed_in


def actions(response):
    return [entry.action for entry in response.context["entries"]]


def rows_of(response):
    return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))


def test_entries_are_listed_newest_first_with_who_and_on_what(client, company, admin):
    key, _ = ApiKey.objects.issue(company=company, role="sales", name="Website")
    audit.record(
        company=company, action=AuditAction.API_KEY_CREATED, about=key, actor=admin.user
    )
    audit.record(
        company=company,
        action=AuditAction.ERASURE,
        about=make_lead(company),
        details={"deals": [4, 5]},
    )

    response = client.get(PAGE)

    text = response.content.decode()
    assert actions(response) == ["erasure", "api_key_created", "sign_in"]
    assert "Made an API key" in text
    assert "Admin Jansen" in text
    assert "deals: 4, 5" in text
    assert "Ada" not in text


def test_the_log_is_narrowed_down_by_person_action_and_period(client, company, admin):
    other = join(company, Role.ADMIN, email="second@example.com", first_name="Second")
    for actor in (admin.user, other.user, None):
        audit.record(company=company, action=AuditAction.EXPORT, actor=actor)
    audit.record(company=company, action=AuditAction.ERASURE, actor=other.user)

    def found(query):
        return [
            (entry.action, entry.actor_name)
            for entry in client.get(f"{PAGE}?{query}").context["entries"]
        ]

    assert found(f"who=user-{other.user_id}") == [
        ("erasure", "Second Jansen"),
        ("export", "Second Jansen"),
    ]
    assert found("who=system") == [("export", "Operator")]
    assert found(f"who=user-{other.user_id}&action=erasure") == [
        ("erasure", "Second Jansen")
    ]
    assert found("until=2020-01-01") == []
    assert len(found("since=2020-01-01")) == 5
    assert len(found("who=nobody&action=nonsense&since=yesterday&before=x")) == 5


def test_a_posted_filter_leads_to_its_address_without_what_is_empty(client):
    posted = client.post(
        PAGE,
        {
            "who": "system",
            "action": "",
            "since": "",
            "until": "2026-01-01",
            "page": "2",
        },
    )

    assert posted.url == f"{PAGE}?who=system&until=2026-01-01"
    assert "Clear filters" in client.get(posted.url).content.decode()
    assert "Clear filters" not in client.get(PAGE).content.decode()


def test_a_filter_that_is_no_date_is_named(client):
    assert (
        "Not valid, so ignored: From."
        in client.get(f"{PAGE}?since=yesterday").content.decode()
    )


def test_a_period_that_ends_before_it_begins_is_told(client):
    text = client.get(f"{PAGE}?since=2026-02-01&until=2026-01-01").content.decode()

    assert "The end date is before the start date." in text


def test_pages_follow_one_another_by_id(client, company):
    AuditEntry.objects.bulk_create(
        AuditEntry(
            company=company, action="export", actor_kind="system", actor_name="Operator"
        )
        for _ in range(60)
    )

    first = client.get(PAGE)
    second = client.get(f"{PAGE}?before={first.context['older']}")

    assert len(first.context["entries"]) == 50
    assert [len(second.context["entries"]), second.context["older"]] == [11, None]
    assert first.context["entries"][-1].pk - 1 == second.context["entries"][0].pk


def test_a_page_takes_the_same_queries_however_many_entries(
    client, company, django_assert_num_queries
):
    AuditEntry.objects.bulk_create(
        AuditEntry(
            company=company, action="export", actor_kind="system", actor_name="Operator"
        )
        for _ in range(30)
    )

    with django_assert_num_queries(7):
        client.get(PAGE)


def test_entries_of_another_company_are_neither_shown_nor_exported(
    client, company, other_company
):
    stranger = join(
        other_company, Role.ADMIN, email="stranger@example.com", first_name="Stranger"
    )
    audit.record(company=other_company, action=AuditAction.EXPORT, actor=stranger.user)

    page = client.get(f"{PAGE}?who=user-{stranger.user_id}")
    file = client.post(EXPORT)

    assert "Stranger" not in page.content.decode()
    assert "Stranger" not in str(rows_of(file))


@pytest.mark.parametrize("role", ["sales", "ops"])
def test_only_admins_may_see_or_export_it(client_as, company, role):
    client = client_as(join(company, Role(role)))

    assert [client.get(PAGE).status_code, client.post(EXPORT).status_code] == [403, 403]
    assert not AuditEntry.objects.filter(action="export").exists()


def test_the_export_holds_what_the_page_shows_and_is_on_record_itself(
    client, company, admin
):
    audit.record(
        company=company,
        action=AuditAction.ERASURE,
        about=make_lead(company),
        details={"deals": [4]},
    )
    erasure = AuditEntry.objects.get(action="erasure")

    everything = rows_of(client.post(EXPORT))
    narrowed = rows_of(client.post(EXPORT, {"action": "erasure"}))

    assert [row[4] for row in everything] == ["action", "export", "erasure", "sign_in"]
    assert narrowed[1:] == [
        [erasure.at.isoformat(), "system", "", "Operator", "erasure", "lead", str(erasure.object_id),
         f"Lead {erasure.object_id}", "deals: 4"]
    ]  # fmt: skip
    assert (
        AuditEntry.objects.filter(action="export", actor_id=admin.user_id).count() == 2
    )


def test_the_export_is_not_made_by_a_link(client):
    answer = client.get(EXPORT)

    assert (answer.status_code, answer.url) == (302, EXPORT.removesuffix("export/"))
    assert not AuditEntry.objects.filter(action="export").exists()


@pytest.mark.covers("S21")
def test_a_name_that_might_be_a_formula_is_exported_as_text(client, company, admin):
    admin.user.first_name = "=HYPERLINK(1)"
    audit.record(company=company, action=AuditAction.ERASURE, actor=admin.user)

    rows = rows_of(client.post(EXPORT, {"action": "erasure"}))

    assert rows[1][3] == "'=HYPERLINK(1) Jansen"


@pytest.mark.parametrize(
    "sign",
    [
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "\n",
        "\0",
        " =",
        "\u3000+",
        "\uff1d",
        "\uff0b",
        "\uff20",
    ],
)
@pytest.mark.covers("S21")
def test_what_a_spreadsheet_might_take_for_a_formula_becomes_text(sign):
    assert as_text(f"{sign}1+1") == f"'{sign}1+1"


def test_nothing_at_all_becomes_an_empty_cell():
    assert as_text(None) == ""


def test_each_action_is_offered_as_a_filter(client):
    offered = [
        value for value, _ in client.get(PAGE).context["form"].fields["action"].choices
    ]

    assert offered == ["", *AuditAction.values]


@pytest.mark.parametrize(
    "action", [AuditAction.RETRY, AuditAction.CANCEL, AuditAction.IMPORT]
)
def test_the_log_can_be_filtered_by_retries_cancellations_and_imports(
    client, company, admin, action
):
    audit.record(company=company, action=action, actor=admin.user)

    assert actions(client.get(f"{PAGE}?action={action}")) == [action]


def test_details_are_told_in_words(company):
    entry = AuditEntry(
        details={
            "fields": ["crm_event", "linkedin_id", "is_active", "time_zone"],
            "active": False,
        }
    )

    assert (
        entry.summary
        == "fields: CRM event, LinkedIn rule id, active, time zone; active: no"
    )
