import pytest

from crm.models import Lead
from tests.conftest import make_lead
from tests.crm.api.calling import caller

NO_PARAMETER = ["There is no such parameter."]


@pytest.mark.parametrize(
    "part", ["leads", "deals", "conversion-rules", "conversion-events"]
)
def test_a_list_names_the_parameters_that_it_does_not_know(company, part):
    answer = caller(company).get(
        f"/api/v1/{part}/", {"find": "ada", "page": "2", "page_size": "5"}
    )

    assert answer.status_code == 400
    assert answer.json() == {"find": NO_PARAMETER, "page": NO_PARAMETER}


def test_the_parameters_of_the_log_are_no_parameters_of_the_leads(company):
    client = caller(company)

    answers = [
        client.get(f"/api/v1/{part}/", {"state": "accepted"})
        for part in ("conversion-events", "leads")
    ]

    assert [answer.status_code for answer in answers] == [200, 400]


def test_nothing_is_written_at_an_address_with_an_unknown_parameter(company):
    client, lead = caller(company), make_lead(company)

    made = client.post("/api/v1/leads/?dry_run=1", {"first_name": "Grace"})
    changed = client.patch(
        f"/api/v1/leads/{lead.pk}/?page_size=1", {"first_name": "Grace"}
    )

    assert (made.json(), changed.json()) == (
        {"dry_run": NO_PARAMETER},
        {"page_size": NO_PARAMETER},
    )
    assert [row.first_name for row in Lead.objects.all()] == ["Ada"]


def test_a_stranger_hears_nothing_of_parameters(company):
    answer = caller(company, "sales").get(
        "/api/v1/conversion-events/", {"search": "ada"}
    )

    assert answer.status_code == 403
