from django.db import migrations, models

from crm.models.tenancy import tie
from crm.models.tenancy import unique_within_company


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0003_accounts'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='lead',
            name='lead_newest_first',
        ),
        migrations.AddConstraint(
            model_name='lead',
            constraint=models.UniqueConstraint(fields=('company', 'id'), name='lead_of_company'),
        ),
        unique_within_company("crm_leadstatus"),
        unique_within_company("crm_stage"),
        unique_within_company("crm_deal"),
        unique_within_company("crm_crmevent"),
        tie("crm_lead", "status_id", to="crm_leadstatus"),
        tie("crm_deal", "lead_id", to="crm_lead"),
        tie("crm_deal", "stage_id", to="crm_stage"),
        tie("crm_crmevent", "lead_id", to="crm_lead"),
        tie("crm_crmevent", "deal_id", to="crm_deal"),
    ]
