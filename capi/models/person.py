"""People whom a rule with the frequency `PER_PERSON` has counted."""

from django.db import models

from capi.models.event import ConversionEvent
from capi.models.rule import ConversionRule


class CountedPerson(models.Model):
    """The one conversion that a person has under a rule: LinkedIn has this event of theirs, or may have it.

    A row is written when a request is paid for, and deleted if LinkedIn certainly accepted nothing. So it counts,
    however its event ends. `person` is `capi.linkedin.identity.counted_person_key` of the address as it was sent.
    """

    rule = models.ForeignKey(ConversionRule, on_delete=models.CASCADE, related_name="+", db_index=False)
    person = models.BigIntegerField()
    event = models.ForeignKey(ConversionEvent, on_delete=models.CASCADE, related_name="counted_people")

    class Meta:
        verbose_name_plural = "counted people"
        constraints = [models.UniqueConstraint(fields=["rule", "person"], name="once_per_person")]

    def __str__(self) -> str:
        return f"{self.rule_id}: event {self.event_id}"
