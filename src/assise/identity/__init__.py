"""Identity: which user a token stands for."""
