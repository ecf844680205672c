"""Who is calling, and the users of Supabase."""
