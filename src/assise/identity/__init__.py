"""Identity: which user a token stands for, and the users of Supabase."""
