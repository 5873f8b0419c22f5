"""The forms of the LinkedIn pages. The services and models validate; a form attaches the error to its field."""
