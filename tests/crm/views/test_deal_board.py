"""The board of deals by stage, and moving a deal."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.utils import timezone

from crm.models import CrmEvent, Deal, Pipeline, Stage
from crm.models.roles import Role
from crm.selectors import deals
from crm.services.pipelines import add_pipeline, archive_pipeline
from tests.conftest import join, make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def won(company):
    return Stage.objects.for_company(company).get(name="Won")


def column(response, name):
    return next(
        column
        for column in response.context["board"].columns
        if column.stage.name == name
    )


def titles(response, name):
    return [card.deal.title for card in column(response, name).cards]


def squeezed(response):
    return re.sub(r"\s*\n\s*", "", response.content.decode())


def closed(deal, *, days_ago):
    CrmEvent.objects.filter(deal=deal).update(
        occurred_at=timezone.now() - timedelta(days=days_ago)
    )


def test_each_stage_has_its_deals_last_changed_first_with_their_sums(
    client_as, sales, company, won
):
    lead = make_lead(company)
    make_deal(lead, title="First", amount="1000.50")
    make_deal(lead, title="Second", amount="2000")
    make_deal(lead, title="Third", amount="300", currency="CHF")
    make_deal(lead, title="Fourth", amount=None, stage=won)

    response = client_as(sales).get("/deals/")

    discovery = column(response, "Discovery")
    assert titles(response, "Discovery") == ["Third", "Second", "First"]
    assert discovery.count == 3
    assert (discovery.total, discovery.other_sums) == (
        Decimal("3000.50"),
        [("CHF", Decimal("300.00"))],
    )
    assert (column(response, "Won").count, column(response, "Won").total) == (1, None)
    text = response.content.decode()
    assert "<strong>€3,000.50</strong>" in text
    assert "<span>+ 300\u00a0CHF</span>" in text
    assert (discovery.weighted_total, column(response, "Won").weighted_total) == (
        Decimal(750),
        None,
    )
    assert "3 open deals, €3,000.50 in EUR, €750 weighted" in text


def test_a_pipeline_of_two_hundred_stages_is_shown(client_as, sales, company, won):
    deal = make_deal(make_lead(company))
    for number in range(
        200 - Stage.objects.for_company(company).filter(pipeline=won.pipeline).count()
    ):
        meaning = "open" if number % 2 else "lost"
        Stage.objects.create(
            company=company,
            pipeline=won.pipeline,
            name=f"Stage {number}",
            meaning=meaning,
        )

    response = client_as(sales).get("/deals/")

    assert len(response.context["board"].columns) == 200
    assert titles(response, "Discovery") == [deal.title]


def test_a_long_column_is_cut_and_leads_to_the_whole_list(
    client_as, sales, company, monkeypatch
):
    monkeypatch.setattr(deals, "CARDS_PER_STAGE", 2)
    lead = make_lead(company)
    for title in ("First", "Second", "Third"):
        make_deal(lead, title=title)
    stage = Stage.objects.for_company(company).get(name="Discovery")
    client = client_as(sales)

    board = client.get("/deals/")
    everything = client.get(f"/deals/list/?stage={stage.pk}")

    assert titles(board, "Discovery") == ["Third", "Second"]
    assert (
        f'<a href="/deals/list/?stage={stage.pk}">Show all 3</a>'
        in board.content.decode()
    )
    assert [deal.title for deal in everything.context["page"]] == [
        "Third",
        "Second",
        "First",
    ]


# --- further cards of a column ---


@pytest.fixture
def seven(company, sales, monkeypatch):
    """Seven deals in Discovery, two shown at first. The sales rep owns all except "Deal 4", which no one owns."""
    monkeypatch.setattr(deals, "CARDS_PER_STAGE", 2)
    lead = make_lead(company)
    for number in range(7):
        make_deal(
            lead,
            title=f"Deal {number}",
            owner=None if number == 4 else sales.user,
            amount="100",
        )
    return Stage.objects.for_company(company).get(name="Discovery")


LINK = re.compile(r'href="(?P<board>/deals/\?[^"]*)"\s+hx-get="(?P<cards>[^"]*)"')
NUMBER = re.compile(r"Show (\d+) more<span")


def link_to_more(response):
    """The URLs of the board and of the cards alone, and how many cards the link promises; None without a link."""
    text = unescape(response.content.decode())
    link = LINK.search(text)
    return link and (
        link["board"].partition("#")[0],
        link["cards"],
        int(NUMBER.search(text)[1]),
    )


def shown_titles(response):
    return re.findall(r"<bdi>(Deal \d)</bdi>", response.content.decode())


def test_a_column_goes_on_from_its_last_card_in_pages(client_as, sales, seven):
    client = client_as(sales)
    shown, promised = [], []
    response = client.get("/deals/")

    while link := link_to_more(response):
        promised.append(link[2])
        response = client.get(link[1])
        shown += shown_titles(response)

    assert promised == [2, 2, 1]
    assert shown == [f"Deal {number}" for number in (4, 3, 2, 1, 0)]
    assert (
        '<p id="board-says" hx-swap-oob="innerHTML">1 more deal in Discovery</p>'
        in squeezed(response)
    )


def test_cards_that_follow_have_all_that_the_others_have(client_as, sales, seven):
    client = client_as(sales)
    _, cards, _ = link_to_more(client.get("/deals/"))

    text = client.get(cards).content.decode()

    assert (
        text.count("data-draggable")
        == text.count("data-quick-select")
        == text.count('hx-target="#board"')
        == 2
    )
    assert text.count("selected>Discovery</option>") == 2
    assert "<html" not in text


def test_the_select_on_each_card_is_that_of_its_deal(client_as, sales, company):
    lead, stage = (
        make_lead(company),
        Stage.objects.for_company(company).get(name="Discovery"),
    )
    named = [
        make_deal(lead, title=title) for title in ("Plain", '"><b>\u202eBold', "&amp;")
    ]

    text = client_as(sales).get("/deals/").content.decode()

    for deal, name in zip(
        named, ("Plain", "&quot;&gt;&lt;b&gt;Bold", "&amp;amp;"), strict=True
    ):
        card = text.split(f'id="deal-{deal.pk}"')[1].split("</li>")[0]
        assert card.count(f'="/deals/{deal.pk}/move/"') == 2
        assert card.count(f'"stage-{deal.pk}"') == 1
        assert card.count(f'"stage-{deal.pk}-hint"') == 2
        assert f'aria-label="Move {name} to"' in card
        assert f'<option value="{stage.pk}" selected>' in card


def test_without_scripts_the_same_link_leads_to_a_board_with_a_longer_column(
    client_as, sales, seven
):
    client = client_as(sales)

    longer = client.get(link_to_more(client.get("/deals/"))[0])
    longest = client.get(link_to_more(longer)[0])

    assert titles(longer, "Discovery") == [f"Deal {number}" for number in (6, 5, 4, 3)]
    assert titles(longest, "Discovery") == [
        f"Deal {number}" for number in (6, 5, 4, 3, 2, 1)
    ]
    assert (column(longest, "Discovery").count, column(longest, "Discovery").total) == (
        7,
        Decimal(700),
    )


def test_a_move_leads_back_to_all_that_was_shown(client_as, sales, seven, won):
    client = client_as(sales)
    board, _, _ = link_to_more(client.get("/deals/"))

    moved = client.post(
        f"/deals/{Deal.objects.get(title='Deal 3').pk}/move/",
        {"stage": won.pk, "next": board},
        follow=True,
    )

    assert titles(moved, "Discovery") == [f"Deal {number}" for number in (6, 5, 4, 2)]
    assert (titles(moved, "Won"), column(moved, "Discovery").count) == (["Deal 3"], 6)


def test_further_cards_stay_right_when_the_last_one_shown_is_moved(
    client_as, sales, seven, won
):
    client = client_as(sales)
    _, cards, _ = link_to_more(client.get("/deals/"))
    client.post(
        f"/deals/{Deal.objects.get(title='Deal 5').pk}/move/", {"stage": won.pk}
    )

    assert shown_titles(client.get(cards)) == ["Deal 4", "Deal 3"]


@pytest.mark.parametrize("ranked_at_most", [1, 5_000])
def test_the_filter_and_the_search_go_on_with_the_column(
    client_as, sales, seven, monkeypatch, ranked_at_most
):
    monkeypatch.setattr(deals, "RANKED_AT_MOST", ranked_at_most)
    client = client_as(sales)

    found = client.post(
        "/deals/", {"search": "deal", "owner": sales.user.pk}, follow=True
    )
    board, cards, _ = link_to_more(found)

    assert titles(found, "Discovery") == ["Deal 6", "Deal 5"]
    assert shown_titles(client.get(cards)) == ["Deal 3", "Deal 2"]
    assert titles(client.get(board), "Discovery") == [
        "Deal 6",
        "Deal 5",
        "Deal 3",
        "Deal 2",
    ]


def test_a_won_stage_goes_on_within_its_30_days(client_as, sales, company, seven, won):
    lead = make_lead(company)
    for number in range(4):
        closed(
            make_deal(lead, title=f"Deal {number}", stage=won),
            days_ago=40 if number == 0 else 3,
        )
    Deal.objects.filter(stage=seven).delete()
    client = client_as(sales)

    board = client.get("/deals/")
    further = client.get(link_to_more(board)[1])

    assert shown_titles(board) == ["Deal 3", "Deal 2"]
    assert (shown_titles(further), link_to_more(further)) == (["Deal 1"], None)
    assert "Show all 4" in board.content.decode()


def test_each_column_keeps_how_much_it_shows(client_as, sales, company, seven):
    lead, proposal = (
        make_lead(company),
        Stage.objects.for_company(company).get(name="Proposal"),
    )
    for number in range(5):
        make_deal(lead, title=f"Deal {number}", stage=proposal)

    response = client_as(sales).get(
        f"/deals/?shown={seven.pk}.3&shown={proposal.pk}.4&shown=nonsense&shown=0.x&shown=."
    )

    assert [len(titles(response, name)) for name in ("Discovery", "Proposal")] == [3, 4]
    assert link_to_more(response)[0].endswith(
        f"shown={proposal.pk}.4&shown=nonsense&shown=0.x&shown=.&shown={seven.pk}.5"
    )


def test_further_cards_are_drawn_again_up_to_a_bound_for_all_columns(
    client_as, sales, company, seven, monkeypatch
):
    monkeypatch.setattr(deals, "FURTHER_AT_MOST", 4)
    proposal = Stage.objects.for_company(company).get(name="Proposal")
    for number in range(5):
        make_deal(make_lead(company), title=f"Deal {number}", stage=proposal)

    response = client_as(sales).get(
        f"/deals/?shown={proposal.pk}.{'9' * 15}&shown={seven.pk}.5"
    )

    assert [len(titles(response, name)) for name in ("Discovery", "Proposal")] == [5, 3]


def test_cards_of_another_companys_stage_and_after_nonsense_are_not_found(
    client_as, sales, other_company, seven
):
    theirs = Stage.objects.for_company(other_company).earliest("pk")
    client = client_as(sales)

    assert client.get(f"/deals/board/{theirs.pk}/").status_code == 404
    for after in (
        "nonsense",
        "1.",
        ".1",
        "1.x",
        "9" * 30 + ".1",
        f"1.{'9' * 30}",
        "-1.1",
        "\x00",
    ):
        assert (
            client.get(f"/deals/board/{seven.pk}/", {"after": after}).status_code == 404
        ), after
    assert shown_titles(
        client.get(f"/deals/board/{seven.pk}/", {"after": f"{'9' * 17}.1"})
    ) == ["Deal 6", "Deal 5"]


def test_a_deal_that_is_moved_while_further_cards_are_read_is_left_out(
    client_as, sales, seven, won, monkeypatch
):
    _, cards, _ = link_to_more((client := client_as(sales)).get("/deals/"))
    take = deals.BY_CHANGE.take

    def and_move_one(*args, **kwargs):
        found = take(*args, **kwargs)
        Deal.objects.filter(pk=found[0].pk).update(stage=won)
        return found

    monkeypatch.setattr(
        type(deals.BY_CHANGE),
        "take",
        lambda self, *args, **kwargs: and_move_one(*args, **kwargs),
    )

    response = client.get(cards)

    assert response.status_code == 200
    assert len(shown_titles(response)) == deals.CARDS_PER_STAGE - 1


def test_a_closed_deal_that_leaves_the_board_while_it_is_read_is_left_out(
    client_as, sales, company, won, renewals, monkeypatch
):
    deal = make_deal(make_lead(company), title="Closed", stage=won)
    make_deal(make_lead(company), title="Closed too", stage=won)
    first_keys = deals._first_keys

    def and_move_one(*args):
        keys = first_keys(*args)
        Deal.objects.filter(pk=deal.pk).update(stage=Stage.objects.of(renewals)[0])
        return keys

    monkeypatch.setattr(deals, "_first_keys", and_move_one)

    assert titles(client_as(sales).get("/deals/"), "Won") == ["Closed too"]


@pytest.mark.parametrize(
    "gone", [{"search": "A" * 22}, {"tag": "99999999"}, {"owner": "99999999"}]
)
def test_further_cards_of_a_board_whose_filter_is_gone_load_the_board_again(
    client_as, sales, seven, gone
):
    response = client_as(sales).get(f"/deals/board/{seven.pk}/", gone)

    assert response.headers["HX-Refresh"] == "true"
    assert not response.content


def test_further_cards_take_the_same_queries_however_many(
    client_as, sales, seven, django_assert_num_queries, monkeypatch
):
    client = client_as(sales)
    _, cards, _ = link_to_more(client.get("/deals/"))

    # session, user, memberships, stages, which cards follow, these cards with tags, tasks
    for size in (2, 1):
        monkeypatch.setattr(deals, "CARDS_PER_STAGE", size)
        with django_assert_num_queries(8):
            client.get(cards)


def test_the_name_of_each_stage_leads_to_the_list_of_its_deals(
    client_as, sales, company
):
    board = client_as(sales).get("/deals/").content.decode()

    for stage in Stage.objects.for_company(company):
        assert f'<h2><a href="/deals/list/?stage={stage.pk}">{stage}</a></h2>' in board


def test_an_old_bookmark_of_a_stage_leads_to_the_list_of_its_deals(
    client_as, sales, company, won
):
    lead = make_lead(company)
    make_deal(lead, title="Open")
    make_deal(lead, title="Closed", stage=won)

    response = client_as(sales).get(f"/deals/?stage={won.pk}&page=1", follow=True)

    assert response.redirect_chain == [(f"/deals/list/?stage={won.pk}&page=1", 302)]
    assert [deal.title for deal, *_ in response.context["rows"]] == ["Closed"]


def test_a_deal_that_was_moved_comes_first_in_its_new_stage(
    client_as, sales, company, won
):
    lead = make_lead(company)
    old = make_deal(lead, title="Old")
    make_deal(lead, title="Won before", stage=won)
    client = client_as(sales)

    client.post(f"/deals/{old.pk}/move/", {"stage": won.pk})

    assert titles(client.get("/deals/"), "Won") == ["Old", "Won before"]
    everything = client.get(f"/deals/list/?stage={won.pk}").context["page"]
    assert [deal.title for deal in everything] == ["Old", "Won before"]


def test_moving_a_deal_to_won_fires_with_the_amount_of_that_moment(
    client_as, sales, company, won
):
    deal = make_deal(make_lead(company))

    response = client_as(sales).post(
        f"/deals/{deal.pk}/move/", {"stage": won.pk}, follow=True
    )

    event = CrmEvent.objects.get(kind="deal_won")
    assert (event.deal, event.actor, event.amount, event.currency) == (
        deal,
        sales.user,
        Decimal("1250.00"),
        "EUR",
    )
    assert titles(response, "Won") == ["Forty licences"]
    assert "Forty licences is now in Won." in response.content.decode()


@pytest.mark.parametrize("stage", ["", "nonsense", "\x00", "9" * 30])
def test_a_stage_that_is_none_is_not_found(client_as, sales, company, stage):
    deal = make_deal(make_lead(company))
    client = client_as(sales)

    assert client.post(f"/deals/{deal.pk}/move/", {"stage": stage}).status_code == 404
    assert not CrmEvent.objects.filter(kind="deal_won").exists()


def test_the_number_of_queries_does_not_grow_with_the_deals(
    client_as, sales, company, django_assert_num_queries
):
    lead = make_lead(company)
    for stage in Stage.objects.for_company(company):
        make_deal(lead, stage=stage)
        make_deal(lead, stage=stage)
    client = client_as(sales)

    # session, user, memberships, owners and tags to filter by, stages, sums, which open and which closed deals have a
    # card, cards with tags, when they closed, tasks
    with django_assert_num_queries(13):
        client.get("/deals/")


def test_won_and_lost_show_the_last_30_days_and_lead_to_the_rest(
    client_as, sales, company, won
):
    lead = make_lead(company)
    lost = Stage.objects.for_company(company).get(name="Lost")
    closed(make_deal(lead, title="Long ago", stage=won), days_ago=31)
    closed(make_deal(lead, title="Lately", stage=won, amount="500"), days_ago=29)
    reopened = make_deal(lead, title="Lost after all", stage=won)
    closed(reopened, days_ago=40)
    reopened.stage = lost
    reopened.save()
    client = client_as(sales)

    board = client.get("/deals/")

    assert titles(board, "Won") == ["Lately"]
    assert titles(board, "Lost") == ["Lost after all"]
    assert (column(board, "Won").count, column(board, "Won").total) == (
        1,
        Decimal("500.00"),
    )
    text = board.content.decode()
    assert text.count("last 30 days") == 2
    assert f'<a href="/deals/list/?stage={won.pk}">Show all 2</a>' in text
    assert [
        deal.title
        for deal in client.get(f"/deals/list/?stage={won.pk}").context["page"]
    ] == ["Lately", "Long ago"]


def test_a_card_has_its_close_date_and_age(client_as, sales, company, won):
    today = timezone.localdate()
    lead = make_lead(company, organisation="Analytical Engines")
    make_deal(lead, expected_close=today - timedelta(days=1), owner=sales.user)
    closed(
        make_deal(lead, stage=won, expected_close=today - timedelta(days=1)), days_ago=7
    )

    response = client_as(sales).get("/deals/")

    [late], [settled] = (
        column(response, "Discovery").cards,
        column(response, "Won").cards,
    )
    assert (late.close_date, late.is_late) == (today - timedelta(days=1), True)
    assert (settled.close_date, settled.is_late) == (
        timezone.localdate(timezone.now() - timedelta(days=7)),
        False,
    )
    text = response.content.decode()
    assert "Analytical Engines" in text
    assert "0\u00a0d" in text
    assert '<abbr class="initials" title="Sales Jansen">SJ</abbr>' in text


@pytest.fixture
def three(company, sales, admin):
    ada = make_lead(company, first_name="Ada", last_name="Byron")
    grace = make_lead(
        company, first_name="Grace", email="grace@example.com", organisation="US Navy"
    )
    make_deal(ada, title="Forty licences", owner=sales.user)
    make_deal(grace, title="Ten licences", owner=admin.user)
    make_deal(grace, title="Training")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("LICENCES", ["Ten licences", "Forty licences"]),
        ("navy", ["Training", "Ten licences"]),
        ("grace ten", ["Ten licences"]),
        ("nobody", []),
    ],
)
def test_the_board_is_searched_without_the_text_in_the_address(
    client_as, sales, three, text, found
):
    client = client_as(sales)

    response = client.post("/deals/", {"search": text, "owner": ""}, follow=True)

    assert titles(response, "Discovery") == found
    assert response.context["search"] == text
    assert text not in response.redirect_chain[0][0]
    assert ("No matching deals." in response.content.decode()) == (not found)


def test_a_search_that_finds_too_many_to_rank_shows_the_same(
    client_as, sales, three, monkeypatch
):
    monkeypatch.setattr(deals, "RANKED_AT_MOST", 1)
    client = client_as(sales)

    board = client.post("/deals/", {"search": "licences", "owner": ""}, follow=True)
    listed = client.post("/deals/list/", {"search": "licences"}, follow=True)

    assert titles(board, "Discovery") == ["Ten licences", "Forty licences"]
    assert column(board, "Discovery").count == 2
    assert [deal.title for deal in listed.context["page"]] == [
        "Ten licences",
        "Forty licences",
    ]


def test_a_search_that_finds_all_counts_as_the_board_does(
    client_as, sales, company, won
):
    for days, currency in ((1, "EUR"), (2, "CHF"), (400, "EUR")):
        closed(
            make_deal(make_lead(company), currency=currency, stage=won), days_ago=days
        )
    make_deal(make_lead(company), amount=None)
    make_deal(make_lead(company), currency="CHF")
    client = client_as(sales)

    boards = [
        client.get("/deals/"),
        client.post("/deals/", {"search": "licences", "owner": ""}, follow=True),
    ]

    whole, found = (
        [
            (each.stage, each.count, each.count_ever, each.sums)
            for each in board.context["board"].columns
        ]
        for board in boards
    )
    assert found == whole
    assert (won, 2, 3, {"EUR": Decimal(1250), "CHF": Decimal(1250)}) in whole


def test_the_board_and_the_list_of_a_stage_are_filtered_by_owner(
    client_as, sales, company, three
):
    client, stage = (
        client_as(sales),
        Stage.objects.for_company(company).get(name="Discovery"),
    )

    own = client.get(f"/deals/?owner={sales.user.pk}")
    nobodys = client.get("/deals/?owner=null")
    listed = client.post(
        "/deals/list/",
        {"stage": stage.pk, "owner": sales.user.pk, "search": "licences"},
        follow=True,
    )

    assert titles(own, "Discovery") == ["Forty licences"]
    assert (
        f'<a href="/deals/list/?owner={sales.user.pk}&amp;stage={stage.pk}">Discovery</a>'
        in own.content.decode()
    )
    assert titles(nobodys, "Discovery") == ["Training"]
    assert [deal.title for deal in listed.context["page"]] == ["Forty licences"]


def test_the_filter_offers_and_finds_nothing_of_another_company(
    client_as, sales, other_company, three
):
    theirs = join(
        other_company, Role.SALES, email="clara@example.com", first_name="Clara"
    )
    make_deal(make_lead(other_company, organisation="US Navy"), title="Theirs")
    client = client_as(sales)

    response = client.post("/deals/", {"search": "navy"}, follow=True)

    assert titles(response, "Discovery") == ["Training", "Ten licences"]
    assert "Clara" not in response.content.decode()
    assert titles(client.get(f"/deals/?owner={theirs.user.pk}"), "Discovery") == [
        "Training",
        "Ten licences",
        "Forty licences",
    ]


@pytest.fixture
def renewals(company):
    return add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))


def test_the_board_shows_one_pipeline_and_remembers_which(
    client_as, sales, company, renewals
):
    lead = make_lead(company)
    make_deal(lead, title="New")
    make_deal(lead, title="Again", stage=Stage.objects.of(renewals)[0])
    client = client_as(sales)

    usual = client.get("/deals/")
    chosen = client.post("/deals/", {"pipeline": renewals.pk, "owner": ""}, follow=True)
    remembered = client.get("/deals/")

    assert titles(usual, "Discovery") == ["New"]
    assert chosen.redirect_chain[0][0] == f"/deals/?pipeline={renewals.pk}"
    assert titles(chosen, "Discovery") == titles(remembered, "Discovery") == ["Again"]
    assert remembered.context["form"]["pipeline"].value() == str(renewals.pk)


def test_with_one_pipeline_nothing_is_said_of_it(client_as, sales, company):
    deal = make_deal(make_lead(company))
    client = client_as(sales)

    pages = [
        client.get(url).content.decode()
        for url in ("/deals/", "/deals/list/", "/deals/forecast/", f"/deals/{deal.pk}/")
    ]

    assert not [page for page in pages if "ipeline" in page]


@pytest.mark.parametrize("unknown", ["nonsense", "9" * 30, "-1"])
def test_an_unknown_pipeline_and_another_companys_show_the_default_one(
    client_as, sales, other_company, three, renewals, unknown
):
    theirs = Pipeline.objects.default_of(other_company)
    client = client_as(sales)

    for asked in (unknown, theirs.pk):
        response = client.get(f"/deals/?pipeline={asked}")

        assert titles(response, "Discovery") == [
            "Training",
            "Ten licences",
            "Forty licences",
        ]


def test_an_archived_pipeline_is_not_offered_and_takes_no_deal(
    client_as, sales, company, renewals
):
    deal = make_deal(make_lead(company))
    there = Stage.objects.of(renewals)[0]
    archive_pipeline(pipeline=renewals)
    client = client_as(sales)

    board = client.get(f"/deals/?pipeline={renewals.pk}")
    moved = client.post(f"/deals/{deal.pk}/move/", {"stage": there.pk}, follow=True)
    edited = client.post(
        f"/deals/{deal.pk}/edit/",
        {"title": "Mine", "currency": "EUR", "stage": there.pk},
    )

    assert board.context["form"].fields.keys() == {"owner", "tag"}
    assert (
        "Nothing was changed: Discovery was archived. Choose another stage."
        in moved.content.decode()
    )
    assert "Choose one of your company&#x27;s stages." in edited.content.decode()
    assert Deal.objects.get().stage == deal.stage
