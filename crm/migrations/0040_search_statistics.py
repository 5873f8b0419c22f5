from django.db import migrations

from postgresql.statistics import raise_search_statistics_target


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0039_addresses_from_opened_links'),
    ]

    operations = [
        raise_search_statistics_target('crm_lead', 'crm_deal'),
    ]
