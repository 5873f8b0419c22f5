"""A stage without a pipeline joins the default one, of which a company has exactly one."""

import pytest
from django.db import IntegrityError, transaction

from crm.models import Company, LostReason, Pipeline, Stage
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def test_a_stage_saved_without_a_pipeline_joins_the_default_one(company):
    stage = Stage.objects.create(
        company=company, name="Later", meaning="won", chance=10
    )

    assert (stage.pipeline, stage.chance) == (Pipeline.objects.default_of(company), 100)


def test_a_company_has_one_default_pipeline_which_is_in_use(company):
    with pytest.raises(IntegrityError), transaction.atomic():
        Pipeline.objects.create(company=company, name="Second", is_default=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Pipeline.objects.for_company(company).update(archived_at="2026-01-01T00:00Z")


def test_a_deleted_company_takes_its_pipelines_with_it(company):
    lost = Stage.objects.usual_of(company).get(meaning="lost")
    make_deal(
        make_lead(company),
        stage=lost,
        lost_reason=LostReason.objects.create(company=company, name="Price"),
    )

    Company.objects.filter(pk=company.pk).delete()

    assert not Pipeline.objects.exists()
    assert not LostReason.objects.exists()
