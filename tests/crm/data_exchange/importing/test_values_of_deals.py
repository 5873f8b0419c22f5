"""The values of stages, pipelines, lost reasons, tags and choices in a file of deals: found, chosen, and taken back."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from crm.data_exchange.importing.column_readings import readings_of
from crm.models import (
    CustomField,
    Deal,
    Lead,
    LeadImportRow,
    LostReason,
    Membership,
    Pipeline,
    Stage,
    Tag,
)
from crm.models.steps import add_usual_stages
from crm.services import lead_imports
from tests.conftest import make_lead
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.choosing import choose, choose_all, shown
from tests.crm.data_exchange.importing.uploading import run, upload, work_on

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Deal,E-mail,Pipeline,Stage,Lost reason"


@pytest.fixture
def ada(admin: Membership) -> Lead:
    return make_lead(admin.company, email="ada@example.com")


@pytest.fixture
def web(
    client_as: Callable[[Membership], Client], admin: Membership, ada: Lead
) -> Client:
    return client_as(admin)


@pytest.fixture
def renewals(admin: Membership) -> Pipeline:
    pipeline = Pipeline.objects.create(company=admin.company, name="Renewals")
    add_usual_stages(pipeline)
    return pipeline


def deals(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines])


def stage(member: Membership, name: str) -> Stage:
    return Stage.objects.usual_of(member.company).get(name=name)


def test_the_page_shows_what_becomes_of_stages_and_reasons_and_creates_none(
    admin: Membership, web: Client, renewals: Pipeline
) -> None:
    LostReason.objects.create(company=admin.company, name="Price")
    text = deals(
        "A,ada@example.com,renewals,lost!,PRICE", "B,ada@example.com,,Ende,Weather"
    )

    checked = upload(admin, text)

    assert shown(web, checked) == [
        ("renewals", "Renewals", "same"),
        ("Ende", "Leave empty", "1 cell"),
        ("lost!", "Lost", "guessed"),
        ("PRICE", "Price", "same"),
        ("Weather", "Leave empty", "1 cell"),
    ]
    page = web.get(checked.get_absolute_url()).content.decode()
    assert "Create “" not in page
    assert (
        page.count(">Negotiation</option>") == 2
    )  # once for each value, not for each pipeline
    run(checked, admin)
    lost = Deal.objects.get(title="A")
    assert lost.stage == renewals.stages.get(name="Lost")
    assert lost.lost_reason is not None
    assert lost.lost_reason.name == "Price"


def test_a_chosen_stage_is_that_of_the_pipeline_of_each_row(
    admin: Membership, web: Client, renewals: Pipeline
) -> None:
    checked = upload(
        admin, deals("A,ada@example.com,,Ende,", "B,ada@example.com,Renewals,Ende,")
    )

    again = choose(web, checked, 3, Ende=f"entry:{stage(admin, 'Won').pk}")

    assert shown(web, again)[-1] == ("Ende", "Won", "chosen")
    run(again, admin)
    assert [deal.stage for deal in Deal.objects.order_by("pk")] == [
        stage(admin, "Won"),
        renewals.stages.get(name="Won"),
    ]


def test_a_row_is_left_out_for_a_stage_that_its_pipeline_does_not_have(
    admin: Membership, web: Client, renewals: Pipeline
) -> None:
    renewals.stages.filter(name="Proposal").update(name="Quote")
    checked = upload(
        admin, deals("A,ada@example.com,Sales,Quote,", "B,ada@example.com,,Quote,")
    )

    again, _ = choose_all(web, checked, {}, otherwise_3="row")

    assert (again.planned["new"], again.planned["bad:stage_unknown"]) == (1, 1)
    assert LeadImportRow.objects.get(outcome="bad").column == 3


def test_two_stages_of_one_pipeline_that_differ_by_case_are_no_answer(
    admin: Membership, ada: Lead
) -> None:
    Stage.objects.create(company=admin.company, name="WON", meaning="lost")

    run(upload(admin, deals("A,ada@example.com,,Won,")), admin)

    assert Deal.objects.get().stage.meaning == "open"
    assert LeadImportRow.objects.get().cell_problems == {"3": "stage_unknown"}


@pytest.mark.parametrize("change", ["a stage of that name", "another default"])
def test_stages_that_have_changed_since_the_check_start_nothing(
    admin: Membership, ada: Lead, renewals: Pipeline, change: str
) -> None:
    renewals.stages.filter(name="Won").update(name="Quote")
    checked = upload(admin, deals("A,ada@example.com,,Quote,"))

    if change == "another default":
        Pipeline.objects.filter(is_default=True).update(is_default=False)
        Pipeline.objects.filter(pk=renewals.pk).update(is_default=True)
    else:
        Stage.objects.create(company=admin.company, name="Quote", meaning="open")

    with pytest.raises(ValidationError, match="stages have changed since the check"):
        run(checked, admin)
    assert not Deal.objects.exists()


def test_tags_and_choices_of_deals_are_added_used_and_taken_back(
    admin: Membership, web: Client
) -> None:
    make_field(admin.company, "Region", "choice", subject="deal")
    before = CustomField.objects.get().choices
    text = deals("A,ada@example.com,Mars,VIP", header="Deal,E-mail,Region,Tags")

    done = run(choose(web, upload(admin, text), 2, Mars="create"), admin)

    deal = Deal.objects.get()
    assert deal.custom == {"region": "mars"}
    assert [tag.name for tag in deal.tags.all()] == ["VIP"]
    assert "mars" in CustomField.objects.get().labels
    lead_imports.undo(lead_import=done, actor=admin.user)
    work_on(done)
    assert not Deal.objects.exists()
    assert CustomField.objects.get().choices == before
    assert not Tag.objects.exists()


def test_an_undo_keeps_a_choice_that_another_deal_has(
    admin: Membership, web: Client, ada: Lead
) -> None:
    make_field(admin.company, "Region", "choice", subject="deal")
    text = deals("A,ada@example.com,Mars", header="Deal,E-mail,Region")
    done = run(choose(web, upload(admin, text), 2, Mars="create"), admin)
    Deal.objects.create(
        company=admin.company, lead=ada, title="B", custom={"region": "mars"}
    )

    lead_imports.undo(lead_import=done, actor=admin.user)
    work_on(done)

    assert "mars" in CustomField.objects.get().labels


def test_saying_what_a_file_holds_forgets_what_was_chosen_for_its_values(
    admin: Membership, web: Client
) -> None:
    text = deals("Fleet,ada@example.com,Ende", header="Name,E-mail,Status")
    checked = choose(web, upload(admin, text), 2, Ende="row")
    assert readings_of(checked)[2].values["ende"].action == "row"

    changed = lead_imports.choose_subject(lead_import=checked, subject="deal")

    assert changed.columns[2] == "stage"
    assert readings_of(changed)[2].values == {}


def test_what_was_chosen_for_leads_is_not_remembered_for_deals(
    admin: Membership, web: Client
) -> None:
    lines = ("Fleet,a@example.com,Ende", "Vans,b@example.com,New")
    text = deals(*lines, header="Name,E-mail,Status")
    run(choose(web, upload(admin, text), 2, Ende="row"), admin)

    checked = upload(admin, text)
    assert readings_of(checked)[2].values["ende"].action == "row"
    changed = lead_imports.choose_subject(lead_import=checked, subject="deal")

    assert readings_of(changed)[2].values == {}
