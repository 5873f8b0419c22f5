from typing import Any

from django.db import migrations, models
from django.db.models import Exists, OuterRef
from django.db.models.deletion import SET_NULL

from crm.models.tenancy import company_by_tie, untie


def forget_leads_to_come(apps: Any, editor: Any) -> None:
    leads = apps.get_model("crm", "Lead").objects.using(editor.connection.alias).filter(pk=OuterRef("lead"))
    rows = apps.get_model("crm", "LeadImportRow").objects.using(editor.connection.alias)
    rows.filter(~Exists(leads)).update(lead=None)


class Migration(migrations.Migration):

    dependencies = [
        ("crm", "0036_former_people_of_deals"),
    ]

    operations = [
        untie("crm_leadimportrow", "lead_id", to="crm_lead"),
        migrations.AlterField(
            model_name="leadimportrow",
            name="lead",
            field=models.ForeignKey(
                db_constraint=False, null=True, on_delete=SET_NULL, related_name="import_rows", to="crm.lead"
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_leads_to_come),
        company_by_tie("crm_leadimportrow"),
        company_by_tie("crm_lead"),
    ]
