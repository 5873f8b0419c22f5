"""What forms accept as a date: nothing that could be another day. Browsers send the first of these.

Django would read “3/4/2027” as 3 April for everyone.
"""

from typing import Final

DATE_INPUT_FORMATS: Final = ["%Y-%m-%d", "%d.%m.%Y", "%d %b %Y", "%d %B %Y"]
