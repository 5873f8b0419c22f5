from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from crm.models import ApiKey
from tests.crm.api.calling import with_key


def run(*arguments):
    out = StringIO()
    call_command("create_api_key", *arguments, stdout=out)
    return out.getvalue()


def test_the_key_is_printed_alone_on_its_line_and_works(company):
    out = run("--company", "northwind", "--role", "sales")

    assert out.startswith("lm_")
    assert out.count("\n") == 1
    assert with_key(out.strip()).get("/api/v1/leads/").status_code == 200


def test_the_key_has_the_role_and_the_name_and_only_its_hash_is_kept(company):
    out = run("--company", "northwind", "--role", "ops", "--name", "Nightly export")

    key = ApiKey.objects.get()
    assert (key.company, key.role, key.name) == (company, "ops", "Nightly export")
    assert out.strip() not in {str(value) for value in vars(key).values()}


def test_an_unknown_company_is_refused_with_those_that_there_are(
    company, other_company
):
    with pytest.raises(
        CommandError,
        match=r"^There is no company “acme”\. Existing companies: contoso, northwind\.$",
    ):
        run("--company", "acme", "--role", "sales")

    assert not ApiKey.objects.exists()


def test_without_any_company_the_next_step_is_named(db):
    with pytest.raises(
        CommandError,
        match=r"There are none yet: create one with `manage\.py create_company`\.",
    ):
        run("--company", "acme", "--role", "sales")


def test_an_unknown_role_is_refused_with_those_that_there_are(company):
    with pytest.raises(
        CommandError,
        match=r"^There is no role “boss”\. Choose one of: admin, sales, ops\.$",
    ):
        run("--company", "northwind", "--role", "boss")

    assert not ApiKey.objects.exists()


def test_a_name_that_is_too_long_is_refused(company):
    with pytest.raises(
        CommandError, match=r"^The name has 81 characters\. At most 80 are allowed\.$"
    ):
        run("--company", "northwind", "--role", "sales", "--name", "x" * 81)

    assert not ApiKey.objects.exists()
