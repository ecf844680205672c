"""Redis: the only user of its driver, and the embedded servers."""
