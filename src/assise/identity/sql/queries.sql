-- users --
-- The users of Supabase: what the session lacks on them, who signs in as whom, and the triggers that are there.
SELECT current_user::text AS name, now()::text AS now, rolsuper OR rolcreaterole AS may_create_roles,
    to_regrole('authenticated') IS NOT NULL AS has_callers,
    ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'TRIGGER', 'REFERENCES']) AS privilege
        WHERE NOT has_table_privilege(u.oid, privilege)) AS lacks,
    ARRAY(SELECT tgname || ' calls ' || tgfoid::regproc FROM pg_trigger
        WHERE tgrelid = u.oid AND NOT tgisinternal AND tgname = ANY (%(triggers)s)
        AND tgfoid IS DISTINCT FROM to_regproc(%(function)s)) AS of_others
FROM pg_class AS u, pg_roles WHERE relnamespace = to_regnamespace('auth') AND relname = 'users' AND rolname = current_user

-- columns --
-- The columns of a table; none where it is not there.
SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped

-- is_unique --
-- Whether a column of a table is unique by itself.
SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = to_regclass(%(table)s) AND attname = %(key)s AND indisunique AND indpred IS NULL AND indnkeyatts = 1)

-- missing_roles --
-- Which of these roles there are not.
SELECT name FROM unnest(%(names)s::text[]) AS name WHERE to_regrole(quote_ident(name)) IS NULL

-- failures --
-- How many copies of a table have failed since the last repair, and why the newest did.
SELECT count(*)::int AS count, coalesce((array_agg(message ORDER BY failed_at DESC))[1], '') AS reason
FROM assise.mirror_failure WHERE "table" = %(table)s

-- forget --
-- Forget the failures of a table that were noted before a moment.
DELETE FROM assise.mirror_failure WHERE "table" = %(table)s AND failed_at < %(now)s::timestamptz

-- note --
-- Note that a copy has failed.
INSERT INTO assise.mirror_failure ("table", user_id, state, message) VALUES (%(table)s, %(user)s::uuid, '', %(message)s)
