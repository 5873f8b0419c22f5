import django.db.models.deletion
from django.db import migrations, models

from crm.models.tenancy import tie
from crm.models.tenancy import unique_within_company


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0005_audit_joined_and_deal_board'),
    ]

    operations = [
        migrations.AddField(
            model_name='crmevent',
            name='api_key',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='crm.apikey'),
        ),
        unique_within_company("crm_apikey"),
        tie("crm_crmevent", "api_key_id", to="crm_apikey"),
    ]
