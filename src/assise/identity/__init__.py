"""Who is calling: the user that a token stands for, and the users of Supabase."""
