import pytest
from rest_framework.test import APIClient, force_authenticate

from crm.api.views import LeadViewSet
from crm.models import ApiKey, Deal, Lead
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import ADMIN_AND_SALES, ADMIN_ONLY, ALL, call, caller

LEADS = "/api/v1/leads/"
DEALS = "/api/v1/deals/"
# method, path, body, status of a success, who may
OPERATIONS = [
    ("GET", LEADS, None, 200, ALL),
    ("GET", LEADS + "{lead}/", None, 200, ALL),
    ("POST", LEADS, {"first_name": "Grace"}, 201, ADMIN_AND_SALES),
    ("PUT", LEADS + "{lead}/", {"first_name": "Grace"}, 200, ADMIN_AND_SALES),
    ("PATCH", LEADS + "{lead}/", {"first_name": "Grace"}, 200, ADMIN_AND_SALES),
    ("DELETE", LEADS + "{lead}/", None, 204, ADMIN_ONLY),
    ("GET", DEALS, None, 200, ALL),
    ("GET", DEALS + "{deal}/", None, 200, ALL),
    ("POST", DEALS, {"lead": "{lead}", "title": "Ten licences"}, 201, ADMIN_AND_SALES),
    (
        "PUT",
        DEALS + "{deal}/",
        {"lead": "{lead}", "title": "Ten licences"},
        200,
        ADMIN_AND_SALES,
    ),
    ("PATCH", DEALS + "{deal}/", {"title": "Ten licences"}, 200, ADMIN_AND_SALES),
    ("DELETE", DEALS + "{deal}/", None, 204, ADMIN_ONLY),
]


@pytest.fixture
def ids(company):
    ada = make_lead(company)
    return {"lead": ada.pk, "deal": make_deal(ada).pk}


def filled_in(path, body, ids):
    filled = {key: value.format(**ids) for key, value in body.items()} if body else body
    return path.format(**ids), filled


def everything():
    return [
        list(Lead.objects.order_by("pk").values()),
        list(Deal.objects.order_by("pk").values()),
    ]


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
@pytest.mark.parametrize(("method", "path", "body", "success", "may"), OPERATIONS)
def test_a_role_may_what_the_matrix_says_and_no_more(
    company, ids, method, path, body, success, may, role
):
    path, body = filled_in(path, body, ids)
    client, before = caller(company, role), everything()

    answer = call(client, method, path, body)

    assert answer.status_code == (success if may[role] else 403)
    changed = may[role] and method != "GET"
    assert (everything() != before) is changed


@pytest.mark.parametrize(("method", "path", "body", "success", "may"), OPERATIONS)
def test_a_stranger_may_nothing(company, ids, method, path, body, success, may):
    path, body = filled_in(path, body, ids)
    before = everything()

    answer = call(APIClient(), method, path, body)

    assert answer.status_code == 401
    assert everything() == before


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH", "DELETE"])
def test_a_method_that_a_list_does_not_have_is_405(company, method):
    answer = caller(company).generic(method, LEADS)

    assert answer.status_code == 405


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "POST"])
def test_a_method_that_a_row_does_not_have_is_405(company, ids, method):
    answer = caller(company).generic(method, f"{LEADS}{ids['lead']}/")

    assert answer.status_code == 405


def test_a_view_that_names_no_action_refuses_everybody(company, rf):
    class Forgotten(LeadViewSet):
        actions = {}

    key, _ = ApiKey.objects.issue(company=company, role="admin", name="Website form")
    request = rf.get(LEADS)
    force_authenticate(request, token=key)

    answer = Forgotten.as_view({"get": "list"})(request)

    assert answer.status_code == 403
