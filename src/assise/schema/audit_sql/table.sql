CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
SET timezone = 'UTC' SET bytea_output = 'hex' SET extra_float_digits = 1 AS
-- body --
DECLARE
    _statement bigint := nextval(pg_get_serial_sequence({log_text}, 'id'));
    _actor text := nullif(current_setting('app.user_id', true), '');
    _request text := nullif(current_setting('app.request_id', true), '');
    _reason text := nullif(current_setting('app.reason', true), '');
    _pairs bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {log} (statement, "table", op, key, new, hidden, actor, request, reason, login)
        SELECT _statement, {name}, 'i', jsonb_build_object({new_key}), to_jsonb(n) - {hidden},
            {new_hidden}, _actor, _request, _reason, session_user FROM added AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {log} (statement, "table", op, key, old, hidden, actor, request, reason, login)
        SELECT _statement, {name}, 'd', jsonb_build_object({old_key}), to_jsonb(o) - {hidden},
            {old_hidden}, _actor, _request, _reason, session_user FROM gone AS o;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO {log} (statement, "table", op, key, old, new, hidden, actor, request, reason, login)
        SELECT _statement, {name}, 'u', jsonb_build_object({new_key}), {old}, {new},
            {changed_hidden}, _actor, _request, _reason, session_user
        FROM gone AS o JOIN added AS n ON {same_key} WHERE o.* *<> n.*;
        GET DIAGNOSTICS _pairs = ROW_COUNT;
        -- A key that was changed has no partner: it is gone, and another one has come.
        IF _pairs < (SELECT count(*) FROM gone) AND EXISTS (SELECT FROM gone AS o FULL JOIN added AS n ON {same_key} WHERE {old_first} IS NULL OR {new_first} IS NULL) THEN
            INSERT INTO {log} (statement, "table", op, key, old, new, hidden, actor, request, reason, login)
            SELECT _statement, {name}, CASE WHEN {new_first} IS NULL THEN 'd' ELSE 'i' END,
                CASE WHEN {new_first} IS NULL THEN jsonb_build_object({old_key}) ELSE jsonb_build_object({new_key}) END,
                CASE WHEN {new_first} IS NULL THEN to_jsonb(o) - {hidden} END,
                CASE WHEN {old_first} IS NULL THEN to_jsonb(n) - {hidden} END,
                CASE WHEN {new_first} IS NULL THEN {old_hidden} ELSE {new_hidden} END,
                _actor, _request, _reason, session_user
            FROM gone AS o FULL JOIN added AS n ON {same_key}
            WHERE {old_first} IS NULL OR {new_first} IS NULL
            ORDER BY {new_first} IS NOT NULL;
        END IF;
    ELSE
        INSERT INTO {log} (statement, "table", op, actor, request, reason, login)
        VALUES (_statement, {name}, 't', _actor, _request, _reason, session_user);
    END IF;
    RETURN NULL;
END
