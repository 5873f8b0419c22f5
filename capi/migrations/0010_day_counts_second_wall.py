from django.db import migrations

from crm.models.tenancy import tie


class Migration(migrations.Migration):

    dependencies = [
        ("capi", "0009_day_counts"),
    ]

    operations = [
        tie("capi_daycount", "rule_id", to="capi_conversionrule"),
    ]
