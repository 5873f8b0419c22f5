import django.db.models.deletion
from django.db import migrations, models

from crm.models.tenancy import tie


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0023_bulk_changes_by_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='attachment',
            name='note',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='crm.note'),
        ),
        migrations.AddIndex(
            model_name='attachment',
            index=models.Index(condition=models.Q(('note__isnull', False)), fields=['note'], name='files_of_note'),
        ),
        tie("crm_attachment", "note_id", to="crm_note"),
    ]
