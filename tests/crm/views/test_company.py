"""What an admin sees and changes about the company: name, statuses and stages, people, API keys."""

import pytest

from crm.models import ApiKey, LeadStatus, Stage
from tests.conftest import give_password, make_lead

pytestmark = pytest.mark.django_db


def steps_form(company, **changes):
    """The statuses form as a browser would send it back, with changes by field name."""
    rows = list(LeadStatus.objects.for_company(company))
    data = {"statuses-TOTAL_FORMS": len(rows) + 1, "statuses-INITIAL_FORMS": len(rows)}
    for at, row in enumerate(rows):
        data |= {f"statuses-{at}-{name}": getattr(row, name) for name in ("id", "position", "name", "meaning")}
    return {**data, **{f"statuses-{name}": value for name, value in changes.items()}}


def statuses(company):
    return list(LeadStatus.objects.for_company(company).values_list("name", "meaning"))


USUAL = [
    ("New", "new"),
    ("Contacted", "working"),
    ("Qualified", "qualified"),
    ("Unqualified", "unqualified"),
]


def test_name_and_currency_can_be_changed(client_as, admin, company):
    response = client_as(admin).post(
        "/company/", {"name": "Southwind BV", "currency": "USD", "time_zone": "Europe/Amsterdam"}
    )

    company.refresh_from_db()
    assert response.url == "/company/"
    assert (company.name, company.currency, company.slug) == ("Southwind BV", "USD", "northwind")
    assert company.time_zone == "Europe/Amsterdam"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "This field is required."),
        ({"currency": "XXX"}, "Unknown currency."),
        ({"time_zone": "Mars/Base"}, "Unknown time zone."),
    ],
)
def test_a_company_without_name_or_with_an_unknown_currency_is_refused(client_as, admin, company, fields, message):
    response = client_as(admin).post(
        "/company/", {"name": "Southwind BV", "currency": "USD", "time_zone": "UTC", **fields}
    )

    company.refresh_from_db()
    assert message in response.content.decode()
    assert (company.name, company.currency) == ("Northwind BV", "EUR")


def test_a_status_is_renamed_and_moved_without_changing_its_meaning(client_as, admin, company):
    changes = {"2-name": "Ready to buy", "2-position": 1, "0-position": 3}

    client_as(admin).post("/company/statuses/", steps_form(company, **changes))

    assert statuses(company) == [
        ("Ready to buy", "qualified"),
        ("Contacted", "working"),
        ("New", "new"),
        ("Unqualified", "unqualified"),
    ]


def test_the_last_row_adds_a_status_at_the_end(client_as, admin, company):
    changes = {"4-name": "Nurturing", "4-meaning": "working"}

    client_as(admin).post("/company/statuses/", steps_form(company, **changes))

    assert statuses(company) == [*USUAL, ("Nurturing", "working")]


def test_a_status_is_added_at_the_end_whatever_position_the_last_one_has(client_as, admin, company):
    LeadStatus.objects.for_company(company).filter(name="Unqualified").update(position=999)
    changes = {"4-name": "Nurturing", "4-meaning": "working"}

    client_as(admin).post("/company/statuses/", steps_form(company, **changes))

    assert statuses(company) == [*USUAL, ("Nurturing", "working")]


def test_a_meaning_is_fixed_once_it_is_in_use(client_as, admin, company):
    make_lead(company)

    client_as(admin).post("/company/statuses/", steps_form(company, **{"0-meaning": "qualified", "1-meaning": "new"}))

    assert statuses(company)[:2] == [("New", "new"), ("Contacted", "new")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"1-name": "new"}, "Two of them are called “new”. Each name must be different."),
        ({"4-name": "Nurturing"}, "This field is required."),
        ({"0-name": ""}, "This field is required."),
        ({"0-position": "0"}, "New: Position</a>: Enter a number from 1 to 999."),
        ({"1-position": "1000"}, "Contacted: Position</a>: Enter a number from 1 to 999."),
        ({"1-position": "9223372036854775807"}, "Contacted: Position</a>: Enter a number from 1 to 999."),
        ({"4-name": "Nurturing"}, "The last row: Meaning</a>: This field is required."),
        ({"4-name": "Nurturing", "4-meaning": "splendid"}, "Select a valid choice."),
    ],
)
def test_statuses_that_make_no_sense_are_refused(client_as, admin, company, changes, message):
    response = client_as(admin).post("/company/statuses/", steps_form(company, **changes))

    assert message in response.content.decode()
    assert statuses(company) == USUAL


def test_statuses_of_another_company_can_not_be_reached(client_as, admin, company, other_company):
    foreign = LeadStatus.objects.for_company(other_company).first()

    client_as(admin).post("/company/statuses/", steps_form(company, **{"0-id": foreign.pk, "0-name": "Taken over"}))

    foreign.refresh_from_db()
    assert foreign.name == "New"


def test_there_are_no_other_kinds_of_steps(client_as, admin):
    assert client_as(admin).post("/company/nonsense/").status_code == 404


def test_stages_and_people_are_listed(client_as, admin, sales, company):
    text = client_as(admin).get("/company/").content.decode()

    assert "sales@example.com" in text
    for stage in Stage.objects.for_company(company):
        assert f'value="{stage.name}"' in text


def test_a_new_key_is_shown_once_and_never_again(client_as, admin, company):
    client = give_password(client_as(admin))

    made = client.post("/company/api-keys/new/", {"name": "Website form", "role": "sales"}, follow=True)

    key = ApiKey.objects.get()
    text = made.context["text"]
    assert (key.company, key.role, key.created_by) == (company, "sales", admin.user)
    assert text in made.content.decode()
    assert "no-store" in made.headers["Cache-Control"]
    assert ApiKey.objects.find(text) == key
    assert text not in client.get("/company/").content.decode()


def test_loading_the_page_of_a_new_key_again_makes_no_other_key_and_shows_none(client_as, admin):
    client = give_password(client_as(admin))
    made = client.post("/company/api-keys/new/", {"name": "Website form", "role": "sales"}, follow=True)

    again = client.get(made.redirect_chain[-1][0], follow=True)

    assert ApiKey.objects.count() == 1
    assert again.redirect_chain == [("/company/", 302)]
    assert made.context["text"] not in again.content.decode()
    assert "A key is shown only once." in again.content.decode()


def test_the_text_of_a_new_key_waits_sealed_in_the_session(client_as, admin):
    client = give_password(client_as(admin))

    client.post("/company/api-keys/new/", {"name": "Website form", "role": "sales"})

    assert "lm_" not in str(dict(client.session.items()))


@pytest.mark.parametrize("fields", [{"name": ""}, {"role": "owner"}, {"name": "a\x00"}])
def test_a_key_without_a_name_or_with_an_unknown_role_is_not_made(client_as, admin, fields):
    response = client_as(admin).post("/company/api-keys/new/", {"name": "Website", "role": "sales", **fields})

    assert "Nothing was saved." in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_after_a_question(client_as, admin, company):
    key, text = ApiKey.objects.issue(company=company, role="sales", name="Website form")
    client = client_as(admin)

    assert "Revoke <bdi>Website form</bdi>?" in client.get(f"/company/api-keys/{key.pk}/revoke/").content.decode()
    assert ApiKey.objects.find(text) == key

    client.post(f"/company/api-keys/{key.pk}/revoke/")
    assert ApiKey.objects.find(text) is None
