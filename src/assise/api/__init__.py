"""HTTP: the tables of a manifest as resources, health, and what surrounds a request."""
