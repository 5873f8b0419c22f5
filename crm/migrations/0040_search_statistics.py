from django.db import migrations

from postgresql.statistics import know_search_texts


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0039_addresses_from_opened_links'),
    ]

    operations = [
        know_search_texts('crm_lead', 'crm_deal'),
    ]
