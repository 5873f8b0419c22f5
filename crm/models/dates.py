"""When a day begins: filters by day are comparisons of times, which an index serves, unlike a cast to a date."""

from datetime import date, datetime, time

from django.utils import timezone


def start_of(day: date) -> datetime:
    """When the day begins, in the active time zone (the company's)."""
    return timezone.make_aware(datetime.combine(day, time.min))
