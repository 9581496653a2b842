-- A bus of Holdfast on PostgreSQL: the tables and functions of one site, format 2.
--
-- PostgreSQL keeps the one order of all messages; each machine of the site applies what was committed here to its own
-- log. Machines and publishers only call functions, which run with the rights of this schema's owner; they may read and
-- write no table. The roles "@ROLE@_machine" and "@ROLE@_publisher" hold the rights to call: grant them to the roles
-- that connect.
--
-- An error that Holdfast acts on has a SQLSTATE of class HF:
--   HF001  forked: the caller has a group that is not in this log, so something was lost here
--   HF002  away: the groups after the caller's are no longer kept
--   HF003  not this site: the schema belongs to another one, or was emptied
--   HF004  the machine is not a member of this site
--   HF005  the session is set up so that the order of groups would not be the order of commits
--   HF006  the site does not adopt this history
BEGIN;
-- As this text is written, whatever the session has.
SET LOCAL client_encoding = 'UTF8';
SET LOCAL client_min_messages = warning;
-- The schema comes last in the search path from here on; everything is created in it.
DO $do$
BEGIN
    IF current_setting('server_version_num')::int < 130000 THEN
        RAISE EXCEPTION 'Holdfast needs PostgreSQL 13 or newer, this is %', current_setting('server_version');
    END IF;
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must have the encoding UTF8, and has %', current_setting('server_encoding')
            USING HINT = 'CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0';
    END IF;
    IF '@SCHEMA@' = 'public' THEN
        RAISE EXCEPTION 'the bus needs a schema of its own: its rights would be those of all that is in public';
    END IF;
    IF to_regclass('@SCHEMA@.site') IS NOT NULL THEN
        RAISE EXCEPTION 'the schema @SCHEMA@ holds a bus already'
            USING HINT = 'holdfast engine join makes a machine part of it; another bus needs another schema';
    END IF;
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('@SCHEMA@'))
        OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace('@SCHEMA@'))
    THEN
        RAISE EXCEPTION 'the schema @SCHEMA@ has tables or functions of something else, whose rights would be taken away'
            USING HINT = 'the bus needs a schema of its own';
    END IF;
    IF to_regrole('@ROLE@_machine') IS NULL THEN CREATE ROLE @ROLE@_machine NOLOGIN; END IF;
    IF to_regrole('@ROLE@_publisher') IS NULL THEN CREATE ROLE @ROLE@_publisher NOLOGIN; END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'this role may not make the roles @ROLE@_machine and @ROLE@_publisher'
        USING HINT = 'as a superuser: CREATE ROLE @ROLE@_machine NOLOGIN; CREATE ROLE @ROLE@_publisher NOLOGIN';
END
$do$;

CREATE SCHEMA IF NOT EXISTS @SCHEMA@;
REVOKE ALL ON SCHEMA @SCHEMA@ FROM PUBLIC;
GRANT USAGE ON SCHEMA @SCHEMA@ TO @ROLE@_machine, @ROLE@_publisher;
SET LOCAL search_path = @SCHEMA@, pg_catalog;
ALTER DEFAULT PRIVILEGES IN SCHEMA @SCHEMA@ REVOKE ALL ON TABLES FROM PUBLIC;

-- Which bus this is. Each machine remembers the id, and works with no other. The row never changes: every append locks
-- it until its commit is done, so the order of groups is that of commits, and no number is skipped. If each append
-- changed it, old versions of the row would stay for as long as a long transaction of the site (a dump, a report) runs,
-- and every append would have to pass them.
CREATE TABLE site (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id text NOT NULL,
    name text NOT NULL,
    format int NOT NULL,
    -- The channel of hints, which bring small entries with them. Any role that knows its name may listen and notify; so
    -- the name is random, and no statement contains it, since monitoring would show that.
    channel text NOT NULL,
    made timestamptz NOT NULL DEFAULT now()
);

-- Groups of messages, and the entries that begin an epoch (kind 1, without messages).
--
-- chain = sha256(chain before ‖ kind ‖ gid ‖ seq ‖ base ‖ count ‖ at ‖ epoch ‖ body): machines with the same seq and
-- chain have the same history. The row with the least seq is the anchor: a machine that was away begins behind it. No
-- number is missing between that one and the newest, and at never goes back.
CREATE TABLE log (
    seq bigint PRIMARY KEY,
    kind int NOT NULL,
    -- The group has the offsets from base to base + count - 1.
    base bigint NOT NULL,
    count int NOT NULL,
    -- Of the attempt to append: a repetition after a lost connection gets the outcome of the first attempt.
    gid bytea NOT NULL UNIQUE,
    epoch int NOT NULL,
    -- Milliseconds since 1970.
    at bigint NOT NULL,
    chain bytea NOT NULL,
    body bytea NOT NULL,
    firsts bigint[] NOT NULL,
    -- About how many bytes all entries up to here took: @ENTRY@ for each, and the bodies of messages.
    total bigint NOT NULL
);
-- Messages are small, or their publishers have compressed them.
ALTER TABLE log ALTER COLUMN body SET STORAGE EXTERNAL;

-- As in each machine's local log. told is how far the epoch before was told; something of that epoch at or above start
-- was lost, and all that read across the boundary are told of the gap.
CREATE TABLE epochs (
    number int PRIMARY KEY,
    name text NOT NULL UNIQUE,
    start bigint NOT NULL,
    told bigint,
    -- The entry of the log that began it.
    seq bigint NOT NULL,
    -- The server that began it: another value means a failover, or a copy that was restored.
    timeline bigint NOT NULL,
    system text NOT NULL,
    -- When, in milliseconds since 1970; 0 if it was adopted.
    at bigint NOT NULL
);

-- The end of the log, and the server of its epoch.
CREATE VIEW head AS
    SELECT l.seq, l.base + l.count - 1 AS last_offset, l.chain, l.epoch, l.at, e.timeline, e.system, l.total, e.name
    FROM (SELECT * FROM log ORDER BY seq DESC LIMIT 1) l JOIN epochs e ON e.number = l.epoch;

-- Requests of the last five minutes. Scope and digest are hashes.
CREATE TABLE keys (
    scope bytea PRIMARY KEY,
    digest bytea NOT NULL,
    first bigint NOT NULL,
    at bigint NOT NULL,
    -- In order, and without gaps at the time a number is given out.
    number bigint NOT NULL
);
CREATE INDEX ON keys (at);
CREATE INDEX ON keys (number);

-- Messages that SQL published and committed, and that are not in the log yet. Without a bound, as tables of the site are:
-- its transactions must not fail because no machine runs.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body bytea NOT NULL,
    scope bytea,
    digest bytea,
    at bigint NOT NULL
);

-- Lower bounds of what is kept, so that no statement has to pass rows that were removed but stay for a long transaction
-- of the site.
CREATE TABLE kept (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- No entry of the log before it, no key used before it, no row of the outbox before it.
    seq bigint NOT NULL,
    key_at bigint NOT NULL,
    outbox bigint NOT NULL,
    -- outbox may become this, or the least number that is left, when all transactions up to this one have ended that
    -- publish.
    outbox_next bigint NOT NULL,
    outbox_waits bigint NOT NULL,
    -- The newest offset of the history that the site adopted; 0: none.
    adopted bigint NOT NULL DEFAULT 0
);

CREATE TABLE machines (
    id text PRIMARY KEY,
    name text NOT NULL,
    joined timestamptz NOT NULL DEFAULT now(),
    -- When it last reported, how far it was then, and how many entries it lacked.
    seen timestamptz NOT NULL DEFAULT now(),
    applied bigint NOT NULL DEFAULT 0,
    behind bigint NOT NULL DEFAULT 0,
    -- Which of its processes reported then, by a random name.
    process text NOT NULL DEFAULT '',
    -- Up to this offset, its log may lack what others have.
    lacks bigint NOT NULL DEFAULT 0,
    -- How long it wants groups to be kept.
    keep_milliseconds bigint NOT NULL DEFAULT 3600000,
    keep_bytes bigint NOT NULL DEFAULT 4294967296
);

-- These five have no settings of their own, so that PostgreSQL inlines them: each call would be parsed and planned anew
-- in every transaction. The callers set the search path.
CREATE FUNCTION clock() RETURNS bigint
LANGUAGE sql VOLATILE
AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Not from pg_control_checkpoint(), which still has the former one for a while after a promotion.
CREATE FUNCTION timeline() RETURNS bigint
LANGUAGE sql VOLATILE
AS $$ SELECT ('x' || lpad(substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), 16, '0'))::bit(64)::bigint $$;

CREATE FUNCTION system() RETURNS text
LANGUAGE sql VOLATILE
AS $$ SELECT system_identifier::text FROM pg_control_system() $$;

CREATE FUNCTION random_name() RETURNS text
LANGUAGE sql VOLATILE
AS $$ SELECT substr(translate(gen_random_uuid()::text, '-', ''), 1, 8) $$;

CREATE FUNCTION sealed(
    before bytea, kind int, gid bytea, seq bigint, base bigint, count int, at bigint, epoch int, body bytea
) RETURNS bytea
LANGUAGE sql IMMUTABLE
AS $$
    SELECT sha256(
        before || int4send(kind) || gid || int8send(seq) || int8send(base) || int4send(count) || int8send(at)
        || int4send(epoch) || body
    )
$$;

CREATE FUNCTION check_site(asked text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    own text;
BEGIN
    SELECT id INTO own FROM site;
    IF own IS NULL OR (SELECT l.seq FROM log l ORDER BY l.seq DESC LIMIT 1) IS NULL THEN
        RAISE EXCEPTION 'the schema @SCHEMA@ was emptied' USING ERRCODE = 'HF003';
    END IF;
    IF own IS DISTINCT FROM asked THEN
        RAISE EXCEPTION 'the schema @SCHEMA@ holds the bus of site %, not of %', own, asked USING ERRCODE = 'HF003';
    END IF;
END
$$;

CREATE FUNCTION check_member(machine text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM machines m WHERE m.id = machine) THEN
        RAISE EXCEPTION 'machine % is not a member of this site', machine USING ERRCODE = 'HF004';
    END IF;
END
$$;

-- The least number in the log.
CREATE FUNCTION first_kept() RETURNS bigint
LANGUAGE sql STABLE SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$ SELECT min(l.seq) FROM log l WHERE l.seq >= (SELECT k.seq FROM kept k) $$;

-- Whether the log has this group; false: it is no longer kept, and taken on trust. Raises forked if the log has another
-- group in its place.
CREATE FUNCTION check_position(asked bigint, asked_chain bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    own bytea;
BEGIN
    SELECT l.chain INTO own FROM log l WHERE l.seq = asked;
    IF own = asked_chain THEN RETURN true; END IF;
    IF own IS NULL AND asked < first_kept() THEN RETURN false; END IF;
    RAISE EXCEPTION 'group % is not the one that the caller has', asked USING ERRCODE = 'HF001';
END
$$;

-- Hints to all machines that there is something new: an entry of the log with the entry itself, if it is given. Called
-- where the search path is set.
--
-- PostgreSQL keeps what a listener has not taken, up to a limit at which no transaction with a hint could commit any
-- more. If a listener does not go on, hints get smaller, and then there are none: each machine also looks without
-- hints.
CREATE FUNCTION hint(what text, entry bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    used double precision := pg_notification_queue_usage();
BEGIN
    -- PostgreSQL begins to warn at half.
    IF used >= 0.4 THEN RETURN; END IF;
    IF entry IS NOT NULL AND used < 0.01 THEN
        what := translate(encode(entry, 'base64'), E'\n', '');
    END IF;
    PERFORM pg_notify((SELECT s.channel FROM site s), what);
END
$$;

-- Takes the lock under which the log of this site is written, until the end of the transaction.
CREATE FUNCTION lock_head(asked text) RETURNS head
LANGUAGE plpgsql VOLATILE SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    own text;
    newest head;
BEGIN
    -- With a snapshot older than the lock, the caller would not see what was appended just before.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the transaction must be read committed' USING ERRCODE = 'HF005';
    END IF;
    -- Acknowledged means committed, and replicated if the server has synchronous standbys, whatever other sessions have
    -- set.
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- Writes to the server's own log, so that the commit waits for a standby even if nothing else changes.
    SELECT id INTO own FROM site FOR UPDATE;
    SELECT * INTO newest FROM head;
    IF own IS DISTINCT FROM asked THEN PERFORM check_site(asked); END IF;
    IF newest.seq IS NULL THEN
        RAISE EXCEPTION 'the schema @SCHEMA@ was emptied' USING ERRCODE = 'HF003';
    END IF;
    RETURN newest;
END
$$;

-- Begins an epoch after the newest message, under the lock.
CREATE FUNCTION begin_epoch(h head, lost boolean) RETURNS head
LANGUAGE plpgsql VOLATILE SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    name text := random_name();
    -- Something at or above start was lost; nothing below it was.
    told bigint := h.last_offset + CASE WHEN lost THEN 1 ELSE 0 END;
    gid bytea := uuid_send(gen_random_uuid());
    body bytea;
BEGIN
    h.seq := h.seq + 1;
    h.epoch := h.epoch + 1;
    h.at := greatest(h.at, clock());
    body := int8send(told) || convert_to(name, 'UTF8');
    h.chain := sealed(h.chain, 1, gid, h.seq, h.last_offset + 1, 0, h.at, h.epoch, body);
    h.timeline := timeline();
    h.system := system();
    h.total := h.total + @ENTRY@;
    h.name := name;
    INSERT INTO epochs VALUES (h.epoch, name, h.last_offset + 1, told, h.seq, h.timeline, h.system, h.at);
    INSERT INTO log VALUES (h.seq, 1, h.last_offset + 1, 0, gid, h.epoch, h.at, h.chain, body, '{}', h.total);
    PERFORM hint('', NULL);
    RETURN h;
END
$$;

-- The first call of a machine on each connection. Begins an epoch after a failover: a cursor of the epoch before stays
-- valid below its start, so clients notice the failover only if something was lost.
CREATE FUNCTION hello(
    asked_site text, machine text, keep bigint, size bigint, OUT format int, OUT name text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    h head;
BEGIN
    PERFORM check_site(asked_site);
    -- A session that only reads need not wait for a standby; an epoch does, by lock_head.
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE machines m
        SET seen = clock_timestamp(), behind = greatest(0, (SELECT max(l.seq) FROM log l) - m.applied),
            keep_milliseconds = greatest(keep, 600000), keep_bytes = greatest(size, 67108864)
        WHERE m.id = machine;
    IF NOT FOUND THEN PERFORM check_member(machine); END IF;
    SELECT * INTO h FROM head;
    IF h.timeline IS DISTINCT FROM timeline() OR h.system IS DISTINCT FROM system() THEN
        h := lock_head(asked_site);
        IF h.timeline IS DISTINCT FROM timeline() OR h.system IS DISTINCT FROM system() THEN
            PERFORM begin_epoch(h, false);
        END IF;
    END IF;
    SELECT s.format, s.name INTO format, name FROM site s;
END
$$;

-- From now on, hints come to the connection of a machine.
CREATE FUNCTION listen(asked_site text, machine text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM check_site(asked_site);
    PERFORM check_member(machine);
    EXECUTE format('LISTEN %I', (SELECT s.channel FROM site s));
END
$$;

-- Appends a group, exactly once for each gid.
--
-- A part is an append with an idempotency key, or a run of appends without: its bytes, how many offsets it takes, and
-- how many of these come before its first message (for channels that it drops). firsts has the offset of each part's
-- first message; negative: the key was used for the same request, at that offset; 0: the key was used for another
-- request.
--
-- known and known_chain are the newest group that the caller knows of (seq 0: none), so that nothing is acknowledged in a
-- log that has lost what was acknowledged before.
--
-- A group that is found by its gid, or consists of repetitions only, writes nothing but the lock. That is enough for
-- its commit to wait for what was committed before: an append that was cut off while it waited for a standby is not
-- acknowledged here before a standby has it.
CREATE FUNCTION append(
    asked_site text, asked_gid bytea, known bigint, known_chain bytea,
    bodies bytea[], offsets int[], skipped int[], scopes bytea[], digests bytea[], from_outbox int,
    OUT seq bigint, OUT base bigint, OUT count int, OUT at bigint, OUT epoch text, OUT chain bytea, OUT firsts bigint[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    h head;
    part int := 0;
    own int := coalesce(array_length(bodies, 1), 0);
    parts int := own;
    row record;
    used record;
    body bytea := '';
    total int := 0;
    results bigint[] := '{}';
    place bigint;
    keyed bigint;
    repeated bigint;
    own_chain bytea;
BEGIN
    h := lock_head(asked_site);
    SELECT (SELECT l.seq FROM log l WHERE l.gid = asked_gid), (SELECT l.chain FROM log l WHERE l.seq = known)
        INTO repeated, own_chain;
    IF repeated IS NOT NULL THEN
        SELECT l.* INTO row FROM log l WHERE l.seq = repeated;
        seq := row.seq; base := row.base; count := row.count; at := row.at; chain := row.chain;
        firsts := row.firsts;
        SELECT e.name INTO epoch FROM epochs e WHERE e.number = row.epoch;
        RETURN;
    END IF;
    IF known > 0 AND own_chain IS DISTINCT FROM known_chain THEN
        PERFORM check_position(known, known_chain);
    END IF;
    -- Behind a proxy, the server may not be the one of hello.
    IF h.timeline IS DISTINCT FROM timeline() THEN h := begin_epoch(h, false); END IF;
    h.at := greatest(h.at, clock());
    IF from_outbox > 0 THEN
        FOR row IN
            -- At most a megabyte, but at least one message, so that the transaction ends soon.
            WITH taken AS (
                DELETE FROM outbox o WHERE o.id IN (
                    SELECT f.id FROM (
                        SELECT w.id, sum(octet_length(w.body)) OVER (ORDER BY w.id) - octet_length(w.body) AS preceding
                        FROM (
                            SELECT * FROM outbox WHERE id >= (SELECT k.outbox FROM kept k) ORDER BY id LIMIT from_outbox
                        ) w
                    ) f WHERE f.preceding < 1048576
                ) RETURNING o.*
            )
            SELECT * FROM taken ORDER BY id
        LOOP
            parts := parts + 1;
            bodies[parts] := row.body;
            offsets[parts] := 1;
            skipped[parts] := 0;
            scopes[parts] := row.scope;
            digests[parts] := row.digest;
        END LOOP;
    END IF;
    WHILE part < parts LOOP
        part := part + 1;
        place := h.last_offset + 1 + total + skipped[part];
        IF scopes[part] IS NOT NULL THEN
            SELECT k.digest, k.first INTO used FROM keys k WHERE k.scope = scopes[part] AND k.at > h.at - 300000;
            IF NOT FOUND THEN
                keyed := coalesce(keyed, (SELECT max(k.number) FROM keys k), 0) + 1;
                INSERT INTO keys AS k VALUES (scopes[part], digests[part], place, h.at, keyed)
                    ON CONFLICT (scope) DO UPDATE
                    SET digest = excluded.digest, first = excluded.first, at = excluded.at, number = excluded.number;
            ELSIF used.digest = digests[part] THEN
                results := results || -used.first;
                CONTINUE;
            -- A publisher by SQL can no longer be told that the key is in use: the message is delivered rather than
            -- lost.
            ELSIF part <= own THEN
                results := results || 0::bigint;
                CONTINUE;
            END IF;
        END IF;
        results := results || place;
        body := body || bodies[part];
        total := total + offsets[part];
    END LOOP;
    base := h.last_offset + 1;
    count := total;
    at := h.at;
    epoch := h.name;
    firsts := results;
    IF total > 0 THEN
        h.seq := h.seq + 1;
        h.chain := sealed(h.chain, 0, asked_gid, h.seq, base, total, h.at, h.epoch, body);
        INSERT INTO log VALUES (
            h.seq, 0, base, total, asked_gid, h.epoch, h.at, h.chain, body, results, h.total + @ENTRY@ + octet_length(body)
        );
        -- Small entries only: hints go through a queue, and large ones would be copied for nothing.
        PERFORM hint('', CASE WHEN octet_length(body) <= 1416 THEN
            int8send(h.seq) || int4send(0) || int8send(base) || int4send(total) || int8send(h.at)
            || int4send(h.epoch) || asked_gid || h.chain || body
        END);
    END IF;
    seq := h.seq;
    chain := h.chain;
END
$$;

-- The groups after the caller's position, oldest first, of about this many bytes: at least one if there is any.
CREATE FUNCTION read(asked_site text, known bigint, known_chain bytea, most_bytes bigint, most_groups int)
RETURNS TABLE (
    seq bigint, kind int, base bigint, count int, gid bytea, epoch int, at bigint, chain bytea, body bytea, now bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    own record;
BEGIN
    -- Nearly always the next entry follows, which one look-up shows.
    SELECT s.id, l.chain, l.total INTO own FROM site s LEFT JOIN log l ON l.seq = known;
    IF own.id IS DISTINCT FROM asked_site OR own.chain IS DISTINCT FROM known_chain THEN
        PERFORM check_site(asked_site);
        IF NOT check_position(known, known_chain) THEN
            RAISE EXCEPTION 'the groups after % are no longer kept', known USING ERRCODE = 'HF002';
        END IF;
    END IF;
    RETURN QUERY
        SELECT l.seq, l.kind, l.base, l.count, l.gid, l.epoch, l.at, l.chain, l.body, clock() FROM log l
        WHERE l.seq > known AND l.seq <= known + most_groups
            -- total counts the entry itself, too.
            AND (l.seq = known + 1 OR l.total - octet_length(l.body) - own.total < most_bytes)
        ORDER BY l.seq;
END
$$;

-- The end of the log, whether SQL published something that is not in it, and the name of the current epoch.
CREATE FUNCTION look(
    asked_site text, machine text DEFAULT NULL, OUT seq bigint, OUT last_offset bigint, OUT at bigint, OUT now bigint,
    OUT epoch text, OUT has_outbox boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM check_site(asked_site);
    -- A connection of a machine that was dismissed meanwhile learns of it, too.
    IF machine IS NOT NULL THEN PERFORM check_member(machine); END IF;
    SELECT h.seq, h.last_offset, h.at, clock(), h.name INTO seq, last_offset, at, now, epoch FROM head h;
    has_outbox :=
        (SELECT o.id FROM outbox o WHERE o.id >= (SELECT k.outbox FROM kept k) ORDER BY o.id LIMIT 1) IS NOT NULL;
END
$$;

-- Where a machine begins that has nothing, or was away for too long: after the oldest group that is kept.
CREATE FUNCTION anchor(
    asked_site text, OUT seq bigint, OUT chain bytea, OUT last_offset bigint,
    OUT names text[], OUT starts bigint[], OUT tolds bigint[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM check_site(asked_site);
    SELECT l.seq, l.chain, l.base + l.count - 1 INTO seq, chain, last_offset FROM log l WHERE l.seq = first_kept();
    SELECT array_agg(e.name ORDER BY e.number), array_agg(e.start ORDER BY e.number),
        array_agg(e.told ORDER BY e.number)
        INTO names, starts, tolds FROM epochs e WHERE e.seq <= anchor.seq;
END
$$;

-- The newest of these positions that this log has; none: the caller begins at the anchor.
CREATE FUNCTION common(asked_site text, known bigint[], chains bytea[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM check_site(asked_site);
    RETURN (
        SELECT max(l.seq) FROM unnest(known, chains) AS k (seq, chain) JOIN log l ON l.seq = k.seq AND l.chain = k.chain
    );
END
$$;

-- Reports that something was lost that the caller has seen: begins an epoch that tells all that read across its start,
-- once for each loss. The caller says what it knows: common is the newest entry that both have (from a machine, which
-- remembers its positions), or seen the name of the epoch in which it got what is gone (from a publisher). Without
-- either, an epoch begins in any case. newest is when the newest of what is gone was appended: an epoch that began
-- before has not told of it, for example if the former primary went on beside the new one.
--
-- An epoch with a loss after common, or later than seen, has told of it: seen was still current where the histories
-- part, so all later epochs belong to this history alone, and a cursor of seen, or of an earlier one, is told of each.
CREATE FUNCTION fork(asked_site text, common bigint, seen text, newest bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    h head;
BEGIN
    h := lock_head(asked_site);
    IF NOT EXISTS (
        SELECT FROM epochs e
        WHERE e.told >= e.start AND e.at >= newest
            AND (e.seq > common OR e.number > (SELECT s.number FROM epochs s WHERE s.name = seen))
    ) THEN
        PERFORM begin_epoch(h, true);
    END IF;
END
$$;

-- Notes how far a machine is, and removes what no machine needs any more, a portion at a time. Returns which process of
-- the machine reported before this one: each has a name, and only one follows at a time.
CREATE FUNCTION tend(asked_site text, machine text, reached bigint, follower text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    keep bigint;
    size bigint;
    h head;
    noted kept;
    k kept;
    low bigint;
    high bigint;
    middle bigint;
    row record;
    present bigint := clock();
    newest bigint;
    given bigint;
    newest_xid bigint;
    is_late boolean;
    former text;
BEGIN
    PERFORM check_site(asked_site);
    -- Before this transaction has a number: a transaction that has one of these in the outbox has an earlier number.
    IF pg_current_xact_id_if_assigned() IS NULL THEN
        SELECT last_value INTO given FROM outbox_id_seq;
    END IF;
    -- A session that only reads need not wait for a standby.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT process INTO former FROM machines WHERE id = machine;
    UPDATE machines SET seen = clock_timestamp(), applied = reached,
        behind = greatest(0, (SELECT max(l.seq) FROM log l) - reached), process = follower
        WHERE id = machine;
    IF NOT FOUND THEN PERFORM check_member(machine); END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('@SCHEMA@', 0)) THEN RETURN former; END IF;
    SELECT greatest(600000, max(keep_milliseconds)), max(keep_bytes) INTO keep, size
        FROM machines WHERE seen > now() - interval '1 day';
    SELECT * INTO h FROM head;
    SELECT * INTO noted FROM kept;
    k := noted;
    k.seq := first_kept();
    -- The newest entry that is old enough, or has enough bytes after it, stays as the anchor: found by bisection.
    low := k.seq;
    high := h.seq;
    WHILE low < high LOOP
        middle := low + (high - low + 1) / 2;
        SELECT l.at, l.total INTO row FROM log l WHERE l.seq = middle;
        -- Not while a publisher may still repeat an append.
        IF row.at < present - keep OR (h.total - row.total >= size AND row.at < present - 60000) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    -- About 16 megabytes, but at least one entry.
    DELETE FROM log l WHERE l.seq >= k.seq AND l.seq < least(low, k.seq + 2000)
        AND l.total < 16777216 + (SELECT o.total FROM log o WHERE o.seq = k.seq);
    k.seq := (SELECT min(seq) FROM log WHERE seq >= k.seq);
    -- Keys that an append is using are left for the next time: the two would wait for each other.
    DELETE FROM keys WHERE scope IN (
        SELECT scope FROM keys WHERE at >= k.key_at AND at <= present - 300000 ORDER BY at LIMIT 5000
            FOR UPDATE SKIP LOCKED
    );
    newest := (SELECT max(number) FROM keys);
    IF newest - (SELECT number FROM keys WHERE at >= k.key_at ORDER BY at LIMIT 1) >= 1000000 THEN
        DELETE FROM keys WHERE scope IN (
            SELECT scope FROM keys WHERE number <= newest - 1000000 ORDER BY number LIMIT 20000 FOR UPDATE SKIP LOCKED
        );
    END IF;
    k.key_at := coalesce((SELECT min(at) FROM keys WHERE at >= k.key_at), k.key_at);
    -- The numbers begin anew, as in a copy of the tables without their sequence: nothing of the outbox is passed over.
    IF given < k.outbox THEN
        k.outbox := 0;
        k.outbox_next := 0;
    END IF;
    -- Numbers of the outbox are committed in any order, by transactions that may run for long.
    IF k.outbox_next > k.outbox THEN
        -- A transaction that publishes has locked the table, and its number, until its rows are visible or gone: to the next
        -- statement here, which has a snapshot of its own. What else runs for long in the server does not matter. Numbers
        -- have 32 bits there.
        newest_xid := pg_current_xact_id()::text::bigint;
        is_late := current_setting('transaction_isolation') <> 'read committed' OR EXISTS (
            SELECT FROM pg_locks t JOIN pg_locks x USING (virtualtransaction)
            WHERE t.relation = 'outbox'::regclass
                AND t.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                AND x.locktype = 'transactionid' AND x.granted
                AND (newest_xid - x.transactionid::text::bigint) & 4294967295
                    BETWEEN newest_xid - k.outbox_waits AND 2147483647
        );
    END IF;
    IF k.outbox_next > k.outbox AND NOT is_late THEN
        k.outbox := least(
            k.outbox_next, coalesce((SELECT min(id) FROM outbox WHERE id >= k.outbox), k.outbox_next)
        );
        k.outbox_next := k.outbox;
    ELSIF k.outbox_next = k.outbox AND given - k.outbox >= 5000 THEN
        k.outbox_next := given;
        k.outbox_waits := pg_current_xact_id()::text::bigint;
    END IF;
    -- Seldom, since each change leaves an old version here, too.
    IF k.seq - noted.seq >= 5000 OR k.key_at - noted.key_at >= 30000 OR k.outbox <> noted.outbox
        OR k.outbox_next <> noted.outbox_next
    THEN
        UPDATE kept SET seq = k.seq, key_at = k.key_at, outbox = k.outbox, outbox_next = k.outbox_next,
            outbox_waits = k.outbox_waits;
    END IF;
    RETURN former;
END
$$;

-- What SQL published and no machine has taken yet: about how many messages, and how long the oldest has waited.
CREATE FUNCTION backlog(asked_site text, OUT messages bigint, OUT age bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    oldest record;
BEGIN
    PERFORM check_site(asked_site);
    SELECT o.id, o.at INTO oldest FROM outbox o WHERE o.id >= (SELECT k.outbox FROM kept k) ORDER BY o.id LIMIT 1;
    messages := coalesce((SELECT max(o.id) FROM outbox o) - oldest.id + 1, 0);
    age := coalesce(greatest(0, clock() - oldest.at), 0);
END
$$;

-- The machines of the site. seen is how many milliseconds ago each reported, applied how far it was then, and behind
-- how many entries it lacked then.
CREATE FUNCTION members(asked_site text)
RETURNS TABLE (id text, name text, applied bigint, behind bigint, seen bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM check_site(asked_site);
    RETURN QUERY
        SELECT m.id, m.name, m.applied, m.behind, (extract(epoch FROM clock_timestamp() - m.seen) * 1000)::bigint
        FROM machines m ORDER BY m.name, m.id;
END
$$;

-- Notes up to where a machine's log may lack what others have, and returns the same of all machines, and when each last
-- reported, which is to be compared with the value before, not with a clock.
CREATE FUNCTION roll(asked_site text, machine text, lacking bigint)
RETURNS TABLE (id text, seen bigint, lacks bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM check_site(asked_site);
    -- A session that only reads need not wait for a standby.
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE machines m SET lacks = lacking WHERE m.id = machine AND m.lacks <> lacking;
    RETURN QUERY
        SELECT m.id, floor(extract(epoch FROM m.seen) * 1000000)::bigint, m.lacks FROM machines m ORDER BY m.id;
END
$$;

-- The id of this site, for a caller that does not know it yet.
CREATE FUNCTION identify(OUT id text, OUT name text, OUT format int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    SELECT s.id, s.name, s.format INTO id, name, format FROM site s;
    PERFORM check_site(id);
END
$$;

-- Makes a machine a member, and returns the site's id.
CREATE FUNCTION enlist(machine text, machine_name text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    own text;
BEGIN
    SELECT id INTO own FROM site;
    PERFORM check_site(own);
    INSERT INTO machines (id, name, behind) VALUES (machine, machine_name, (SELECT max(l.seq) FROM log l))
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen = clock_timestamp(),
            behind = greatest(0, excluded.behind - machines.applied);
    RETURN own;
END
$$;

-- Makes the history of a machine that was a bus of its own the history of the site, and the machine its only member, so
-- that the cursors of its clients are valid on all machines. Returns the chain after which its log goes on, as group 0.
--
-- Only while nothing was published here and no other machine is a member. A caller that does not know the outcome
-- repeats the call: the same history has the same outcome, whichever machines joined and published meanwhile. tolds has
-- -1 for unknown.
CREATE FUNCTION adopt(
    asked_site text, machine text, machine_name text,
    newest bigint, names text[], starts bigint[], tolds bigint[]
) RETURNS bytea
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    h head;
    first bytea;
    other text;
    gid bytea := uuid_send(gen_random_uuid());
    body bytea;
BEGIN
    PERFORM check_site(asked_site);
    -- A machine that joins meanwhile waits, and then begins with the history; this lock comes before the other one, as
    -- in hello.
    LOCK TABLE machines IN SHARE ROW EXCLUSIVE MODE;
    h := lock_head(asked_site);
    SELECT l.chain INTO first FROM log l WHERE l.seq = 0;
    IF newest = (SELECT k.adopted FROM kept k) AND EXISTS (SELECT FROM machines m WHERE m.id = machine) AND (
        SELECT array_agg(e.name ORDER BY e.number) = names AND array_agg(e.start ORDER BY e.number) = starts
            AND array_agg(coalesce(e.told, -1) ORDER BY e.number) = tolds
        FROM epochs e WHERE e.seq = 0
    ) THEN
        -- If the place is no longer kept, the machine begins anew, like one that was away.
        RETURN coalesce(first, sha256(convert_to(asked_site, 'UTF8')));
    END IF;
    SELECT m.name INTO other FROM machines m WHERE m.id <> machine ORDER BY m.joined LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'machine % is part of the site already, which adopts the history of its first machine only', other
            USING ERRCODE = 'HF006';
    END IF;
    IF h.last_offset > (SELECT k.adopted FROM kept k) THEN
        RAISE EXCEPTION 'something was published in the site already, which has a history of its own'
            USING ERRCODE = 'HF006';
    END IF;
    IF coalesce(newest, 0) < 1 OR coalesce(cardinality(names), 0) = 0
        OR cardinality(names) IS DISTINCT FROM cardinality(starts)
        OR cardinality(names) IS DISTINCT FROM cardinality(tolds) OR starts[cardinality(starts)] > newest + 1
    THEN
        RAISE EXCEPTION 'this is not the history of a log' USING ERRCODE = 'HF006';
    END IF;
    INSERT INTO machines (id, name) VALUES (machine, machine_name)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen = clock_timestamp(), applied = 0, behind = 0;
    DELETE FROM log;
    DELETE FROM epochs;
    INSERT INTO epochs (number, name, start, told, seq, timeline, system, at)
        SELECT u.number, u.name, u.start, nullif(u.told, -1), 0, timeline(), system(), 0
        FROM unnest(names, starts, tolds) WITH ORDINALITY AS u (name, start, told, number);
    h.epoch := cardinality(names);
    h.at := greatest(h.at, clock());
    body := int8send(tolds[h.epoch]) || convert_to(names[h.epoch], 'UTF8');
    h.chain := sealed(h.chain, 1, gid, 0, newest + 1, 0, h.at, h.epoch, body);
    INSERT INTO log VALUES (0, 1, newest + 1, 0, gid, h.epoch, h.at, h.chain, body, '{}', h.total);
    UPDATE kept SET seq = 0, adopted = newest;
    first := h.chain;
    h.seq := 0;
    h.last_offset := newest;
    -- The machine may never learn of the outcome, and go on alone in its epoch.
    PERFORM begin_epoch(h, false);
    RETURN first;
END
$$;

CREATE FUNCTION dismiss(asked_site text, machine text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM check_site(asked_site);
    DELETE FROM machines WHERE id = machine;
    RETURN FOUND;
END
$$;

-- Publishes in the caller's transaction: delivered if and only if that commits. It holds no lock of the bus meanwhile.
-- The text of a function is read as the session reads strings, in which \ may stand for something else.
CREATE FUNCTION put(
    channel text, kind int, body bytea, content_type text, type text, ttl int, topic text, key text, publisher text
) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = @SCHEMA@, pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    record bytea;
    scope bytea;
    -- Length and bytes; a length of -1 means absent.
    named bytea := int4send(octet_length(channel)) || convert_to(channel, 'UTF8');
BEGIN
    IF channel IS NULL OR octet_length(channel) > 128 OR channel !~ '^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$'
        OR channel ~ '(^|/)\.\.?(/|$)' OR channel ~ '^(~|-(/|$))'
    THEN
        RAISE EXCEPTION 'a channel name has 1 to 128 of A-Z a-z 0-9 . _ - ~ in segments separated by /, not "%"', channel
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF body IS NULL OR octet_length(body) > 1048576 THEN
        RAISE EXCEPTION 'a message has at most 1048576 bytes, and is not null' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF content_type IS NULL OR length(content_type) > 255
        OR content_type !~ '^[!#$%&''*+.^_`|~0-9A-Za-z-]+/[!#$%&''*+.^_`|~0-9A-Za-z-]+( *; *[!-:<-~]+)*$'
    THEN
        RAISE EXCEPTION 'content_type must be type/subtype, with parameters such as ;charset=utf-8 if needed'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(type) NOT BETWEEN 1 AND 64 OR type ~ '[\u0001-\u001f\u007f-\u009f]'
        OR type IN ('error', 'open', 'hello', 'gap', 'bye')
    THEN
        RAISE EXCEPTION 'type must have 1 to 64 bytes and no control characters, and be no reserved word'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF topic !~ '^[!#$%&''*+.^_`|~0-9A-Za-z-]{1,64}$' THEN
        RAISE EXCEPTION 'topic must have 1 to 64 of ASCII letters, digits and !#$%%&''*+-.^_`|~'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF ttl < 1 THEN
        RAISE EXCEPTION 'ttl must be at least 1 second' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF key !~ '^[!-~]{1,255}$' THEN
        RAISE EXCEPTION 'key must have 1 to 255 visible ASCII characters' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    record := '\x01'::bytea || named || int4send(kind)
        || int4send(octet_length(content_type)) || convert_to(content_type, 'UTF8')
        || coalesce(int4send(octet_length(type)) || convert_to(type, 'UTF8'), int4send(-1))
        || coalesce(int4send(octet_length(topic)) || convert_to(topic, 'UTF8'), int4send(-1))
        || int4send(coalesce(ttl, -1)) || int4send(octet_length(body)) || body;
    IF key IS NOT NULL THEN
        scope := sha256(convert_to(format('sql %s %s %s %s', octet_length(publisher), publisher, key, channel), 'UTF8'));
    END IF;
    -- Before the row has its number: whatever sees that this transaction has ended sees the row.
    PERFORM pg_current_xact_id();
    INSERT INTO outbox (body, scope, digest, at)
        VALUES (record, scope, CASE WHEN scope IS NOT NULL THEN sha256(record) END, clock());
    PERFORM hint('outbox', NULL);
END
$$;

-- JSON by the rules for all publishers (JSONText): the grammar, and nothing that some parsers of subscribers do not read
-- although the grammar allows it.
CREATE FUNCTION check_json(body text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = @SCHEMA@, pg_catalog, pg_temp SET standard_conforming_strings = on
AS $$
DECLARE
    wrong text;
    -- Without the contents of strings.
    bare text;
    brackets text;
    number text;
BEGIN
    -- put refuses it.
    IF body IS NULL OR octet_length(body) > 1048576 THEN RETURN; END IF;
    BEGIN
        PERFORM body::json;
    EXCEPTION
        WHEN statement_too_complex THEN
            wrong := 'the JSON has more than @JSON_DEPTH@ levels of nested brackets, which many parsers refuse';
        WHEN invalid_text_representation OR untranslatable_character THEN
            RAISE EXCEPTION 'the body is not JSON: %', SQLERRM
                USING ERRCODE = 'invalid_parameter_value', HINT = 'content_type => ''text/plain'' publishes text';
    END;
    IF wrong IS NULL THEN
        bare := regexp_replace(body, '"(?:[^"\\]|\\.)*"', '""', 'g');
        brackets := regexp_replace(bare, '[^][{}]+', '', 'g');
        IF length(brackets) > 2 * @JSON_DEPTH@ AND (
            SELECT max(d.depth) > @JSON_DEPTH@ FROM (
                SELECT sum(CASE WHEN b.c IN ('[', '{') THEN 1 ELSE -1 END) OVER (ORDER BY b.n) AS depth
                FROM unnest(string_to_array(brackets, NULL)) WITH ORDINALITY AS b (c, n)
            ) d
        ) THEN
            wrong := 'the JSON has more than @JSON_DEPTH@ levels of nested brackets, which many parsers refuse';
        END IF;
    END IF;
    -- Without an exponent, so few digits are not beyond a double.
    IF wrong IS NULL AND (length(bare) > @JSON_NUMBER@ OR bare ~ '[0-9][eE][+0-9]') THEN
        FOR number IN
            SELECT m[1] FROM regexp_matches(bare, '[-+.0-9eE]+', 'g') AS m
            WHERE length(m[1]) > @JSON_NUMBER@ OR m[1] ~ '[0-9][eE][+0-9]'
        LOOP
            IF length(number) > @JSON_NUMBER@ THEN
                wrong := 'the JSON contains a number of more than @JSON_NUMBER@ characters';
                EXIT;
            END IF;
            BEGIN
                PERFORM number::float8;
            EXCEPTION WHEN numeric_value_out_of_range THEN
                wrong := 'the JSON contains a number larger than a double can represent (about 1e308)';
                EXIT;
            END;
        END LOOP;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION '%', wrong USING ERRCODE = 'invalid_parameter_value', HINT = 'publish it as a string';
    END IF;
    -- What is left without escaped backslashes and whole pairs.
    IF body ~ '\\u[dD][89a-fA-F]' AND regexp_replace(
        replace(body, '\\', '_'), '\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '', 'g'
    ) ~ '\\u[dD][89a-fA-F]' THEN
        RAISE EXCEPTION 'the JSON contains half a surrogate pair as an escape, which is not a character'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'write both halves, such as \ud83d\ude00';
    END IF;
END
$$;

CREATE FUNCTION publish(
    channel text, body text, content_type text DEFAULT 'application/json', type text DEFAULT NULL, ttl int DEFAULT NULL,
    topic text DEFAULT NULL, key text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
DECLARE
    kind int := 1;
BEGIN
    -- Whatever charset it names, what a database has as text is converted below.
    IF lower(btrim(split_part(content_type, ';', 1))) = 'application/json' THEN
        PERFORM check_json(body);
        -- Line breaks stand between tokens only.
        body := translate(body, E'\r\n', '  ');
        kind := 0;
        content_type := 'application/json';
    ELSIF content_type = 'text/plain' THEN
        content_type := 'text/plain; charset=utf-8';
    END IF;
    PERFORM put(
        channel, kind, convert_to(body, 'UTF8'), content_type, type, ttl, topic, key, session_user::text
    );
END
$$;

CREATE FUNCTION publish(
    channel text, body jsonb, type text DEFAULT NULL, ttl int DEFAULT NULL, topic text DEFAULT NULL,
    key text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM check_json(body::text);
    PERFORM put(
        channel, 0, convert_to(body::text, 'UTF8'), 'application/json', type, ttl, topic, key, session_user::text
    );
END
$$;

CREATE FUNCTION publish_bytes(
    channel text, body bytea, content_type text DEFAULT 'application/octet-stream', type text DEFAULT NULL,
    ttl int DEFAULT NULL, topic text DEFAULT NULL, key text DEFAULT NULL
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = @SCHEMA@, pg_catalog, pg_temp
AS $$ SELECT put(channel, 2, body, content_type, type, ttl, topic, key, session_user::text) $$;

REVOKE ALL ON ALL TABLES IN SCHEMA @SCHEMA@ FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @SCHEMA@ FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hello, listen, append, read, look, anchor, common, fork, tend, backlog, roll, members, identify, enlist, dismiss TO @ROLE@_machine;
GRANT EXECUTE ON FUNCTION adopt TO @ROLE@_machine;
GRANT EXECUTE ON FUNCTION
    publish(text, text, text, text, int, text, text), publish(text, jsonb, text, int, text, text), publish_bytes
    TO @ROLE@_publisher;

SET LOCAL standard_conforming_strings = on;
INSERT INTO site (id, name, format, channel) VALUES (
    translate(gen_random_uuid()::text, '-', ''), '@NAME@', 2,
    'holdfast_' || translate(gen_random_uuid()::text, '-', '')
);

DO $do$
DECLARE
    first text := random_name();
    gid bytea := uuid_send(gen_random_uuid());
    body bytea := int8send(-1) || convert_to(first, 'UTF8');
    at bigint := clock();
    chain bytea := sealed(sha256(convert_to((SELECT id FROM site), 'UTF8')), 1, gid, 0, 1, 0, at, 1, body);
BEGIN
    INSERT INTO log VALUES (0, 1, 1, 0, gid, 1, at, chain, body, '{}', 0);
    INSERT INTO epochs VALUES (1, first, 1, NULL, 0, timeline(), system(), at);
    INSERT INTO kept (seq, key_at, outbox, outbox_next, outbox_waits) VALUES (0, 0, 0, 0, 0);
END
$do$;
COMMIT;
