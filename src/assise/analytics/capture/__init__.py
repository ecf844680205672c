"""The wire of PostHog: what its SDKs send, and the answers that they need."""
