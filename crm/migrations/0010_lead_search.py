from django.db import migrations

from crm.models.search_index import search_column


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0009_lead_imports'),
    ]

    operations = [
        search_column("first_name", "last_name", "email", "organisation", "title", "phone"),
    ]
