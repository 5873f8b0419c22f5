"""Two people have the same form open: the second writes only what they changed, and is told of what both changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest
from django import forms
from django.db.models import Model
from django.utils import timezone

from capi.models import MailChoice
from crm.forms.changes import ChangesMixin
from crm.models import CustomField, LeadStatus, Pipeline, SavedView, SignInProvider, Tag
from tests.conftest import give_password, make_deal, make_lead, make_note, make_task
from tests.crm.accounts.openid_provider import OpenIdProvider

pytestmark = pytest.mark.django_db

REFUSED = "Nothing was saved"
# Forms of rows that can't be stale in this way.
COVERED_OTHERWISE = {
    "LeadForm": "the version of the row", "DealForm": "the version of the row", "NoteForm": "the version of the row",
    "WithCustomFields": "for leads and deals", "OutcomeForm": "for deals", "OwnErrorsMixin": "for rows of lists",
    "DealRowForm": "one move, which is refused if the deal was won or lost meanwhile",
    "ProfileForm": "a person's own", "ApiKeyForm": "only adds", "InvitationForm": "only adds",
    "NewMemberForm": "only adds",
}  # fmt: skip


@dataclass
class Case:
    """A row with a form, what I change in the form, and what someone else saves while I have it open."""

    page: str
    row: Model
    mine: dict[str, str]
    same: dict[str, Any]  # their changes to the fields that I change
    other: dict[str, Any] = field(default_factory=dict)  # their changes to other fields
    action: str = ""  # the URL of the form, if the page has several like it


class Forms(HTMLParser):
    """The forms of a page, each with its URL and what a browser would send."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._select = self._textarea = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self.found.append((given.get("action") or "", {}))
        if not self.found:
            return
        fields = self.found[-1][1]
        if (
            tag == "input"
            and name
            and (given.get("type") not in ("checkbox", "radio") or "checked" in given)
        ):
            fields[name] = value or ("on" if given.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif (
            tag == "option"
            and self._select
            and ("selected" in given or self._select not in fields)
        ):
            fields[self._select] = value
        elif tag == "textarea":
            self._textarea, fields[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.found[-1][1][self._textarea] += data.removeprefix("\n")

    def form_of(self, name: str, action: str) -> tuple[str, dict[str, str]]:
        return next(
            (url, fields)
            for url, fields in self.found
            if name in fields and action in ("", url)
        )


@pytest.fixture
def web(client_as, admin):
    return give_password(client_as(admin))


@pytest.fixture
def server(settings):
    settings.OUTBOUND_TO_LOOPBACK = True
    server = OpenIdProvider()
    yield server
    server.close()


def company_case(company, **_: Any) -> Case:
    return Case(
        "/company/",
        company,
        {"name": "Southwind BV"},
        {"name": "Eastwind BV"},
        {"currency": "USD"},
    )


def grace_case(company, **_: Any) -> Case:
    return Case(
        "/integrations/linkedin/",
        company,
        {"grace_seconds": "60"},
        {"grace_seconds": 120},
    )


def rule_case(make_rule, **_: Any) -> Case:
    rule = make_rule()
    page = f"/integrations/linkedin/rules/{rule.pk}/edit/"
    return Case(
        page, rule, {"name": "Mine"}, {"name": "Theirs"}, {"linkedin_id": "104099"}
    )


def token_case(token, **_: Any) -> Case:
    day, their_day = "2190-01-01", date(2191, 1, 1)
    return Case(
        "/integrations/linkedin/token/", token, {"expires_on": day}, {"token_expires_on": their_day},
        {"ad_account_id": "999"},
    )  # fmt: skip


def account_case(token, **_: Any) -> Case:
    their_day = date(2191, 1, 1)
    return Case(
        "/integrations/linkedin/token/", token, {"ad_account_id": "123"}, {"ad_account_id": "999"},
        {"token_expires_on": their_day},
    )  # fmt: skip


def expiry_of_a_replaced_token_case(token, **_: Any) -> Case:
    mine = {"expires_on": "2190-01-01"}
    return Case(
        "/integrations/linkedin/token/", token, mine, {"token_fingerprint": "0a0b0c0d"}
    )


def account_of_the_import_case(token, **_: Any) -> Case:
    page = "/integrations/linkedin/rules/import/"
    return Case(page, token, {"ad_account_id": "123"}, {"ad_account_id": "999"})


def mail_case(company, admin, token, **_: Any) -> Case:
    choice = MailChoice.objects.create(
        company=company, user=admin.user, alerts=True, weekly=True
    )
    return Case(
        "/integrations/linkedin/alerts/", choice, {"weekly": ""}, {}, {"alerts": False}
    )


def provider_of(company, server) -> SignInProvider:
    provider = SignInProvider(
        company=company, name="Okta", issuer=server.issuer, client_id="leadmachine"
    )
    provider.secret = "s3cr3t-value"
    provider.save()
    return provider


def provider_case(company, server, **_: Any) -> Case:
    row = provider_of(company, server)
    return Case(
        "/company/sign-in/",
        row,
        {"name": "Mine"},
        {"name": "Theirs"},
        {"client_id": "other"},
    )


def secret_case(company, server, **_: Any) -> Case:
    row = provider_of(company, server)
    return Case(
        "/company/sign-in/",
        row,
        {"secret": "of the old application"},
        {"client_id": "other"},
    )


def status_case(company, **_: Any) -> Case:
    row = LeadStatus.objects.for_company(company).first()
    page = f"/company/lists/statuses/{row.pk}/"
    return Case(page, row, {"name": "Mine"}, {"name": "Theirs"}, {"colour": "green"})


def tag_case(company, **_: Any) -> Case:
    row = Tag.objects.create(company=company, name="VIP")
    return Case(
        f"/company/lists/tags/{row.pk}/",
        row,
        {"name": "Mine"},
        {"name": "Theirs"},
        {"colour": "green"},
    )


def pipeline_case(company, **_: Any) -> Case:
    row = Pipeline.objects.create(company=company, name="Renewals")
    return Case(
        f"/company/pipelines/{row.pk}/", row, {"name": "Mine"}, {"name": "Theirs"}
    )


def custom_field_case(company, **_: Any) -> Case:
    row = CustomField.objects.create(
        company=company, subject="lead", name="Size", key="size", type="text"
    )
    page = f"/company/custom-fields/{row.pk}/edit/"
    return Case(
        page, row, {"name": "Mine"}, {"name": "Theirs"}, {"help_text": "Theirs"}
    )


def role_case(sales, **_: Any) -> Case:
    action = f"/company/people/{sales.pk}/role/"
    return Case(
        "/company/people/", sales, {"role": "admin"}, {"role": "ops"}, action=action
    )


def view_case(company, admin, **_: Any) -> Case:
    row = SavedView.objects.create(
        company=company, owner=admin.user, name="Mine alone", query="sort=name"
    )
    return Case(
        f"/views/{row.pk}/",
        row,
        {"name": "Mine"},
        {"name": "Theirs"},
        {"is_shared": True},
    )


def columns_case(company, admin, **_: Any) -> Case:
    row = SavedView.objects.create(
        company=company,
        owner=admin.user,
        name="Mine alone",
        query="sort=name",
        columns="phone title",
    )
    return Case(
        f"/leads/?view={row.pk}&sort=name",
        row,
        {"column_1": "email"},
        {"columns": "phone owner"},
    )


def task_case(company, admin, **_: Any) -> Case:
    row = make_task(admin)
    return Case(
        f"/tasks/{row.pk}/edit/",
        row,
        {"title": "Mine"},
        {"title": "Theirs"},
        {"due_on": date(2191, 1, 1)},
    )


def lead_case(company, **_: Any) -> Case:
    row = make_lead(company)
    return Case(f"/leads/{row.pk}/edit/", row, {"title": "Mine"}, {"title": "Theirs"})


def deal_case(company, **_: Any) -> Case:
    row = make_deal(make_lead(company))
    return Case(f"/deals/{row.pk}/edit/", row, {"title": "Mine"}, {"title": "Theirs"})


def note_case(company, admin, **_: Any) -> Case:
    row = make_note(admin, make_lead(company))
    return Case(
        f"/notes/{row.pk}/edit/",
        row,
        {"text": "Mine"},
        {"text": "Theirs", "edited_at": timezone.now()},
    )


# In these, someone else can change something next to what I change.
WITH_OTHERS: list[Callable[..., Case]] = [
    company_case, rule_case, token_case, account_case, mail_case, provider_case, status_case, tag_case,
    custom_field_case, view_case, task_case,
]  # fmt: skip
# In these, we can want different values. (Two people who change a checkbox agree.)
WITH_CONFLICTS: list[Callable[..., Case]] = [
    *(each for each in WITH_OTHERS if each is not mail_case), grace_case, expiry_of_a_replaced_token_case,
    account_of_the_import_case, secret_case, pipeline_case, role_case, columns_case, lead_case, deal_case, note_case,
]  # fmt: skip


@pytest.fixture
def case(request, company, admin, sales, token, make_rule, server) -> Case:
    found: Case = request.param(
        company=company,
        admin=admin,
        sales=sales,
        token=token,
        make_rule=make_rule,
        server=server,
    )
    return found


def save(row: Model, values: dict[str, Any]) -> dict[str, Any]:
    """Save these values as someone else would. Returns them as the row then has them."""
    if hasattr(row, "updated_at"):
        for name, value in values.items():
            setattr(row, name, value)
        row.save()
    else:
        type(row)._default_manager.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    return {name: getattr(row, name) for name in values}


def open_form(web, case: Case) -> tuple[str, dict[str, str]]:
    page = web.get(case.page).content.decode()
    url, fields = Forms(page).form_of(next(iter(case.mine)), case.action)
    return url or case.page, {**fields, **case.mine}


def of_each(cases: list[Callable[..., Case]]) -> pytest.MarkDecorator:
    names = [case.__name__.removesuffix("_case") for case in cases]
    return pytest.mark.parametrize("case", cases, ids=names, indirect=True)


@of_each(WITH_OTHERS)
def test_only_what_was_changed_in_the_form_is_written(web, case) -> None:
    url, fields = open_form(web, case)
    theirs = save(case.row, case.other)
    before = {name: getattr(case.row, name) for name in case.same}

    answer = web.post(url, fields)

    case.row.refresh_from_db()
    assert answer.status_code == 302
    assert {name: getattr(case.row, name) for name in theirs} == theirs
    assert all(getattr(case.row, name) != value for name, value in before.items())


@of_each(WITH_CONFLICTS)
def test_the_second_of_two_is_told(web, case) -> None:
    url, fields = open_form(web, case)
    theirs = save(case.row, case.same)

    page = web.post(url, fields, follow=True).content.decode()

    case.row.refresh_from_db()
    assert REFUSED in page
    assert {name: getattr(case.row, name) for name in theirs} == theirs


def test_what_was_typed_before_the_password_was_asked_for_is_compared_with_what_was_open_then(
    web, client_as, admin, token
) -> None:
    case = account_case(token)
    url, fields = open_form(web, case)
    save(token, case.same)
    late = client_as(admin)
    late.post(url, fields)

    give_password(late)
    typed = Forms(late.get(case.page).content.decode()).form_of("ad_account_id", "")[1]
    page = late.post(url, typed).content.decode()

    token.refresh_from_db()
    assert typed["ad_account_id"] == case.mine["ad_account_id"]
    assert REFUSED in page
    assert token.ad_account_id == case.same["ad_account_id"]


def test_each_form_of_a_row_compares_what_it_was_opened_with() -> None:
    """A new form has to be a ChangesForm with a case above, or be listed with the reason why not."""
    from crm.accounts import forms as accounts

    assert accounts  # loaded, with all others that URLs lead to
    found = {
        each
        for each in subclasses(forms.ModelForm)
        if each.__module__.startswith(("crm.", "capi."))
    }
    other = {
        each.__name__
        for each in found
        if not issubclass(each, ChangesMixin) and ".admin" not in each.__module__
    }

    assert other == COVERED_OTHERWISE.keys()


def subclasses(of: type) -> set[type]:
    return {
        each for direct in of.__subclasses__() for each in (direct, *subclasses(direct))
    }
