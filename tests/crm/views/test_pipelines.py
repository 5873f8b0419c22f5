"""What admins do with pipelines, that their stages are lists of their own, and that none of it is an event."""

import pytest
from django.db.models.functions import Now

from capi.models import ConversionEvent
from crm.models import (
    AuditEntry,
    Change,
    Company,
    CrmEvent,
    Deal,
    LostReason,
    Pipeline,
    Stage,
)
from crm.services.picklists import archive_entry
from crm.services.pipelines import (
    PIPELINES_AT_MOST,
    PipelineError,
    add_pipeline,
    archive_pipeline,
    make_default,
)
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

PAGE = "/company/pipelines/"
STAGES = "/company/lists/stages/"


@pytest.fixture
def client(client_as, admin):
    return client_as(admin)


@pytest.fixture
def sales_pipeline(company):
    return Pipeline.objects.default_of(company)


@pytest.fixture
def renewals(company):
    return add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))


def stages_of(pipeline):
    return list(Stage.objects.of(pipeline).values_list("name", "meaning", "chance"))


def stage(pipeline, name):
    return Stage.objects.of(pipeline).get(name=name)


USUAL = [
    ("Discovery", "open", 25),
    ("Proposal", "open", 50),
    ("Negotiation", "open", 75),
    ("Won", "won", 100),
    ("Lost", "lost", 0),
]


# Pipelines


def test_a_new_company_has_one_pipeline_called_sales(company, sales_pipeline):
    assert (sales_pipeline.name, Pipeline.objects.for_company(company).count()) == (
        "Sales",
        1,
    )
    assert stages_of(sales_pipeline) == USUAL


def test_an_added_pipeline_has_the_usual_stages_and_is_on_the_audit_log(
    client, company
):
    page = client.post(PAGE, {"name": "Renewals"}, follow=True).content.decode()

    added = Pipeline.objects.get(name="Renewals")
    assert "Renewals was added. Check its stages." in page
    assert f'href="/company/lists/#stages-of-{added.pk}"' in page
    assert (stages_of(added), added.is_default) == (USUAL, False)
    assert (
        AuditEntry.objects.for_company(company).filter(object_label="Renewals").exists()
    )


@pytest.mark.parametrize("name", ["Sales", " SALES ", "", "x" * 61])
def test_a_name_that_is_taken_empty_or_too_long_is_refused(client, company, name):
    response = client.post(PAGE, {"name": name})

    assert (response.status_code, Pipeline.objects.count()) == (200, 1)
    assert "Nothing was saved." in response.content.decode()


def test_a_pipeline_is_renamed_and_no_two_have_one_name(client, renewals):
    client.post(f"{PAGE}{renewals.pk}/", {"name": "Extensions"})
    refused = client.post(f"{PAGE}{renewals.pk}/", {"name": "sales"})

    assert "There is a pipeline called “sales” already." in refused.content.decode()
    assert Pipeline.objects.get(pk=renewals.pk).name == "Extensions"


def test_there_is_an_end_to_pipelines_and_the_page_says_so(
    client, company, sales_pipeline
):
    Pipeline.objects.bulk_create(
        Pipeline(company=company, name=str(n)) for n in range(1, PIPELINES_AT_MOST)
    )

    page = client.post(PAGE, {"name": "One more"}, follow=True).content.decode()

    assert "the most that a company can have" in page
    assert Pipeline.objects.count() == PIPELINES_AT_MOST


def test_a_deal_without_a_stage_goes_into_the_default_pipeline(
    client, company, sales_pipeline, renewals
):
    client.post(f"{PAGE}{renewals.pk}/default/")

    assert make_deal(make_lead(company)).stage.pipeline == renewals
    assert list(Pipeline.objects.for_company(company).filter(is_default=True)) == [
        renewals
    ]
    sales_pipeline.refresh_from_db()
    assert (
        stages_of(sales_pipeline),
        stages_of(Pipeline.objects.default_of(company)),
    ) == (USUAL, USUAL)


def test_a_pipeline_without_an_open_stage_is_not_made_the_default_one(
    client, company, renewals
):
    Stage.objects.of(renewals).filter(meaning="open").update(
        archived_at="2026-01-01T00:00Z"
    )

    page = client.post(f"{PAGE}{renewals.pk}/default/", follow=True).content.decode()

    assert "Renewals has no open stage, and new deals need one." in page
    assert make_deal(make_lead(company)).stage.name == "Discovery"


def test_a_pipeline_with_open_deals_is_not_archived_and_the_page_says_how_many(
    client, company, renewals
):
    make_deal(make_lead(company), stage=stage(renewals, "Proposal"))

    asked = client.get(f"{PAGE}{renewals.pk}/archive/").content.decode()
    answer = client.post(f"{PAGE}{renewals.pk}/archive/", follow=True).content.decode()

    assert "1 open deal</a>. Close it, or move it to another pipeline." in " ".join(
        asked.split()
    )
    assert "Archive pipeline" not in asked
    assert "Renewals has 1 open deal. Close or move it first." in answer
    assert Pipeline.objects.get(pk=renewals.pk).archived_at is None


def test_an_archived_pipeline_keeps_its_deals_and_can_be_used_again(
    client, company, renewals
):
    deal = make_deal(make_lead(company), stage=stage(renewals, "Won"))

    client.post(f"{PAGE}{renewals.pk}/archive/")

    assert deal in client.get("/deals/list/").context["page"]
    assert client.get(f"/deals/{deal.pk}/").status_code == 200
    assert Stage.objects.for_company(company).offered().count() == 5
    client.post(f"{PAGE}{renewals.pk}/restore/")
    assert Stage.objects.for_company(company).offered().count() == 10


def test_of_two_admins_one_archives_what_the_other_has_made_the_default(renewals):
    stale = Pipeline.objects.get(pk=renewals.pk)
    make_default(pipeline=renewals)

    with pytest.raises(PipelineError, match="Renewals is the default pipeline"):
        archive_pipeline(pipeline=stale)


# Their stages, each pipeline a list of its own


def test_the_stages_of_the_only_pipeline_need_no_name_of_it(client, company):
    titles = [
        section.title for section in client.get("/company/lists/").context["sections"]
    ]

    assert titles == [
        "Lead statuses",
        "Deal stages",
        "Lost reasons",
        "Lead types",
        "Sources",
        "Tags",
    ]


def test_each_pipeline_in_use_has_a_list_of_its_stages(
    client, company, sales_pipeline, renewals
):
    archive_pipeline(
        pipeline=add_pipeline(pipeline=Pipeline(company=company, name="Former"))
    )

    shown = {
        section.title: section
        for section in client.get("/company/lists/").context["sections"]
    }

    assert [title for title in shown if title.startswith("Deal")] == [
        "Deal stages: Sales",
        "Deal stages: Renewals",
    ]
    assert {
        len(shown[title].rows)
        for title in ("Deal stages: Sales", "Deal stages: Renewals")
    } == {5}


def test_a_stage_is_added_to_its_pipeline_with_a_chance(
    client, other_company, renewals, sales_pipeline
):
    form = {"name": "Offered", "meaning": "open", "chance": 80, "colour": ""}

    answer = client.post(f"{STAGES}new/?pipeline={renewals.pk}", form)
    client.post(f"{STAGES}new/", {**form, "name": "Trial"})
    theirs = Pipeline.objects.default_of(other_company)

    assert answer.url == f"/company/lists/#stages-of-{renewals.pk}"
    assert stages_of(renewals) == [*USUAL, ("Offered", "open", 80)]
    assert stages_of(sales_pipeline) == [*USUAL, ("Trial", "open", 80)]
    for pipeline in (theirs.pk, "x", ""):
        assert client.post(f"{STAGES}new/?pipeline={pipeline}", form).status_code == 404


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"chance": "101"}, "Enter a number from 0 to 100."),
        ({"chance": "-1"}, "greater than or equal to 0"),
        ({"chance": "many"}, "Enter a whole number."),
        ({"chance": ""}, "This field is required."),
        ({"name": "discovery"}, "There is already one called “Discovery”."),
    ],
)
def test_a_chance_or_name_that_makes_no_sense_is_refused(
    client, renewals, form, message
):
    usual = {"name": "Offered", "meaning": "open", "chance": 80, "colour": ""}

    page = client.post(
        f"{STAGES}new/?pipeline={renewals.pk}", {**usual, **form}
    ).content.decode()

    assert message in page
    assert stages_of(renewals) == USUAL


def test_the_chance_of_won_and_lost_is_fixed(client, renewals):
    won = stage(renewals, "Won")
    client.post(
        f"{STAGES}{won.pk}/",
        {"name": "Won", "meaning": "won", "chance": 10, "colour": ""},
    )
    client.post(
        f"{STAGES}new/?pipeline={renewals.pk}",
        {"name": "No go", "meaning": "lost", "chance": 50, "colour": ""},
    )

    assert stages_of(renewals) == [*USUAL, ("No go", "lost", 0)]
    assert client.get(f"{STAGES}{won.pk}/").context["form"].fields["chance"].disabled


def test_a_pipeline_keeps_a_stage_of_each_meaning_whatever_the_others_have(
    client, sales_pipeline, renewals
):
    won = stage(renewals, "Won")

    page = client.post(f"{STAGES}{won.pk}/archive/", follow=True).content.decode()

    assert "This is the only one that means “Won”, which its pipeline needs." in page
    assert stage(renewals, "Won").archived_at is None


def test_stages_change_places_among_those_of_their_pipeline(
    client, sales_pipeline, renewals
):
    client.post(f"{STAGES}{stage(renewals, 'Discovery').pk}/move/", {"step": "down"})

    assert [name for name, _, _ in stages_of(renewals)][:2] == ["Proposal", "Discovery"]
    assert stages_of(sales_pipeline) == USUAL


def test_the_deals_of_a_deleted_stage_move_within_their_pipeline(
    client, company, sales_pipeline, renewals
):
    deal = make_deal(make_lead(company), stage=stage(renewals, "Proposal"))
    url = f"{STAGES}{deal.stage_id}/delete/"

    offered = client.get(url).context["removal"].targets
    refused = client.post(
        url, {"move_to": stage(sales_pipeline, "Discovery").pk}, follow=True
    )
    client.post(url, {"move_to": stage(renewals, "Discovery").pk})

    assert {target.pipeline for target in offered} == {renewals}
    assert "Choose another entry of this list" in refused.content.decode()
    deal.refresh_from_db()
    assert deal.stage == stage(renewals, "Discovery")


def test_an_archived_stage_is_offered_nowhere_and_moved_to_by_nobody(
    client, company, renewals
):
    archived = stage(renewals, "Discovery")
    deal = make_deal(make_lead(company))
    archive_entry(entry=archived)

    page = client.post(
        f"/deals/{deal.pk}/move/", {"stage": archived.pk}, follow=True
    ).content.decode()

    assert "Nothing was changed: Discovery was archived. Choose another stage." in page
    assert [
        each.name
        for each in client.get(f"/deals/{deal.pk}/").context["other_pipelines"]
    ] == ["Proposal"]
    assert Deal.objects.get().stage == deal.stage


# Whether a reason has to be chosen


def test_admins_say_whether_a_lost_deal_needs_a_reason(client, company):
    form = {"name": company.name, "currency": "EUR", "time_zone": company.time_zone}

    client.post("/company/", {**form, "requires_lost_reason": "on"})

    assert Company.objects.get(pk=company.pk).requires_lost_reason


# Whatever an admin changes here, nothing happens to a deal.

HARMLESS = {
    "a chance changes": lambda pipeline: (
        f"{STAGES}{stage(pipeline, 'Won').pk}/", {"name": "Signed", "meaning": "won", "chance": 5, "colour": "red"},
    ),
    "a pipeline is renamed": lambda pipeline: (f"{PAGE}{pipeline.pk}/", {"name": "Extensions"}),
    "a pipeline becomes the default": lambda pipeline: (f"{PAGE}{pipeline.pk}/default/", {}),
    "a pipeline is archived": lambda pipeline: (f"{PAGE}{pipeline.pk}/archive/", {}),
    "a pipeline is used again": lambda pipeline: (f"{PAGE}{pipeline.pk}/restore/", {}),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_nothing_fires_or_stops_when(client, company, renewals, token, make_rule, what):
    for kind in ("deal_created", "deal_won", "deal_lost"):
        make_rule(kind)
    lead, price = (
        make_lead(company),
        LostReason.objects.create(company=company, name="Price"),
    )
    for each in Stage.objects.of(renewals).exclude(meaning="open"):
        make_deal(
            lead, stage=each, lost_reason=price if each.meaning == "lost" else None
        )
    before = [
        list(model.objects.order_by("pk").values())
        for model in (Deal, CrmEvent, Change, ConversionEvent)
    ]
    url, form = HARMLESS[what](renewals)

    response = client.post(url, form)

    assert response.status_code == 302
    assert [
        list(model.objects.order_by("pk").values())
        for model in (Deal, CrmEvent, Change, ConversionEvent)
    ] == before


# What undo, an earlier version or another alphabet brings about


def test_a_deal_that_comes_back_to_an_archived_pipeline_is_on_its_board_and_in_its_forecast(
    client, company, renewals
):
    make_deal(
        make_lead(company), title="Forty licences", stage=stage(renewals, "Discovery")
    )
    Pipeline.objects.filter(pk=renewals.pk).update(archived_at=Now())

    board = client.get(f"/deals/?pipeline={renewals.pk}")

    assert "Forty licences" in board.content.decode()
    assert client.get("/deals/forecast/").context["forecast"].total.own.count == 1


@pytest.mark.parametrize(
    "names", [("İstanbul", "istanbul"), ("STRASSE", "Straße"), ("Renewals", "RENEWALS")]
)
@pytest.mark.parametrize(
    "path", [PAGE, "/company/lists/lost-reasons/new/", "/company/lists/types/new/"]
)
def test_of_two_names_that_are_alike_the_second_is_refused_or_added(
    client, names, path
):
    answers = [client.post(path, {"name": name}).status_code for name in names]

    assert answers[0] == 302
    assert answers[1] in (200, 302)
