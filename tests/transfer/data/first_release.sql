

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA assise;

CREATE FUNCTION assise.objectid_to_uuid(objectid text) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
    SELECT CASE WHEN objectid ~ '^[0-9a-fA-F]{24}$'
        THEN (left(objectid, 12) || '8' || substr(objectid, 13, 3) || '8' || substr(objectid, 16, 9) || '000000')::uuid END
$_$;

CREATE FUNCTION assise.uuid_to_objectid(id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $_$
    SELECT left(digits, 12) || substr(digits, 14, 3) || substr(digits, 18, 9)
    FROM (SELECT replace(id::text, '-', '') AS digits) AS parts
    WHERE digits ~ '^.{12}8.{3}8.{9}000000$'
$_$;

CREATE FUNCTION public._new_objectid() RETURNS uuid
    LANGUAGE sql PARALLEL SAFE
    AS $$
    SELECT (second || left(random, 4) || '8' || substr(random, 5, 3) || '8' || substr(random, 8, 3) || right(random, 6) || '000000')::uuid
    FROM (SELECT lpad(to_hex(floor(extract(epoch FROM clock_timestamp()))::bigint), 8, '0') AS second,
                 replace(gen_random_uuid()::text, '-', '') AS random) AS parts
$$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE assise.chunk (
    load_id integer NOT NULL,
    collection text NOT NULL,
    start_offset bigint NOT NULL,
    stop_offset bigint NOT NULL,
    sha256 text NOT NULL,
    documents bigint NOT NULL,
    loaded bigint NOT NULL,
    rejected bigint NOT NULL,
    rows jsonb NOT NULL,
    typed bigint NOT NULL,
    jsonb bigint NOT NULL,
    extra bigint NOT NULL,
    seconds double precision NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT chunk_check CHECK ((documents = (loaded + rejected)))
);

CREATE TABLE assise.collection (
    load_id integer NOT NULL,
    name text NOT NULL,
    metadata text NOT NULL
);

CREATE TABLE assise.load (
    id integer NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    manifest text NOT NULL,
    schema text NOT NULL,
    chunk_bytes bigint NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone
);

ALTER TABLE assise.load ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME assise.load_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE assise.reject (
    load_id integer NOT NULL,
    collection text NOT NULL COLLATE pg_catalog."C",
    start_offset bigint NOT NULL,
    size bigint NOT NULL,
    reason integer NOT NULL,
    detail text NOT NULL,
    sha256 text NOT NULL,
    raw bytea NOT NULL
);

CREATE TABLE assise.repair (
    load_id integer NOT NULL,
    repaired_at timestamp with time zone DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL
);

CREATE TABLE assise.version (
    version integer NOT NULL
);

CREATE TABLE public.codes (
    id text NOT NULL COLLATE pg_catalog."C",
    n integer,
    _extra jsonb
);

CREATE TABLE public.events (
    id integer NOT NULL,
    kind text,
    at double precision,
    odd jsonb,
    _extra jsonb
);

CREATE TABLE public.order_lines (
    order_id uuid NOT NULL,
    _position integer NOT NULL,
    sku text,
    count integer,
    _extra jsonb
);

CREATE TABLE public.orders (
    id uuid DEFAULT public._new_objectid() NOT NULL,
    total double precision,
    text text,
    _extra jsonb
);

CREATE TABLE public.user_item_parts (
    user_id uuid NOT NULL,
    _position integer NOT NULL,
    _position_2 integer NOT NULL,
    p integer,
    _extra jsonb
);

CREATE TABLE public.user_items (
    user_id uuid NOT NULL,
    _position integer NOT NULL,
    sku text,
    count integer,
    _extra jsonb
);

CREATE TABLE public.users (
    id uuid DEFAULT public._new_objectid() NOT NULL,
    name text,
    age bigint,
    visits numeric,
    score double precision,
    paid boolean,
    born timestamp with time zone,
    ref uuid,
    token uuid,
    blob bytea,
    price numeric,
    tags text[],
    address_city text,
    address_zip text,
    address_ref text,
    address_id integer,
    mixed jsonb,
    rare jsonb,
    again boolean,
    _extra jsonb
);

INSERT INTO assise.chunk VALUES
	(1, 'events', 0, 1699, 'c8d57fc2dd8acb92494f4ad1189dd4e4593327c9351f26cb3ff8933c83614190', 31, 30, 1, '{"events": 30}', 90, 31, 1, 0.00902672100005475, '755'),
	(1, 'users', 0, 4231, '20153ee4c5275ce75a6c01ebf29890cafa2fb269f0f4afe494398d90ba0111c1', 13, 12, 1, '{"users": 12, "user_items": 12, "user_item_parts": 6}', 185, 23, 27, 0.004170420000036756, '757'),
	(1, 'users', 4231, 8519, '5dc6ed3bb192335ebb34b0d2976473b4e7e79b08202891338619bd35de779ea4', 13, 13, 0, '{"users": 13, "user_items": 14, "user_item_parts": 6}', 195, 28, 32, 0.0035894670002107887, '758'),
	(1, 'users', 8519, 12846, '4e56b6e0c7542df8823be9a15eb237c57df313007b911c41aa30aefe8fb319ca', 14, 13, 1, '{"users": 13, "user_items": 12, "user_item_parts": 6}', 206, 15, 21, 0.002779171999918617, '760'),
	(1, 'users', 12846, 13473, '5ac0aa5be3c7008b9d7d8afdb125a31e09665ae36eb93543cd8834afa2d2093f', 3, 2, 1, '{"users": 2, "user_items": 2, "user_item_parts": 0}', 31, 2, 5, 0.0032844039999417873, '761'),
	(2, 'orders', 0, 4197, '86087c703a3bde74c8554c9dab2be71459ed0df9ae8875b5cc64de95f10af393', 28, 28, 0, '{"orders": 28, "order_lines": 27}', 138, 0, 10, 0.0024273389999507344, '772'),
	(2, 'orders', 4197, 8425, '7746ac5f9cefb4a040e2c48954618a4be6a42adc717bcd13b28426e715a766a9', 28, 28, 0, '{"orders": 28, "order_lines": 28}', 140, 0, 9, 0.001709871999992174, '773'),
	(3, 'codes', 0, 252, 'd12e0e690557a913f4aa4761c4ea0c3660ab43b3cc000a22a7e314ee8fb6af3d', 10, 10, 0, '{"codes": 10}', 21, 0, 0, 0.0009653849999722297, '775');

INSERT INTO assise.load OVERRIDING SYSTEM VALUE VALUES
	(1, 'app', '/dumps/app', '# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: app
postgres: embedded

tables:
  events:
    collection: events
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      kind: text
      at: float8
      odd: jsonb
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      name: text
      age: int8
      visits: numeric
      score: float8
      paid: bool
      born: timestamptz
      ref: uuid
      token: {type: uuid, kind: uuid}
      blob: bytea
      price: {type: numeric, kind: decimal}
      tags: "text[]"
      address_city: {type: text, from: address.city}
      address_zip: {type: text, from: address.zip}
      address_ref: {type: text, from: address.$ref}
      address_id: {type: int4, from: address.$id}
      mixed: jsonb
      rare: jsonb
      again: bool
  user_items:
    parent: users
    from: items.*
    primary_key: [user_id, _position]
    columns:
      sku: text
      count: int4
  user_item_parts:
    parent: user_items
    from: parts.*
    primary_key: [user_id, _position, _position_2]
    columns:
      p: int4
', 'public', 4096, '2026-11-29 17:08:22.060574+00', '2026-11-29 17:08:22.183566+00'),
	(2, 'half', '/dumps/half', '# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: half
postgres: embedded

tables:
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      total: float8
      text: text
  order_lines:
    parent: orders
    from: lines.*
    primary_key: [order_id, _position]
    columns:
      sku: text
      count: int4
', 'public', 4096, '2026-11-29 17:08:22.317458+00', NULL),
	(3, 'plain', '/dumps/plain', '# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: plain
postgres: embedded

tables:
  codes:
    collection: codes
    primary_key: id
    columns:
      id: {type: text, from: _id, kind: any}
      "n": int4
', 'public', 4096, '2026-11-29 17:08:22.396644+00', '2026-11-29 17:08:22.427296+00');

INSERT INTO assise.reject VALUES
	(1, 'events', 1687, 12, 1, 'a boolean that is 2 at byte 7', 'd7cce92abc998062ea6188cd7097572406f5986f8d112835eb74c834cf45776f', '\x0c0000000861000200000000'),
	(1, 'users', 1955, 402, 2, 'a document with the same _id is loaded already', 'ac12eb0a7c2b6e3cedef8c76c748b5c26198415062504ace471e5a2d454691dc', '\x92010000075f69640065b9f0a00000000000000005026e616d650007000000757365722035001061676500050000001276697369747300000000000a0000000173636f726500000000000000e43f0870616964000002626f726e00020000003700077265660065b9f0a1000000000000000505746f6b656e0010000000040000000000000000000000000000000505626c6f62000100000000051370726963650026020000000000000000000000003c3004746167730017000000023000020000006100023100020000006200000361646472657373001b00000002636974790007000000636974792032000a7a69700000046974656d7300790000000330003700000002736b75000300000073300010636f756e74000000000004706172747300140000000330000c000000107000050000000000000331003700000002736b75000300000073310010636f756e74000100000004706172747300140000000330000c0000001070000500000000000000106d69786564000500000002726172650002000000370008616761696e000100'),
	(1, 'users', 8792, 281, 2, 'a document with the same _id is loaded already', '7304856a0dc035c5b72c8a5fe31a35a94ba34d56a8f722d4a4105cc9b7e1324c', '\x19010000075f69640065b9f0a00000000000000019026e616d6500080000007573657220323500106167650019000000127669736974730000000000320000000173636f72650000000000000009400870616964000009626f726e00550497758e010000077265660065b9f0a1000000000000001905746f6b656e0010000000040000000000000000000000000000001905626c6f620001000000001913707269636500f6090000000000000000000000003c300474616773000e000000023000020000006100000361646472657373001b00000002636974790007000000636974792031000a7a69700000026974656d7300020000000000106d69786564001900000002726172650002000000000008616761696e000100'),
	(1, 'users', 13455, 18, 1, '18 bytes that cannot be framed as documents', '0ca24bdbaca6e2fddab192109492471b8207f64714b32e75a2ddd37031ffeb5c', '\x07010101206e6f20646f63756d656e7420fe');

INSERT INTO assise.version VALUES
	(1);

INSERT INTO public.codes VALUES
	('"a"', 0, NULL),
	('"b"', 1, NULL),
	('1', 2, NULL),
	('{"$numberDouble":"1.5"}', 3, NULL),
	('{"$numberDecimal":"2.50"}', 4, NULL),
	('{"$oid":"000000000000000000000001"}', 5, NULL),
	('{"a":1,"b":"2"}', 6, NULL),
	('{"$date":{"$numberLong":"1709209815125"}}', 7, NULL),
	('null', 8, NULL),
	('true', 9, NULL);

INSERT INTO public.events VALUES
	(0, 'click', 0, '7', NULL),
	(1, 'click', 0.125, '7', NULL),
	(2, 'click', 0.25, '7.5', NULL),
	(3, 'click', 0.375, '{"$numberDouble": "NaN"}', NULL),
	(4, 'click', 0.5, '{"$numberDouble": "-0.0"}', NULL),
	(5, 'click', 0.625, '"7"', NULL),
	(6, 'click', 0.75, 'true', NULL),
	(7, 'click', 0.875, NULL, '{"odd": null}'),
	(8, 'click', 1, '{"$date": "2024-02-29T12:30:15.125Z"}', NULL),
	(9, 'click', 1.125, '{"$oid": "000000000000000000000007"}', NULL),
	(10, 'click', 1.25, '[]', NULL),
	(11, 'click', 1.375, '{}', NULL),
	(12, 'click', 1.5, '[1, "a"]', NULL),
	(13, 'click', 1.625, '{"a": {"b": []}}', NULL),
	(14, 'click', 1.75, '{"$numberDecimal": "1.50"}', NULL),
	(15, 'click', 1.875, '{"$numberDecimal": "NaN"}', NULL),
	(16, 'click', 2, '{"$binary": {"base64": "eA==", "subType": "05"}}', NULL),
	(17, 'click', 2.125, '{"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAABw==", "subType": "04"}}', NULL),
	(18, 'click', 2.25, '{"$code": "f()"}', NULL),
	(19, 'click', 2.375, '{"$code": "f()", "$scope": {"a": 1}}', NULL),
	(20, 'click', 2.5, '{"$regularExpression": {"options": "i", "pattern": "a"}}', NULL),
	(21, 'click', 2.625, '{"$timestamp": {"i": 2, "t": 1}}', NULL),
	(22, 'click', 2.75, '{"$minKey": 1}', NULL),
	(23, 'click', 2.875, '{"$maxKey": 1}', NULL),
	(24, 'click', 3, '{"$id": 1, "$ref": "c"}', NULL),
	(25, 'click', 3.125, '{"$bson": "DQAAAAIAAgAAAAAAAA=="}', NULL),
	(26, 'click', 3.25, '"é"', NULL),
	(27, 'click', 3.375, '7', NULL),
	(28, 'click', 3.5, '7', NULL),
	(29, 'click', 3.625, '7.5', NULL);

INSERT INTO public.order_lines VALUES
	('65b9f0a2-0000-8000-8000-000001000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000002000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000002000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000004000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000005000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000005000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000007000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000008000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000008000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-00000a000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00000b000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00000b000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-00000d000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00000e000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00000e000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000010000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000011000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000011000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000013000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000014000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000014000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000016000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000017000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000017000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000019000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00001a000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00001a000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-00001c000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00001d000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00001d000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-00001f000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000020000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000020000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000022000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000023000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000023000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000025000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000026000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000026000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000028000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000029000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000029000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-00002b000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00002c000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00002c000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-00002e000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00002f000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-00002f000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000031000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000032000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000032000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000034000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000035000000', 0, 's0', 0, NULL),
	('65b9f0a2-0000-8000-8000-000035000000', 1, 's1', 1, NULL),
	('65b9f0a2-0000-8000-8000-000037000000', 0, 's0', 0, NULL);

INSERT INTO public.orders VALUES
	('65b9f0a2-0000-8000-8000-000000000000', 0, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000001000000', 1.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000002000000', 2.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000003000000', 3.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000004000000', 5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000005000000', 6.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000006000000', 7.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000007000000', 8.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000008000000', 10, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000009000000', 11.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-00000a000000', 12.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00000b000000', 13.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00000c000000', 15, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-00000d000000', 16.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00000e000000', 17.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00000f000000', 18.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000010000000', 20, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000011000000', 21.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000012000000', 22.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000013000000', 23.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000014000000', 25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000015000000', 26.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000016000000', 27.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000017000000', 28.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000018000000', 30, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000019000000', 31.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00001a000000', 32.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00001b000000', 33.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-00001c000000', 35, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00001d000000', 36.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00001e000000', 37.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-00001f000000', 38.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000020000000', 40, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000021000000', 41.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000022000000', 42.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000023000000', 43.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000024000000', 45, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000025000000', 46.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000026000000', 47.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000027000000', 48.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000028000000', 50, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000029000000', 51.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00002a000000', 52.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-00002b000000', 53.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00002c000000', 55, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00002d000000', 56.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-00002e000000', 57.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-00002f000000', 58.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000030000000', 60, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000031000000', 61.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000032000000', 62.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000033000000', 63.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000034000000', 65, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000035000000', 66.25, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL),
	('65b9f0a2-0000-8000-8000-000036000000', 67.5, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '{"lines": []}'),
	('65b9f0a2-0000-8000-8000-000037000000', 68.75, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', NULL);

INSERT INTO public.user_item_parts VALUES
	('65b9f0a0-0000-8000-8000-000001000000', 0, 0, 1, NULL),
	('65b9f0a0-0000-8000-8000-000005000000', 0, 0, 5, NULL),
	('65b9f0a0-0000-8000-8000-000005000000', 1, 0, 5, NULL),
	('65b9f0a0-0000-8000-8000-000007000000', 0, 0, 7, NULL),
	('65b9f0a0-0000-8000-8000-00000b000000', 0, 0, 11, NULL),
	('65b9f0a0-0000-8000-8000-00000b000000', 1, 0, 11, NULL),
	('65b9f0a0-0000-8000-8000-00000d000000', 0, 0, 13, NULL),
	('65b9f0a0-0000-8000-8000-000011000000', 0, 0, 17, NULL),
	('65b9f0a0-0000-8000-8000-000011000000', 1, 0, 17, NULL),
	('65b9f0a0-0000-8000-8000-000013000000', 0, 0, 19, NULL),
	('65b9f0a0-0000-8000-8000-000017000000', 0, 0, 23, NULL),
	('65b9f0a0-0000-8000-8000-000017000000', 1, 0, 23, NULL),
	('65b9f0a0-0000-8000-8000-00001d000000', 0, 0, 29, NULL),
	('65b9f0a0-0000-8000-8000-00001d000000', 1, 0, 29, NULL),
	('65b9f0a0-0000-8000-8000-00001f000000', 0, 0, 31, NULL),
	('65b9f0a0-0000-8000-8000-000023000000', 0, 0, 35, NULL),
	('65b9f0a0-0000-8000-8000-000023000000', 1, 0, 35, NULL),
	('65b9f0a0-0000-8000-8000-000025000000', 0, 0, 37, NULL);

INSERT INTO public.user_items VALUES
	('65b9f0a0-0000-8000-8000-000001000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000002000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000002000000', 1, 's1', 1, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000004000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000005000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000005000000', 1, 's1', 1, NULL),
	('65b9f0a0-0000-8000-8000-000007000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000008000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000008000000', 1, 's1', 1, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-00000a000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-00000b000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-00000b000000', 1, 's1', 1, NULL),
	('65b9f0a0-0000-8000-8000-00000c000000', 0, NULL, NULL, '{"$element": 1}'),
	('65b9f0a0-0000-8000-8000-00000c000000', 1, NULL, NULL, '{"$element": "a"}'),
	('65b9f0a0-0000-8000-8000-00000d000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-00000e000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-00000e000000', 1, 's1', 1, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000010000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000011000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000011000000', 1, 's1', 1, NULL),
	('65b9f0a0-0000-8000-8000-000013000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000014000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000014000000', 1, 's1', 1, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000016000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000017000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000017000000', 1, 's1', 1, NULL),
	('65b9f0a0-0000-8000-8000-00001a000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-00001a000000', 1, 's1', 1, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-00001c000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-00001d000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-00001d000000', 1, 's1', 1, NULL),
	('65b9f0a0-0000-8000-8000-00001f000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000020000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000020000000', 1, 's1', 1, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000022000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000023000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000023000000', 1, 's1', 1, NULL),
	('65b9f0a0-0000-8000-8000-000025000000', 0, 's0', 0, NULL),
	('65b9f0a0-0000-8000-8000-000026000000', 0, 's0', 0, '{"parts": []}'),
	('65b9f0a0-0000-8000-8000-000026000000', 1, 's1', 1, '{"parts": []}');

INSERT INTO public.users VALUES
	('65b9f0a0-0000-8000-8000-000000000000', NULL, 0, 0, 0, true, '2024-02-29 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000000000000', '00000000-0000-0000-0000-000000000000', '\x00', 0.50, '{}', 'city 0', '0', NULL, NULL, '"0"', '7', NULL, '{"name": 7, "items": []}'),
	('65b9f0a0-0000-8000-8000-000001000000', 'user 1', 7, 8589934592, 0.125, false, '2024-03-01 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000001000000', '00000000-0000-0000-0000-000000000001', '\x01', 1.50, '{a}', 'city 1', NULL, NULL, NULL, '1', '7', NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000002000000', 'user 2', 2, 7.5, 0.25, true, '2024-03-02 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000002000000', '00000000-0000-0000-0000-000000000002', '\x02', 2.50, '{a,b}', 'city 2', NULL, NULL, NULL, '"2"', '7.5', NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000003000000', 'user 3', 3, 25769803776, 'NaN', false, '2024-03-03 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000003000000', '00000000-0000-0000-0000-000000000003', '\x03', 3.50, '{}', 'city 0', NULL, NULL, NULL, '3', '{"$numberDouble": "NaN"}', NULL, '{"items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000004000000', 'user 4', 4, 34359738368, 0.5, NULL, '2024-03-04 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000004000000', '00000000-0000-0000-0000-000000000004', '\x04', 4.50, '{a}', 'city 1', '4', NULL, NULL, '"4"', '{"$numberDouble": "-0.0"}', NULL, '{"paid": {"$numberDouble": "-0.0"}}'),
	('65b9f0a0-0000-8000-8000-000005000000', 'user 5', 5, 42949672960, 0.625, false, NULL, '65b9f0a1-0000-8000-8000-000005000000', '00000000-0000-0000-0000-000000000005', '\x05', 5.50, '{a,b}', 'city 2', NULL, NULL, NULL, '5', '"7"', NULL, '{"born": "7", "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000006000000', 'user 6', 6, 51539607552, 0.75, true, '2024-03-06 12:30:15.125+00', NULL, '00000000-0000-0000-0000-000000000006', '\x06', 6.50, '{}', 'city 0', NULL, NULL, NULL, '"6"', 'true', NULL, '{"ref": true, "items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000007000000', 'user 7', 7, 60129542144, 0.875, false, '2024-03-07 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000007000000', NULL, '\x07', 7.50, '{a}', 'city 1', NULL, NULL, NULL, '7', NULL, NULL, '{"rare": null, "token": null, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000008000000', 'user 8', 8, 68719476736, 1, true, '2024-03-08 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000008000000', '00000000-0000-0000-0000-000000000008', NULL, 8.50, '{a,b}', 'city 2', '8', NULL, NULL, '"8"', '{"$date": "2024-02-29T12:30:15.125Z"}', NULL, '{"blob": {"$date": "2024-02-29T12:30:15.125Z"}}'),
	('65b9f0a0-0000-8000-8000-000009000000', 'user 9', 9, 77309411328, 1.125, false, '2024-03-09 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000009000000', '00000000-0000-0000-0000-000000000009', '\x09', NULL, '{}', 'city 0', NULL, NULL, NULL, '9', '{"$oid": "000000000000000000000007"}', NULL, '{"items": [], "price": {"$oid": "000000000000000000000007"}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00000a000000', 'user 10', 10, 85899345920, 1.25, true, '2024-03-10 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00000a000000', '00000000-0000-0000-0000-00000000000a', '\x0a', 10.50, '{}', 'city 1', NULL, NULL, NULL, '"10"', '[]', NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00000b000000', 'user 11', 11, 94489280512, 1.375, false, '2024-03-11 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00000b000000', '00000000-0000-0000-0000-00000000000b', '\x0b', 11.50, '{a,b}', NULL, NULL, NULL, NULL, '11', '{}', NULL, '{"address": {}}'),
	('65b9f0a0-0000-8000-8000-00000c000000', 'user 12', 12, 103079215104, 1.5, true, '2024-03-12 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00000c000000', '00000000-0000-0000-0000-00000000000c', '\x0c', 12.50, '{}', 'city 0', '12', NULL, NULL, '"12"', '[1, "a"]', NULL, NULL),
	('65b9f0a0-0000-8000-8000-00000d000000', NULL, 13, 111669149696, 1.625, false, '2024-03-13 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00000d000000', '00000000-0000-0000-0000-00000000000d', '\x0d', 13.50, '{a}', 'city 1', NULL, NULL, NULL, '13', '{"a": {"b": []}}', NULL, '{"name": {"a": {"b": []}}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00000e000000', 'user 14', NULL, 120259084288, 1.75, true, '2024-03-14 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00000e000000', '00000000-0000-0000-0000-00000000000e', '\x0e', 14.50, '{a,b}', 'city 2', NULL, NULL, NULL, '"14"', '{"$numberDecimal": "1.50"}', NULL, '{"age": {"$numberDecimal": "1.50"}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00000f000000', 'user 15', 15, NULL, 1.875, false, '2024-03-15 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00000f000000', '00000000-0000-0000-0000-00000000000f', '\x0f', 15.50, '{}', 'city 0', NULL, NULL, NULL, '15', '{"$numberDecimal": "NaN"}', NULL, '{"items": [], "visits": {"$numberDecimal": "NaN"}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000010000000', 'user 16', 16, 137438953472, NULL, true, '2024-03-16 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000010000000', '00000000-0000-0000-0000-000000000010', '\x10', 16.50, '{a}', 'city 1', '16', NULL, NULL, '"16"', '{"$binary": {"base64": "eA==", "subType": "05"}}', NULL, '{"score": {"$binary": {"base64": "eA==", "subType": "05"}}}'),
	('65b9f0a0-0000-8000-8000-000011000000', 'user 17', 17, 146028888064, 2.125, NULL, '2024-03-17 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000011000000', '00000000-0000-0000-0000-000000000011', '\x11', 17.50, '{a,b}', 'city 2', NULL, NULL, NULL, '17', '{"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAABw==", "subType": "04"}}', NULL, '{"paid": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAABw==", "subType": "04"}}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000012000000', 'user 18', 18, 154618822656, 2.25, true, NULL, '65b9f0a1-0000-8000-8000-000012000000', '00000000-0000-0000-0000-000000000012', '\x12', 18.50, '{}', 'city 0', NULL, NULL, NULL, '"18"', '{"$code": "f()"}', NULL, '{"born": {"$code": "f()"}, "items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000013000000', 'user 19', 19, 163208757248, 2.375, false, '2024-03-19 12:30:15.125+00', NULL, '00000000-0000-0000-0000-000000000013', '\x13', 19.50, '{a}', 'city 1', NULL, NULL, NULL, '19', '{"$code": "f()", "$scope": {"a": 1}}', NULL, '{"ref": {"$code": "f()", "$scope": {"a": 1}}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000014000000', 'user 20', 20, 171798691840, 2.5, true, '2024-03-20 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000014000000', NULL, '\x14', 20.50, '{a,b}', 'city 2', '20', NULL, NULL, '"20"', '{"$regularExpression": {"options": "i", "pattern": "a"}}', NULL, '{"token": {"$regularExpression": {"options": "i", "pattern": "a"}}}'),
	('65b9f0a0-0000-8000-8000-000015000000', 'user 21', 21, 180388626432, 2.625, false, '2024-03-21 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000015000000', '00000000-0000-0000-0000-000000000015', NULL, 21.50, '{}', 'city 0', NULL, NULL, NULL, '21', '{"$timestamp": {"i": 2, "t": 1}}', NULL, '{"blob": {"$timestamp": {"i": 2, "t": 1}}, "items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000016000000', 'user 22', 22, 188978561024, 2.75, true, '2024-03-22 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000016000000', '00000000-0000-0000-0000-000000000016', '\x16', NULL, '{a}', 'city 1', NULL, NULL, NULL, '"22"', '{"$minKey": 1}', NULL, '{"price": {"$minKey": 1}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000017000000', 'user 23', 23, 197568495616, 2.875, false, '2024-03-23 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000017000000', '00000000-0000-0000-0000-000000000017', '\x17', 23.50, NULL, 'city 2', NULL, NULL, NULL, '23', '{"$maxKey": 1}', NULL, '{"tags": {"$maxKey": 1}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000018000000', 'user 24', 24, 206158430208, 3, true, '2024-03-24 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000018000000', '00000000-0000-0000-0000-000000000018', '\x18', 24.50, '{}', NULL, NULL, 'c', 1, '"24"', '{"$id": 1, "$ref": "c"}', NULL, '{"items": []}'),
	('65b9f0a0-0000-8000-8000-000019000000', 'user 25', 25, 214748364800, 3.125, false, '2024-03-25 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000019000000', '00000000-0000-0000-0000-000000000019', '\x19', 25.50, '{a}', 'city 1', NULL, NULL, NULL, '25', '{"$bson": "DQAAAAIAAgAAAAAAAA=="}', NULL, '{"items": {"$bson": "DQAAAAIAAgAAAAAAAA=="}, "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00001a000000', 'é', 26, 223338299392, 3.25, true, '2024-03-26 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00001a000000', '00000000-0000-0000-0000-00000000001a', '\x1a', 26.50, '{a,b}', 'city 2', NULL, NULL, NULL, '"26"', '"é"', NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00001b000000', 'user 27', 27, 231928233984, 3.375, false, '2024-03-27 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00001b000000', '00000000-0000-0000-0000-00000000001b', '\x1b', 27.50, '{}', 'city 0', NULL, NULL, NULL, '27', NULL, NULL, '{"items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00001c000000', 'user 28', 28, 240518168576, 3.5, true, '2024-03-28 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00001c000000', '00000000-0000-0000-0000-00000000001c', '\x1c', 28.50, '{a}', 'city 1', '28', NULL, NULL, '"28"', NULL, NULL, NULL),
	('65b9f0a0-0000-8000-8000-00001d000000', 'user 29', 29, 249108103168, 3.625, false, '2024-03-29 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00001d000000', '00000000-0000-0000-0000-00000000001d', '\x1d', 29.50, '{a,b}', 'city 2', NULL, NULL, NULL, '29', NULL, NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00001e000000', 'user 30', 30, 257698037760, 3.75, true, '2024-03-30 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00001e000000', '00000000-0000-0000-0000-00000000001e', '\x1e', 30.50, '{}', 'city 0', NULL, NULL, NULL, '"30"', NULL, NULL, '{"items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-00001f000000', 'user 31', 31, 266287972352, 3.875, false, '2024-03-31 12:30:15.125+00', '65b9f0a1-0000-8000-8000-00001f000000', '00000000-0000-0000-0000-00000000001f', '\x1f', 31.50, '{a}', 'city 1', NULL, NULL, NULL, '31', NULL, NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000020000000', 'user 32', 32, 274877906944, 4, true, '2024-04-01 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000020000000', '00000000-0000-0000-0000-000000000020', '\x20', 32.50, '{a,b}', 'city 2', '32', NULL, NULL, '"32"', NULL, NULL, NULL),
	('65b9f0a0-0000-8000-8000-000021000000', 'user 33', 33, 283467841536, 4.125, false, '2024-04-02 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000021000000', '00000000-0000-0000-0000-000000000021', '\x21', 33.50, '{}', 'city 0', NULL, NULL, NULL, '33', NULL, NULL, '{"items": [], "address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000022000000', 'user 34', 34, 292057776128, 4.25, true, '2024-04-03 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000022000000', '00000000-0000-0000-0000-000000000022', '\x22', 34.50, '{a}', 'city 1', NULL, NULL, NULL, '"34"', NULL, NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000023000000', 'user 35', 35, 300647710720, 4.375, false, '2024-04-04 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000023000000', '00000000-0000-0000-0000-000000000023', '\x23', 35.50, '{a,b}', 'city 2', NULL, NULL, NULL, '35', NULL, NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000024000000', 'user 36', 36, 309237645312, 4.5, true, '2024-04-05 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000024000000', '00000000-0000-0000-0000-000000000024', '\x24', 36.50, '{}', 'city 0', '36', NULL, NULL, '"36"', NULL, NULL, '{"items": []}'),
	('65b9f0a0-0000-8000-8000-000025000000', 'user 37', 37, 317827579904, 4.625, false, '2024-04-06 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000025000000', '00000000-0000-0000-0000-000000000025', '\x25', 37.50, '{a}', 'city 1', NULL, NULL, NULL, '37', NULL, NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000026000000', 'user 38', 38, 326417514496, 4.75, true, '2024-04-07 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000026000000', '00000000-0000-0000-0000-000000000026', '\x26', 38.50, '{a,b}', 'city 2', NULL, NULL, NULL, '"38"', NULL, NULL, '{"address": {"zip": null}}'),
	('65b9f0a0-0000-8000-8000-000027000000', 'user 39', 39, 335007449088, 4.875, false, '2024-04-08 12:30:15.125+00', '65b9f0a1-0000-8000-8000-000027000000', '00000000-0000-0000-0000-000000000027', '\x27', 39.50, '{}', 'city 0', NULL, NULL, NULL, '39', NULL, NULL, '{"items": [], "address": {"zip": null}}');

SELECT pg_catalog.setval('assise.load_id_seq', 3, true);

ALTER TABLE ONLY assise.chunk
    ADD CONSTRAINT chunk_pkey PRIMARY KEY (load_id, collection, start_offset);

ALTER TABLE ONLY assise.collection
    ADD CONSTRAINT collection_pkey PRIMARY KEY (load_id, name);

ALTER TABLE ONLY assise.load
    ADD CONSTRAINT load_name_key UNIQUE (name);

ALTER TABLE ONLY assise.load
    ADD CONSTRAINT load_pkey PRIMARY KEY (id);

ALTER TABLE ONLY assise.reject
    ADD CONSTRAINT reject_pkey PRIMARY KEY (load_id, collection, start_offset);

ALTER TABLE ONLY public.codes
    ADD CONSTRAINT codes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.order_lines
    ADD CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, _position);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_item_parts
    ADD CONSTRAINT user_item_parts_pkey PRIMARY KEY (user_id, _position, _position_2);

ALTER TABLE ONLY public.user_items
    ADD CONSTRAINT user_items_pkey PRIMARY KEY (user_id, _position);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY assise.chunk
    ADD CONSTRAINT chunk_load_id_fkey FOREIGN KEY (load_id) REFERENCES assise.load(id) ON DELETE CASCADE;

ALTER TABLE ONLY assise.collection
    ADD CONSTRAINT collection_load_id_fkey FOREIGN KEY (load_id) REFERENCES assise.load(id) ON DELETE CASCADE;

ALTER TABLE ONLY assise.repair
    ADD CONSTRAINT repair_load_id_fkey FOREIGN KEY (load_id) REFERENCES assise.load(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_item_parts
    ADD CONSTRAINT user_item_parts_user_id__position_fkey FOREIGN KEY (user_id, _position) REFERENCES public.user_items(user_id, _position) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_items
    ADD CONSTRAINT user_items_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


