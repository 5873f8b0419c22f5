"""The page of custom fields, and custom fields in the forms, pages and list of leads and deals."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from crm.models import (
    Company,
    CrmEvent,
    CustomField,
    Deal,
    Lead,
    LeadStatus,
    Membership,
    Stage,
)
from crm.services.custom_fields import change_field, delete_field, set_archived
from tests.conftest import make_deal, make_lead
from tests.crm.custom_values import make_every_field, make_field

pytestmark = pytest.mark.django_db

URL = "/company/custom-fields/"
HIDDEN = r'<input type="hidden" name="(initial-[a-z_]+)" value="([^"]*)"'
SignIn = Callable[[Membership], Client]


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def filled_in(company: Company, **fields: Any) -> dict[str, Any]:
    status = LeadStatus.objects.for_company(company)[0]
    return {
        "first_name": "Ada",
        "type": "inbound",
        "status": status.pk,
        "share_with_ad_platforms": "on",
        **fields,
    }


# The page of the fields


def test_a_field_with_choices_is_added_and_its_choices_change(
    client_as: SignIn, admin: Membership
) -> None:
    web = client_as(admin)
    new = {
        "subject": "lead",
        "name": "  Fleet  size ",
        "type": "choice",
        "is_listed": "on",
    }

    added = web.post(
        f"{URL}new/",
        {**new, "choice_key": ["", "", ""], "choice": ["1 to 10", "", "More"]},
    )

    field = CustomField.objects.get()
    assert added.url == URL
    assert (field.name, field.key, field.offered) == (
        "Fleet size",
        "fleet_size",
        [("choice_1_to_10", "1 to 10"), ("more", "More")],
    )
    changes = {
        "name": "Fleet",
        "choice_key": ["more", ""],
        "choice": ["Many", "Few"],
        "type": "text",
        "subject": "deal",
    }
    web.post(f"{URL}{field.pk}/edit/", changes)
    field.refresh_from_db()
    assert (field.name, field.key, field.type, field.subject) == (
        "Fleet",
        "fleet_size",
        "choice",
        "lead",
    )
    assert field.offered == [("more", "Many"), ("few", "Few")]
    assert field.is_listed is False


def shown_inputs(page: Any) -> dict[str, Any]:
    """What a browser sends if no one changes the form of a field with choices."""
    form = page.context["form"]
    hidden = {
        name: html.unescape(value)
        for name, value in re.findall(HIDDEN, page.content.decode())
    }
    keys, labels = zip(*form.choice_rows, strict=True)
    typed = {name: form[name].value() for name in ("name", "help_text")}
    ticked = {name: "on" for name in ("is_required", "is_listed") if form[name].value()}
    return {**hidden, **typed, **ticked, "choice_key": keys, "choice": labels}


def test_what_nobody_changed_in_an_open_form_stays_as_someone_else_saved_it(
    client_as: SignIn, admin: Membership
) -> None:
    field = make_field(admin.company, "Regio", "choice", is_listed=True)
    web = client_as(admin)
    opened = shown_inputs(web.get(f"{URL}{field.pk}/edit/"))
    field.name, field.is_required, field.is_listed = "Region", True, False
    change_field(
        field=field,
        fields=["name", "is_required", "is_listed"],
        labels=[*field.offered, ("", "Africa")],
    )

    saved = web.post(
        f"{URL}{field.pk}/edit/", {**opened, "help_text": "Where they are."}
    )

    field.refresh_from_db()
    assert saved.url == URL
    assert (field.name, field.is_required, field.is_listed) == ("Region", True, False)
    assert (field.help_text, field.offered[-1]) == (
        "Where they are.",
        ("africa", "Africa"),
    )


@pytest.mark.parametrize(
    "mine", [{"name": "Area"}, {"choice": ["Europe", "Americas", "Asia", "", "", ""]}]
)
def test_what_someone_else_has_changed_too_is_refused_once_and_then_overwritten(
    client_as: SignIn, admin: Membership, mine: dict[str, Any]
) -> None:
    field = make_field(admin.company, "Regio", "choice")
    web, path = client_as(admin), f"{URL}{field.pk}/edit/"
    opened = shown_inputs(web.get(path))
    field.name = "Region"
    change_field(field=field, fields=["name"], labels=[*field.offered, ("", "Africa")])

    refused = web.post(path, {**opened, **mine})
    field.refresh_from_db()
    between = (field.name, len(field.offered))
    saved = web.post(path, {**shown_inputs(refused), **mine})

    field.refresh_from_db()
    assert (
        "Nothing was saved: this was changed after you opened it."
        in refused.content.decode()
    )
    assert between == ("Region", 4)
    assert saved.url == URL
    assert (field.name, len(field.offered)) == (
        ("Area", 4) if "name" in mine else ("Region", 3)
    )


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"type": "choice"}, "Enter at least one choice."),
        (
            {"name": "seats"},
            "There is a field of this name already. It may be archived.",
        ),
        ({"name": " "}, "This field is required."),
        ({"type": "stranger"}, "Select a valid choice"),
        ({"type": ""}, "Choose a type."),
    ],
)
def test_what_can_t_be_is_a_sentence_and_adds_nothing(
    client_as: SignIn, admin: Membership, form: dict[str, str], sentence: str
) -> None:
    make_field(admin.company, "Seats")

    page = client_as(admin).post(
        f"{URL}new/", {"subject": "lead", "name": "Region", "type": "text", **form}
    )

    assert sentence in page.content.decode()
    assert CustomField.objects.count() == 1


def test_the_buttons_of_choices_show_the_form_again_and_save_nothing(
    client_as: SignIn, admin: Membership
) -> None:
    web = client_as(admin)
    form = {
        "subject": "lead",
        "type": "choice",
        "choice_key": ["", "", ""],
        "choice": ["A", "B", "C"],
    }

    def rows(button: dict[str, str]) -> str:
        page = web.post(f"{URL}new/", {**form, **button})
        assert "error-summary" not in page.content.decode()
        return "".join(label or "-" for _, label in page.context["form"].choice_rows)

    assert rows({"move": "2"}) == "ACB---"
    assert rows({"drop": "0"}) == "BC---"
    assert rows({"more": "1"}) == "ABC---"
    assert rows({"drop": "99"}) == "ABC---"
    assert rows({"drop": "9" * 5000}) == "ABC---"
    assert not CustomField.objects.exists()


@pytest.mark.parametrize(
    ("step", "order"),
    [
        ({"step": "up"}, "BAC"),
        ({"step": "down"}, "ACB"),
        ({"to": "0"}, "BAC"),
        ({"to": "-1"}, "ABC"),
        ({}, "ABC"),
    ],
)
def test_a_field_is_moved(
    client_as: SignIn, admin: Membership, step: dict[str, str], order: str
) -> None:
    fields = [make_field(admin.company, name) for name in "ABC"]

    client_as(admin).post(f"{URL}{fields[1].pk}/step/", step)

    assert "".join(map(str, CustomField.objects.of(admin.company, "lead"))) == order


def test_a_field_is_archived_and_used_again(
    client_as: SignIn, admin: Membership
) -> None:
    field = make_field(admin.company, "Region")
    web = client_as(admin)

    web.post(f"{URL}{field.pk}/step/", {"step": "archive"})
    assert "1 archived" in web.get(URL).content.decode()
    web.post(f"{URL}{field.pk}/step/", {"step": "restore"})
    assert "archived" not in web.get(URL).content.decode()


def test_deleting_says_how_many_rows_have_a_value(
    client_as: SignIn, admin: Membership, other_company: Company
) -> None:
    field = make_field(admin.company, "Region")
    make_lead(admin.company, custom={"region": "x"})
    make_lead(admin.company)
    make_lead(other_company, custom={"region": "x"})
    web = client_as(admin)

    question = web.get(f"{URL}{field.pk}/delete/")
    assert "1 lead" in question.content.decode()
    web.post(f"{URL}{field.pk}/delete/")

    assert (
        "Region" not in web.get(URL).content.decode().partition('id="custom-fields"')[2]
    )
    assert web.get(f"{URL}{field.pk}/edit/").status_code == 404


# Forms and pages


def test_a_lead_is_added_edited_and_shown_with_its_values(
    client_as: SignIn, sales: Membership
) -> None:
    make_every_field(sales.company)
    web = client_as(sales)
    values = {
        "custom_number": "1,234.50",
        "custom_choices": ["americas", "emea"],
        "custom_yes_no": "no",
    }

    web.post("/leads/new/", filled_in(sales.company, **values))

    lead = Lead.objects.get()
    assert lead.custom == {
        "number": "1234.5",
        "choices": ["emea", "americas"],
        "yes_no": False,
    }
    Lead.objects.update(custom={**lead.custom, "archived": "kept"})
    page = web.get(f"/leads/{lead.pk}/").content.decode()
    assert "1,234.5" in page
    assert "EMEA, Americas" in page
    form = web.get(f"/leads/{lead.pk}/edit/").context["form"]
    assert form["custom_yes_no"].value() == "no"
    web.post(
        f"/leads/{lead.pk}/edit/",
        filled_in(sales.company, custom_text="x", **dict.fromkeys(values, "")),
    )
    lead.refresh_from_db()
    assert lead.custom == {"text": "x", "archived": "kept"}
    assert CrmEvent.objects.count() == 1


def test_a_deal_is_added_edited_and_shown_with_its_values(
    client_as: SignIn, sales: Membership
) -> None:
    make_every_field(sales.company, subject="deal")
    lead = make_lead(sales.company)
    stage = Stage.objects.for_company(sales.company)[0]
    form = {"title": "Ten", "currency": "EUR", "stage": stage.pk}
    web = client_as(sales)

    web.post(
        f"/deals/new/?lead={lead.pk}",
        {**form, "custom_money": "5000", "custom_url": "files.example"},
    )

    deal = Deal.objects.get()
    assert deal.custom == {"money": "5000.00", "url": "https://files.example"}
    page = web.get(f"/deals/{deal.pk}/").content.decode()
    assert "€5,000" in page
    assert 'href="https://files.example" rel="noopener noreferrer nofollow"' in page
    web.post(f"/deals/{deal.pk}/edit/", {**form, "custom_money": "1", "custom_url": ""})
    deal.refresh_from_db()
    assert deal.custom == {"money": "1.00"}


def test_a_field_that_became_required_while_a_form_was_open_is_asked_for(
    client_as: SignIn, sales: Membership
) -> None:
    lead = make_lead(sales.company)
    make_field(sales.company, "Seats", "number", is_required=True)

    page = client_as(sales).post(
        f"/leads/{lead.pk}/edit/", filled_in(sales.company, first_name="Bea")
    )

    assert page.context["form"].errors == {"custom_seats": ["This field is required."]}
    lead.refresh_from_db()
    assert lead.first_name == "Ada"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("text", "4"), ("yes_no", False), ("choice", "emea"), ("choices", ["emea"])],
)
@pytest.mark.parametrize("is_required", [False, True])
def test_a_field_that_was_used_again_while_a_form_was_open_keeps_its_value(
    client_as: SignIn, sales: Membership, kind: str, value: Any, is_required: bool
) -> None:
    make_field(sales.company, "Size", kind, is_required=is_required)
    lead = make_lead(sales.company, custom={"size": value})
    web = client_as(sales)

    refused = web.post(
        f"/leads/{lead.pk}/edit/", filled_in(sales.company, first_name="", email="x")
    )
    web.post(f"/leads/{lead.pk}/edit/", filled_in(sales.company, first_name="Bea"))

    lead.refresh_from_db()
    assert (lead.first_name, lead.custom) == ("Bea", {"size": value})
    # Which would submit it empty the next time.
    assert 'name="custom_size"' not in refused.content.decode()


def test_choices_of_which_none_is_checked_are_emptied(
    client_as: SignIn, sales: Membership
) -> None:
    make_field(sales.company, "Regions", "choices")
    lead = make_lead(sales.company, custom={"regions": ["emea"]})
    web = client_as(sales)

    page = web.get(f"/leads/{lead.pk}/edit/").content.decode()
    web.post(f"/leads/{lead.pk}/edit/", filled_in(sales.company, custom_regions=[""]))

    lead.refresh_from_db()
    assert '<input type="hidden" name="custom_regions" value="">' in page
    assert lead.custom == {}


def test_a_posted_name_that_can_be_no_field_is_not_looked_up(
    client_as: SignIn, sales: Membership
) -> None:
    lead, web = make_lead(sales.company), client_as(sales)

    for path in ("/leads/new/", f"/leads/{lead.pk}/edit/"):
        saved = web.post(
            path, {**filled_in(sales.company, first_name="Bea"), "custom_a\0b": "x"}
        )
        assert (
            "A field is no longer asked for. What you entered there was not saved."
            in said(saved)
        )

    assert Lead.objects.filter(first_name="Bea").count() == 2


@pytest.mark.parametrize("end", ["archive", "delete"])
def test_what_was_typed_for_a_field_that_is_gone_is_dropped_with_a_note(
    client_as: SignIn, sales: Membership, end: str
) -> None:
    field = make_field(sales.company, "Region")
    lead = make_lead(sales.company, custom={"region": "old"})
    if end == "archive":
        set_archived(field=field, archived=True)
    else:
        delete_field(field=field)
    web = client_as(sales)

    edited = web.post(
        f"/leads/{lead.pk}/edit/",
        filled_in(sales.company, first_name="Bea", custom_region="new"),
    )
    added = web.post(
        "/leads/new/", filled_in(sales.company, first_name="Eve", custom_region="new")
    )

    note = "Region is no longer asked for. What you entered there was not saved."
    assert note in said(edited)
    assert note in said(added)
    lead.refresh_from_db()
    assert (lead.first_name, lead.custom) == ("Bea", {"region": "old"})
    assert Lead.objects.get(first_name="Eve").custom == {}


def test_a_choice_that_is_no_longer_offered_stays_where_it_is(
    client_as: SignIn, sales: Membership
) -> None:
    one, several = (
        make_field(sales.company, "One", "choice"),
        make_field(sales.company, "Several", "choices"),
    )
    lead = make_lead(
        sales.company, custom={"one": "emea", "several": ["emea", "americas"]}
    )
    for field in (one, several):
        change_field(field=field, fields=[], labels=[("americas", "Americas")])
    web = client_as(sales)

    form = web.get(f"/leads/{lead.pk}/edit/").context["form"]
    assert (form["custom_one"].value(), form["custom_several"].value()) == (
        "emea",
        ["emea", "americas"],
    )
    entered = {"custom_one": "emea", "custom_several": ["emea", "americas"]}
    web.post(
        f"/leads/{lead.pk}/edit/", filled_in(sales.company, first_name="Bea", **entered)
    )

    lead.refresh_from_db()
    assert (lead.first_name, lead.custom) == (
        "Bea",
        {"one": "emea", "several": ["americas", "emea"]},
    )
    assert len(web.get("/leads/?custom_one=emea").context["rows"]) == 1
    refused = web.post("/leads/new/", filled_in(sales.company, **entered))
    assert set(refused.context["form"].errors) == {"custom_one", "custom_several"}


def test_an_erased_lead_shows_no_custom_fields(
    client_as: SignIn, admin: Membership
) -> None:
    make_field(admin.company, "Region")
    lead = make_lead(admin.company)
    Lead.objects.filter(pk=lead.pk).update(
        erased_at="2026-01-01T00:00Z",
        email="",
        first_name="",
        share_with_ad_platforms=False,
    )

    assert (
        "Custom fields"
        not in client_as(admin).get(f"/leads/{lead.pk}/").content.decode()
    )


# The list


def test_the_list_has_a_column_for_what_is_listed(
    client_as: SignIn, sales: Membership
) -> None:
    make_field(sales.company, "Seats", "number", is_listed=True)
    make_field(sales.company, "Region", "choice")
    make_lead(sales.company, custom={"seats": "4000", "region": "emea"})

    page = client_as(sales).get("/leads/").content.decode().partition("<table")[2]

    assert "<bdi>Seats</bdi>" in page
    assert "4,000" in page
    assert "EMEA" not in page


def test_filters_combine_with_each_other_and_with_those_of_every_company(
    client_as: SignIn, sales: Membership
) -> None:
    make_every_field(sales.company)
    wanted = make_lead(
        sales.company,
        source="Fair",
        custom={"number": "40", "date": "2027-01-31", "yes_no": True},
    )
    make_lead(
        sales.company,
        source="Fair",
        custom={"number": "40", "date": "2027-02-01", "yes_no": True},
    )
    make_lead(
        sales.company, custom={"number": "40", "date": "2027-01-31", "yes_no": True}
    )

    page = client_as(sales).get(
        "/leads/?source=Fair&custom_number__from=40&custom_date__until=2027-01-31&custom_yes_no=yes"
    )

    assert [row[0] for row in page.context["rows"]] == [wanted]


def test_a_text_that_is_filtered_by_is_in_no_url(
    client_as: SignIn, sales: Membership
) -> None:
    make_field(sales.company, "Nickname")
    wanted = make_lead(sales.company, custom={"nickname": "Zoë of Mars"})
    make_lead(sales.company, custom={"nickname": "Ada"})
    web = client_as(sales)

    answer = web.post("/leads/", {"custom_nickname": "zoe OF", "sort": "name"})

    assert "zoe" not in answer.url.lower()
    page = web.get(answer.url)
    assert [row[0] for row in page.context["rows"]] == [wanted]
    assert 'value="zoe OF"' in page.content.decode()
    refused = web.post("/leads/", {"custom_nickname": "x" * 101})
    assert refused.url == "/leads/"
    assert said(refused) == ["Enter at most 100 characters to search for."]


def test_the_pages_take_the_same_queries_however_many_fields(
    client_as: SignIn, admin: Membership, django_assert_max_num_queries: Any
) -> None:
    lead = make_lead(admin.company)
    deal = make_deal(lead)
    web = client_as(admin)
    pages = (
        URL,
        "/leads/",
        f"/leads/{lead.pk}/",
        f"/leads/{lead.pk}/edit/",
        f"/deals/{deal.pk}/",
    )

    def queries(page: str) -> int:
        with django_assert_max_num_queries(99) as found:
            assert web.get(page).status_code == 200
        return len(found)

    for page in pages:
        queries(page)
    few = [queries(page) for page in pages]
    make_every_field(admin.company, is_listed=True)
    make_every_field(admin.company, subject="deal")
    Lead.objects.update(custom={"text": "x", "choice": "emea"})

    assert [queries(page) for page in pages] == few
