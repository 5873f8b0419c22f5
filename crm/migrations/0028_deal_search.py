from django.db import migrations

from crm.models.deal_search import deal_search_column


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0026_timeouts'),
    ]

    operations = [
        deal_search_column(),
    ]
