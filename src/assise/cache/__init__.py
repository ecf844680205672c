"""Cache: values of functions in Redis, never older than what invalidated them."""
