"""The migration gives each company's stages one pipeline, and a stage without one belongs to the default pipeline."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from crm.models import Company, LostReason, Pipeline, Stage
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

migration = import_module("crm.migrations.0014_pipelines")


def test_the_migration_puts_all_stages_into_one_pipeline_with_rising_chances(company, other_company):
    Stage.objects.for_company(company).filter(name="Proposal").delete()
    Stage.objects.update(pipeline=None, chance=50)
    Pipeline.objects.all().delete()

    migration._one_pipeline_for_each_company(apps, SimpleNamespace(connection=connection))

    for each, chances in ((company, [33, 67, 100, 0]), (other_company, [25, 50, 75, 100, 0])):
        pipeline = Pipeline.objects.for_company(each).get()
        assert (pipeline.name, pipeline.is_default) == ("Sales", True)
        assert list(Stage.objects.of(pipeline).values_list("chance", flat=True)) == chances


def test_a_stage_that_an_earlier_version_adds_is_one_of_the_default_pipeline(company):
    pipeline = Pipeline.objects.default_of(company)

    Stage.objects.bulk_create([Stage(company=company, name="Later", meaning="open", position=9)])

    assert [stage.name for stage in Stage.objects.of(pipeline)][-1] == "Later"
    assert Stage.objects.offered().filter(name="Later").exists()
    assert Stage.objects.usual_of(company).filter(name="Later").exists()


def test_a_company_with_stages_of_an_earlier_version_alone_works(company):
    Stage.objects.update(pipeline=None)
    Pipeline.objects.all().delete()

    assert make_deal(make_lead(company)).stage.name == "Discovery"


def test_a_stage_saved_without_a_pipeline_joins_the_default_one(company):
    stage = Stage.objects.create(company=company, name="Later", meaning="won", chance=10)

    assert (stage.pipeline, stage.chance) == (Pipeline.objects.default_of(company), 100)


def test_a_company_has_one_default_pipeline_which_is_in_use(company):
    with pytest.raises(IntegrityError), transaction.atomic():
        Pipeline.objects.create(company=company, name="Second", is_default=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Pipeline.objects.for_company(company).update(archived_at="2026-01-01T00:00Z")


def test_a_deleted_company_takes_its_pipelines_with_it(company):
    lost = Stage.objects.usual_of(company).get(meaning="lost")
    make_deal(make_lead(company), stage=lost, lost_reason=LostReason.objects.create(company=company, name="Price"))

    Company.objects.filter(pk=company.pk).delete()

    assert not Pipeline.objects.exists()
    assert not LostReason.objects.exists()
