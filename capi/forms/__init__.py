"""The forms of the LinkedIn pages. What is checked lives in the services and the models; here it gets its field."""
