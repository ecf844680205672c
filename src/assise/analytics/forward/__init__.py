"""Events on their way to PostHog, from the copy that is kept here."""
