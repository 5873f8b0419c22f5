from django.db import migrations

from postgresql.statistics import count_often


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0034_indexes_of_boards'),
    ]

    operations = [
        count_often(
            'crm_lead', 'crm_deal', 'crm_dealperson', 'crm_task', 'crm_note', 'crm_attachment', 'crm_leadtag',
            'crm_dealtag', 'crm_leadduplicate', 'crm_crmevent', 'crm_change', 'crm_leadimportrow',
        ),
    ]
