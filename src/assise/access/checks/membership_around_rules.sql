-- A user's role that rules do not bind, or that can become one; and logins that can become the owner.
WITH bound AS (
    SELECT oid, quote_ident(rolname) AS name, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = ANY (%(bound)s)
), unbound AS (
    SELECT oid, quote_ident(rolname) AS name FROM pg_roles
    WHERE rolsuper OR rolbypassrls OR rolname = ANY (%(staff)s) OR rolname = %(owner)s
)
SELECT name AS object, CASE WHEN rolsuper THEN 'is a superuser' ELSE 'has BYPASSRLS' END || ', so that no rule binds it' AS says,
    'ALTER ROLE ' || name || ' NOSUPERUSER NOBYPASSRLS' AS remedy
FROM bound WHERE rolsuper OR rolbypassrls
UNION ALL
SELECT bound.name, 'is a member of ' || unbound.name || ', whom its rules do not bind', 'REVOKE ' || unbound.name || ' FROM ' || bound.name
FROM bound JOIN unbound ON bound.oid <> unbound.oid AND pg_has_role(bound.oid, unbound.oid, 'MEMBER') WHERE NOT rolsuper
UNION ALL
SELECT quote_ident(member.rolname), 'is a member of ' || quote_ident(owner.rolname) || ', the owner of the tables',
    'REVOKE ' || quote_ident(owner.rolname) || ' FROM ' || quote_ident(member.rolname)
FROM pg_roles AS owner JOIN pg_auth_members ON roleid = owner.oid JOIN pg_roles AS member ON member.oid = pg_auth_members.member
WHERE owner.rolname = %(owner)s AND NOT member.rolname = ANY (%(bound)s) AND NOT member.rolsuper
    AND member.rolname NOT IN (current_user, %(loader)s) AND NOT admin_option
ORDER BY 1, 2
