"""The settings of a session: every one that changes results or ends statements, in one place.

A server, a database, a role or the environment may have other values. `tests/postgres/test_session`
goes through `pg_settings` and fails for a setting that is neither set nor left here.
"""

from __future__ import annotations

SETTINGS = {
    # texts and bytes
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # what SQL means
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "off",
    # ends
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""Set in every session, where the server knows them.

With `row_security` off the server refuses a statement that would not see all rows of a table,
instead of leaving rows out: no document is called missing because a policy hides it.
"""

_OF_THE_SERVER = "about the server's own work: no result depends on it"
_OF_NO_USE = "about something that Assise does not use"
_OF_THE_USER = "the user's choice for new tables, on which no result depends"

LEFT = {
    "client_connection_check_interval": "set on its own: a server on Windows cannot",
    "search_path": "the user's; only pg_catalog is taken out of it, which then comes first",
    "default_transaction_read_only": "the preflight refuses it",
    "transaction_read_only": "follows default_transaction_read_only",
    "transaction_isolation": "follows default_transaction_isolation, or BEGIN says it",
    "transaction_deferrable": "follows default_transaction_deferrable",
    "session_replication_role": "only a superuser may set it",
    "restrict_nonsystem_relation_kind": "forbids views, of which Assise reads none",
    "lc_messages": "errors are told apart by their SQLSTATE",
    "client_min_messages": "notices are not shown",
    "default_table_access_method": _OF_THE_USER,
    "default_tablespace": _OF_THE_USER,
    "default_toast_compression": _OF_THE_USER,
    "temp_tablespaces": _OF_THE_USER,
    "check_function_bodies": _OF_THE_USER,
    "backslash_quote": "a quote is written as two",
    "escape_string_warning": "a backslash is written as E''",
    "lc_monetary": _OF_NO_USE,
    "lc_numeric": _OF_NO_USE,
    "lc_time": _OF_NO_USE,
    "timezone_abbreviations": _OF_NO_USE,
    "default_text_search_config": _OF_NO_USE,
    "createrole_self_grant": _OF_NO_USE,
    "event_triggers": "only a superuser may set it",
    "icu_validation_level": _OF_NO_USE,
    "lo_compat_privileges": _OF_NO_USE,
    "xmlbinary": _OF_NO_USE,
    "xmloption": _OF_NO_USE,
    "allow_system_table_mods": _OF_NO_USE,
    "dynamic_library_path": _OF_THE_SERVER,
    "extension_control_path": _OF_THE_SERVER,
    "gin_fuzzy_search_limit": _OF_NO_USE,
    "gin_pending_list_limit": _OF_THE_SERVER,
    "local_preload_libraries": _OF_THE_SERVER,
    "session_preload_libraries": _OF_THE_SERVER,
    "synchronize_seqscans": "only the order of rows without ORDER BY",
    "tcp_keepalives_count": _OF_THE_SERVER,
    "tcp_keepalives_idle": _OF_THE_SERVER,
    "tcp_keepalives_interval": _OF_THE_SERVER,
    "tcp_user_timeout": "ends only a connection that is lost",
    "deadlock_timeout": "when the server looks for a deadlock, of which there is none in waiting",
}
"""Left as they are, with the reason."""
