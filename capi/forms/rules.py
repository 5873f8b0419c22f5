"""The form for one rule."""

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from capi.models import ConversionRule, CrmEventName, clean_linkedin_id
from capi.models.choices import EVENTS_WITH_VALUE
from capi.selectors.explanations.rules import EVENTS
from crm.forms.changes import ChangesForm
from crm.models import Company

ID_WITH_PREFIX_MAX_LENGTH: Final = 100


class RuleForm(ChangesForm):
    """Step 2. The company is passed in; it is never a field. A draft is shown again, and not validated."""

    crm_event = forms.ChoiceField(
        label="CRM event",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose the CRM event to report."},
    )
    linkedin_id = forms.CharField(
        label="LinkedIn rule id",
        max_length=ID_WITH_PREFIX_MAX_LENGTH,
        help_text="With or without “urn:lla:llaPartnerConversion:” in front.",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={
            "required": "Paste the id of the conversion rule from Campaign Manager.",
            "max_length": "A LinkedIn rule id has at most 19 digits.",
        },
    )

    class Meta:
        model = ConversionRule
        fields = (
            "crm_event",
            "name",
            "linkedin_id",
            "frequency",
            "send_value",
            "is_active",
        )
        labels = {"is_active": "Active", "send_value": "Send the deal's value"}
        help_texts = {
            "name": "If empty, the rule is named after its CRM event.",
            "frequency": "Once per person: once for each e-mail address, from now on.",
            "send_value": "",
            "is_active": "While off, events are not sent, except by a later backfill.",
        }

    def __init__(
        self, *args: Any, company: Company, is_draft: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.is_draft = is_draft
        self.instance.company = company
        self.fields["name"].required = False
        field = self.fields["crm_event"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(_advised_events())
        if self.instance.pk:
            field.disabled = True
            field.help_text = "This can't be changed, so that the log stays correct. For another CRM event, add a rule."

    @property
    def errors(self) -> Any:
        return ErrorDict() if self.is_draft else super().errors

    def clean_name(self) -> str:
        """The entered name, otherwise that of the CRM event, or "" if none was chosen."""
        name: str = self.cleaned_data["name"]
        event = self._event()
        return name or (CrmEventName(event).label if event else "")

    def clean_send_value(self) -> bool:
        """False for a CRM event without a value, whatever was posted."""
        return self._event() in EVENTS_WITH_VALUE and self.cleaned_data["send_value"]

    def _event(self) -> str:
        """The saved or chosen CRM event, "" if there is none."""
        event: str = self.instance.crm_event or self.cleaned_data.get("crm_event", "")
        return event

    @staticmethod
    def bare_id(text: str) -> str:
        """The bare id from pasted text, "" if it isn't one."""
        try:
            return clean_linkedin_id(text)
        except ValidationError:
            return ""

    def clean_linkedin_id(self) -> str:
        return clean_linkedin_id(self.cleaned_data["linkedin_id"])

    def _get_validation_exclusions(self) -> set[str]:
        # The company isn't a field, but it is part of the uniqueness constraint.
        return super()._get_validation_exclusions() - {"company"}  # type: ignore[misc, no-any-return]


def _advised_events() -> Iterable[tuple[str, SafeString]]:
    """Each CRM event with when it fires and its usual type in Campaign Manager."""
    for name in CrmEventName:
        advice = EVENTS[name]
        warning = ""
        if advice.warning:
            warning = format_html('<span class="warning">{}</span>', advice.warning)
        yield (
            name.value,
            format_html(
                "<strong>{} <code>{}</code></strong><small>{} Usual type in LinkedIn: <b>{}</b>.{}</small>",
                name.label,
                name.value,
                advice.fires,
                advice.linkedin_type,
                warning,
            ),
        )
