"""Two people who edit one lead or deal at once: the second is told, and nothing is overwritten unseen (F57)."""

import re
from collections import Counter

import pytest
from django.test import Client

from crm.api.serializers import StrictSerializer
from crm.models import CrmEvent, Deal, Lead, LeadStatus, Stage
from crm.models.roles import Role
from crm.services.editing import change_status
from crm.views import deal_moves
from tests.conftest import join, make_deal, make_lead
from tests.crm.api.calling import caller
from tests.faults.threads import in_threads

pytestmark = pytest.mark.django_db

CONFLICT = "Nothing was saved: this was changed after you opened it."


@pytest.fixture
def one(client_as, sales) -> Client:
    return client_as(sales)


@pytest.fixture
def other(client_as, company) -> Client:
    return client_as(join(company, Role.SALES, email="second@example.com"))


@pytest.fixture
def lead(company) -> Lead:
    return make_lead(company, notes="Met in Utrecht")


def opened(client: Client, row) -> dict[str, object]:
    """The form of a lead or deal as a browser would send it back."""
    page = client.get(f"{row.get_absolute_url()}edit/")
    form = page.context["form"]
    fields = {
        name: value
        for name in form.fields
        if (value := form[name].value()) not in (None, False)
    }
    return {**fields, "version": version_in(page)}


def version_in(page) -> str:
    found = re.search(r'name="version" value="([^"]+)"', page.content.decode())
    assert found
    return found[1].replace("&#x27;", "'")


def save(client: Client, row, fields: dict[str, object]):
    return client.post(f"{row.get_absolute_url()}edit/", fields)


def test_the_second_of_two_is_told_and_what_the_first_wrote_stays(one, other, lead):
    ones, others = opened(one, lead), opened(other, lead)
    save(one, lead, {**ones, "notes": "Wants a call"})

    answer = save(other, lead, {**others, "phone": "+31 20 555 0199"})

    assert answer.status_code == 409
    assert CONFLICT in answer.content.decode()
    assert 'value="+31 20 555 0199"' in answer.content.decode()
    lead.refresh_from_db()
    assert (lead.notes, lead.phone) == ("Wants a call", "")


def test_saving_once_more_after_that_is_on_purpose(one, other, lead):
    ones, others = opened(one, lead), opened(other, lead)
    save(one, lead, {**ones, "notes": "Wants a call"})
    told = save(other, lead, {**others, "notes": "Wants a mail"})

    again = save(
        other, lead, {**others, "notes": "Wants a mail", "version": version_in(told)}
    )

    assert again.status_code == 302
    lead.refresh_from_db()
    assert lead.notes == "Wants a mail"


def test_a_form_that_was_refused_for_something_else_still_knows_what_it_was_opened_on(
    one, other, lead
):
    ones, others = opened(one, lead), opened(other, lead)
    save(one, lead, {**ones, "notes": "Wants a call"})
    refused = save(other, lead, {**others, "email": "no address"})

    answer = save(other, lead, {**others, "version": version_in(refused)})

    assert (refused.status_code, answer.status_code) == (200, 409)


def test_a_status_that_was_set_meanwhile_is_not_set_back(one, company, lead):
    fields = opened(one, lead)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    change_status(leads=Lead.objects.filter(pk=lead.pk), status=qualified)

    answer = save(one, lead, fields)

    lead.refresh_from_db()
    assert (answer.status_code, lead.status) == (409, qualified)
    assert CrmEvent.objects.filter(kind="lead_qualified").count() == 1


def test_the_same_holds_for_a_deal(one, other, lead):
    deal = make_deal(lead)
    ones, others = opened(one, deal), opened(other, deal)
    save(one, deal, {**ones, "amount": "900"})

    answer = save(other, deal, {**others, "title": "Fifty licences"})

    deal.refresh_from_db()
    assert answer.status_code == 409
    assert (str(deal.amount), deal.title) == ("900.00", "Forty licences")


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_what_was_deleted_meanwhile_does_not_come_back(kind, one, lead, monkeypatch):
    row = lead if kind == "lead" else make_deal(lead)
    fields = opened(one, row)
    form = f"crm.views.{kind}s.{kind.capitalize()}Form.is_valid"
    monkeypatch.setattr(
        form,
        lambda self: (
            self.full_clean() or type(row).objects.filter(pk=row.pk).delete()[0]
        ),
    )

    answer = save(one, row, fields)

    assert answer.status_code in (404, 409)
    assert not type(row).objects.exists()


@pytest.fixture
def deleted_just_before(monkeypatch):
    """Let someone else delete all rows of a model at the moment when this function is called."""

    def at(owner, name: str, model) -> None:
        function = getattr(owner, name)

        def call(*args, **kwargs):
            model.objects.all().delete()
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    return at


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["leads", "deals"])
def test_a_script_that_changes_what_was_deleted_at_that_moment_gets_404(
    path, company, lead, deleted_just_before
):
    row = lead if path == "leads" else make_deal(lead)
    deleted_just_before(StrictSerializer, "update", type(row))

    answer = caller(company).patch(f"/api/v1/{path}/{row.pk}/", {"owner": None})

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
    assert not type(row).objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deal_that_was_deleted_at_that_moment_is_not_moved_and_the_page_says_404(
    one, company, lead, deleted_just_before
):
    deal = make_deal(lead)
    won = Stage.objects.get(company=company, meaning="won")
    deleted_just_before(deal_moves, "move_deal", Deal)

    answer = one.post(f"/deals/{deal.pk}/move/", {"stage": won.pk})

    assert answer.status_code == 404
    assert not CrmEvent.objects.filter(kind="deal_won").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("F57")
def test_of_20_who_save_at_once_one_does_and_the_others_are_told(one, lead):
    fields = opened(one, lead)
    answers = []

    def edit(number: int) -> None:
        client = Client()
        client.cookies = one.cookies.copy()
        answers.append(
            (number, save(client, lead, {**fields, "notes": f"Note {number}"}))
        )

    in_threads(20, edit)

    assert Counter(answer.status_code for _, answer in answers) == {302: 1, 409: 19}
    [winner] = [number for number, answer in answers if answer.status_code == 302]
    lead.refresh_from_db()
    assert lead.notes == f"Note {winner}"
