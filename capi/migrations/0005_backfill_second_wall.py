from django.db import migrations

from crm.models.tenancy import tie
from crm.models.tenancy import unique_within_company


class Migration(migrations.Migration):

    dependencies = [
        ("capi", "0004_backfill"),
    ]

    operations = [
        unique_within_company("capi_backfill"),
        tie("capi_backfill", "rule_id", to="capi_conversionrule"),
        tie("capi_conversionevent", "backfill_id", to="capi_backfill"),
    ]
