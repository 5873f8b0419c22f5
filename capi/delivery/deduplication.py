"""The one place that a lead or deal has in a rule which counts each of them once: who may have it, who has it."""

from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, Case, Exists, OuterRef, Q, When
from django.db.models.functions import Coalesce

from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import Frequency, State
from capi.models.lookups import IdList


def place() -> Case:
    """The key of the place that an event needs (as `once_key`), null where its rule counts every time."""
    once = ConversionRule._base_manager.filter(frequency=Frequency.ONCE)
    return Case(When(rule__in=once, then=Coalesce("deal_id", "lead_id")), output_field=BigIntegerField())


def is_taken() -> Q:
    """Another event has the place that this one needs."""
    key = Coalesce(OuterRef("deal_id"), OuterRef("lead_id"))
    others = ConversionEvent.objects.filter(rule=OuterRef("rule"), once_key=key).exclude(pk=OuterRef("pk"))
    return Q(Exists(others), rule__frequency=Frequency.ONCE)


def take_back(pks: IdList) -> None:
    """Give those of these events their place again that LinkedIn took although they had been ended meanwhile."""
    taken_all_the_same = ConversionEvent.objects.filter(
        ~is_taken(), pk__one_of=pks, state=State.ACCEPTED, once_key=None, lead__isnull=False, is_test=False
    )
    try:
        with transaction.atomic():
            ConversionEvent.objects.filter(pk__in=taken_all_the_same.values("pk")).update(once_key=place())
    except IntegrityError:
        return  # a newer event has just taken it, and one of the two counts
