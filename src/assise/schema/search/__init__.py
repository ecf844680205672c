"""Search as SQL, pure: the index tables of searched tables, their triggers, and the functions."""
