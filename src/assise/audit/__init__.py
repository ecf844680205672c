"""Who changed which row, and when: a log that triggers write, and that seals protect."""
