"""A note is about one outcome of a deal: it goes with that, and comes back with an undo."""

import threading

import pytest
from django.db import connection, transaction
from django.db.models import Q

from crm.models import Change, Deal, LostReason
from crm.services.editing import ChangedMeanwhile, move_deal
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead, staff_client
from tests.crm.views.test_deal_moves import lose, lost_url, stage, undo

pytestmark = pytest.mark.django_db

LOVED, DEAR = "They loved the demo.", "Too dear."


@pytest.fixture
def price(company):
    company.grace_seconds = 30
    company.save()
    return LostReason.objects.create(company=company, name="Price")


@pytest.fixture
def deal(company):
    return make_deal(make_lead(company))


@pytest.fixture
def client(client_as, sales):
    return client_as(sales)


def move(client, deal, name):
    return client.post(
        f"/deals/{deal.pk}/move/", {"stage": stage(deal.company, name).pk}, follow=True
    )


def edit(client, deal, name, **changes):
    """Move the deal to the stage with this name on its edit page, which shows the present note."""
    form = client.get(f"/deals/{deal.pk}/edit/").context["form"]
    shown = {field: form[field].value() or "" for field in form.fields}
    return client.post(
        f"/deals/{deal.pk}/edit/",
        {**shown, "stage": stage(deal.company, name).pk, **changes},
        follow=True,
    )


def outcome(deal):
    deal.refresh_from_db()
    return (
        deal.stage.name,
        deal.lost_reason and deal.lost_reason.name,
        deal.outcome_note,
    )


def test_undo_of_a_loss_brings_back_the_note_of_the_win(client, company, deal, price):
    Deal.objects.update(stage=stage(company, "Won"), outcome_note=LOVED)

    lost = lose(client, deal, lost_reason=price.pk, outcome_note=DEAR)
    assert outcome(deal) == ("Lost", "Price", DEAR)
    undo(client, lost)

    assert outcome(deal) == ("Won", None, LOVED)


@pytest.mark.parametrize("to", ["Won", "Proposal"])
@pytest.mark.parametrize("by", [move, edit])
def test_undo_of_a_slip_brings_back_the_note_of_the_loss(client, deal, price, to, by):
    lose(client, deal, lost_reason=price.pk, outcome_note=DEAR)

    slip = by(client, deal, to)
    assert outcome(deal) == (to, None, "")
    undo(client, slip)

    assert outcome(deal) == ("Lost", "Price", DEAR)


def test_undo_of_a_loss_leaves_no_note_of_it_anywhere(client, deal, price):
    undo(client, lose(client, deal, lost_reason=price.pk, outcome_note=DEAR))

    assert outcome(deal) == ("Discovery", None, "")
    assert deal.former_outcome_note == ""


def test_a_move_between_open_stages_and_its_undo_leave_the_note_as_it_is(
    client, deal, price
):
    moved = move(client, deal, "Proposal")
    edit(client, deal, "Proposal", outcome_note=LOVED)

    undo(client, moved)

    assert outcome(deal) == ("Discovery", None, LOVED)


def test_a_deal_opened_again_and_then_won_does_not_say_why_it_was_lost(
    client, deal, price
):
    lose(client, deal, lost_reason=price.pk, outcome_note=DEAR)
    move(client, deal, "Proposal")

    edit(client, deal, "Won")

    assert outcome(deal) == ("Won", None, "")


def test_a_note_written_anew_or_while_the_deal_was_open_is_kept(client, deal, price):
    edit(client, deal, "Proposal", outcome_note=LOVED)
    move(client, deal, "Won")
    assert outcome(deal) == ("Won", None, LOVED)

    edit(client, deal, "Lost", lost_reason=price.pk, outcome_note=DEAR)

    assert outcome(deal) == ("Lost", "Price", DEAR)


def test_the_operators_admin_keeps_no_note_of_another_outcome(company, deal):
    Deal.objects.update(stage=stage(company, "Lost"), outcome_note=DEAR)
    rows = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": deal.pk}

    staff_client().post(
        "/admin/crm/deal/",
        {**rows, "form-0-stage": stage(company, "Won").pk, "_save": "Save"},
    )

    assert outcome(deal) == ("Won", None, "")


@pytest.mark.django_db(transaction=True)
def test_an_erasure_reaches_the_former_note_and_the_history_has_none(
    client, deal, price
):
    lose(client, deal, lost_reason=price.pk, outcome_note=DEAR)
    won = move(client, deal, "Won")
    assert Deal.objects.get().former_outcome_note == DEAR
    assert not Change.objects.filter(
        Q(old__contains="dear") | Q(new__contains="dear")
    ).exists()

    erase_lead(lead=deal.lead)
    undo(client, won)

    deal.refresh_from_db()
    assert (deal.outcome_note, deal.former_outcome_note) == ("", "")


def test_a_note_about_a_person_who_was_erased_meanwhile_is_dropped_in_words(
    client, deal, price
):
    erase_lead(lead=deal.lead)

    page = lose(
        client, deal, lost_reason=price.pk, outcome_note="Ada said no."
    ).content.decode()

    deal.refresh_from_db()
    assert (deal.lost_reason, deal.outcome_note) == (price, "")
    assert (
        "The person has been erased. What you wrote in your own words was not saved."
        in page
    )


def test_erasure_clears_the_note_and_none_is_asked_for_later(client, company, price):
    lead = make_lead(company)
    lost = make_deal(lead, stage=stage(company, "Lost"), outcome_note="Ada said no.")
    still_open = make_deal(lead)
    erase_lead(lead=lead)

    page = client.get(f"{lost_url(still_open)}?stage={stage(company, 'Lost').pk}")

    assert Deal.objects.get(pk=lost.pk).outcome_note == ""
    assert list(page.context["form"].fields) == ["lost_reason"]


def test_a_move_decided_before_another_person_lost_the_deal_leaves_no_reason(
    company, deal, price
):
    stale = Deal.objects.select_related("stage").get()
    move_deal(
        deal=deal, stage=stage(company, "Lost"), lost_reason=price, outcome_note=DEAR
    )

    move_deal(deal=stale, stage=stage(company, "Proposal"))

    assert outcome(deal) == ("Proposal", None, "")
    assert deal.former_outcome_note == DEAR


@pytest.mark.django_db(transaction=True)
def test_of_two_who_lose_a_deal_at_once_the_second_is_told(company, deal, price):
    timing = LostReason.objects.create(company=company, name="Timing")
    lost, opened = stage(company, "Lost"), str(deal.stage_id)
    has_moved, second_is_there = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            move_deal(
                deal=Deal.objects.get(),
                stage=lost,
                seen=opened,
                lost_reason=price,
                outcome_note=DEAR,
            )
            has_moved.set()
            second_is_there.wait(0.3)  # it is not there until this is committed
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    has_moved.wait(5)
    with pytest.raises(ChangedMeanwhile):
        move_deal(
            deal=deal, stage=lost, seen=opened, lost_reason=timing, outcome_note=""
        )
    second_is_there.set()
    thread.join()

    assert outcome(deal) == ("Lost", "Price", DEAR)
