from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0044_unique_passkeys'),
    ]

    operations = [
        migrations.AddField(
            model_name='leadimport',
            name='created',
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name='leadimport',
            name='readings',
            field=models.JSONField(db_default=[], default=list),
        ),
        migrations.AddField(
            model_name='leadimportrow',
            name='cell_problems',
            field=models.JSONField(null=True),
        ),
        migrations.AlterField(
            model_name='leadimportrow',
            name='problem',
            field=models.CharField(blank=True, choices=[('name_missing', 'Name is missing'), ('email_invalid', 'E-mail address is invalid'), ('status_unknown', 'Unknown status'), ('type_unknown', 'Unknown type'), ('owner_unknown', 'Not one of your colleagues'), ('tag_unknown', "Tag is not in the company's list"), ('consent_unclear', 'Consent is neither yes nor no'), ('too_long', 'Text is too long'), ('not_a_text', "Text can't be stored"), ('not_a_number', 'Not a number'), ('number_unclear', 'Can be two numbers'), ('number_doubtful', 'Could be another number'), ('rounded', 'Has more decimals than the field'), ('not_a_date', 'Not a date'), ('date_unclear', 'Can be two dates'), ('date_doubtful', 'Could be another date'), ('not_yes_or_no', 'Neither yes nor no'), ('not_a_choice', 'Not one of the choices'), ('not_a_url', 'Not a web address'), ('required', 'A required field is empty'), ('too_many_cells', 'More cells than columns'), ('erased', 'The person has been erased')], db_default='', default='', max_length=20),
        ),
    ]
