"""The forms, and their renderer."""

from django.forms.renderers import TemplatesSetting


class FormRenderer(TemplatesSetting):
    """Renders `{{ form }}` and its fields with our templates: labels, help, errors and a summary of the errors."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
