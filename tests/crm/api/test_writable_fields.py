import pytest

from capi.api.serializers import ConversionRuleSerializer
from capi.models import ConversionRule
from crm.api.deals import DealSerializer
from crm.api.serializers import LeadSerializer
from crm.models import Deal, Lead
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller
from tests.security.writable import WRITABLE


def names(model):
    return {
        name for field in model._meta.fields for name in (field.name, field.attname)
    } | {"pk"}


@pytest.mark.parametrize(
    ("path", "model", "serializer"),
    [
        ("leads", Lead, LeadSerializer),
        ("deals", Deal, DealSerializer),
        ("conversion-rules", ConversionRule, ConversionRuleSerializer),
    ],
)
def test_any_other_column_is_refused_by_name_and_stays_as_it_is(
    company, path, model, serializer
):
    deal = make_deal(make_lead(company))
    rule = ConversionRule.objects.create(
        company=company, crm_event="deal_won", linkedin_id="104012", name="Won"
    )
    row = {Lead: deal.lead, Deal: deal, ConversionRule: rule}[model]
    forbidden = names(model) - WRITABLE[serializer]
    before = model.objects.filter(pk=row.pk).values().get()

    answer = caller(company).patch(
        f"/api/v1/{path}/{row.pk}/", dict.fromkeys(forbidden, 1)
    )

    assert answer.status_code == 400
    assert set(answer.json()) == forbidden
    assert model.objects.filter(pk=row.pk).values().get() == before
