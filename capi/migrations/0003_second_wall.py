from django.db import migrations

from crm.models.tenancy import tie
from crm.models.tenancy import unique_within_company


class Migration(migrations.Migration):

    dependencies = [
        ("capi", "0002_recalls"),
        ("crm", "0004_second_wall"),
    ]

    operations = [
        unique_within_company("capi_conversionrule"),
        tie("capi_conversionevent", "rule_id", to="capi_conversionrule"),
        tie("capi_conversionevent", "lead_id", to="crm_lead"),
        tie("capi_conversionevent", "deal_id", to="crm_deal"),
        tie("capi_conversionevent", "crm_event_id", to="crm_crmevent"),
        tie("capi_attempt", "rule_id", to="capi_conversionrule"),
    ]
