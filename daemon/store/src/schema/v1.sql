-- Version 1. Times are milliseconds since 1970 UTC, except those of occurrences, runs and attempts (and what repeats
-- them), which are microseconds and marked µs. Ids are UUIDs as text. A column is named like the field that it holds.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The current revision of every schedule, deleted ones included. `definition` is the truth; the generated columns only
-- show its fields. Durations are seconds.
CREATE TABLE schedules (
  id                TEXT PRIMARY KEY NOT NULL,
  owner             INTEGER NOT NULL,
  name              TEXT NOT NULL,
  revision          INTEGER NOT NULL,
  enabled           INTEGER NOT NULL,
  definition        TEXT NOT NULL,
  trigger_class     TEXT NOT NULL,               -- how a set clock moves the mark: fixed interval every reboot none
  mark              INTEGER NOT NULL,            -- µs
  next_due          INTEGER,                     -- µs
  runs              INTEGER NOT NULL DEFAULT 0,
  failures_in_a_row INTEGER NOT NULL DEFAULT 0,
  last_success_at   INTEGER,                     -- µs
  last_run          TEXT,
  last_status       TEXT,
  last_reason       TEXT,
  last_ended_at     INTEGER,                     -- µs
  last_duration_us  INTEGER,
  fired_boot        TEXT,
  deleted_at        INTEGER,
  owner_name        TEXT GENERATED ALWAYS AS (definition ->> '$.owner_name') VIRTUAL,
  "trigger"         TEXT GENERATED ALWAYS AS (definition ->> '$.trigger') VIRTUAL,
  timezone          TEXT GENERATED ALWAYS AS (definition ->> '$.timezone') VIRTUAL,
  created_at        INTEGER GENERATED ALWAYS AS ((definition ->> '$.created_at_us') / 1000) VIRTUAL,
  trigger_since     INTEGER GENERATED ALWAYS AS ((definition ->> '$.trigger_since_us') / 1000) VIRTUAL,
  command           TEXT GENERATED ALWAYS AS (definition ->> '$.command') VIRTUAL,
  shell             TEXT GENERATED ALWAYS AS (definition ->> '$.shell') VIRTUAL,
  user              TEXT GENERATED ALWAYS AS (definition ->> '$.user') VIRTUAL,
  "group"           TEXT GENERATED ALWAYS AS (definition ->> '$.group') VIRTUAL,
  cwd               TEXT GENERATED ALWAYS AS (definition ->> '$.cwd') VIRTUAL,
  env               TEXT GENERATED ALWAYS AS (definition ->> '$.env') VIRTUAL,
  umask             INTEGER GENERATED ALWAYS AS (definition ->> '$.umask') VIRTUAL,
  stdin             TEXT GENERATED ALWAYS AS (definition ->> '$.stdin') VIRTUAL,
  paused_reason     TEXT GENERATED ALWAYS AS (definition ->> '$.paused.reason') VIRTUAL,
  paused_until      INTEGER GENERATED ALWAYS AS ((definition ->> '$.paused.until_us') / 1000) VIRTUAL,
  overlap           TEXT GENERATED ALWAYS AS (definition ->> '$.overlap') VIRTUAL,
  queue_limit       INTEGER GENERATED ALWAYS AS (definition ->> '$.queue_limit') VIRTUAL,
  catch_up          TEXT GENERATED ALWAYS AS (definition ->> '$.catch_up') VIRTUAL,
  catch_up_max      INTEGER GENERATED ALWAYS AS (definition ->> '$.catch_up_max') VIRTUAL,
  catch_up_window   REAL GENERATED ALWAYS AS (definition ->> '$.catch_up_window') VIRTUAL,
  start_deadline    REAL GENERATED ALWAYS AS (definition ->> '$.start_deadline') VIRTUAL,
  jitter            REAL GENERATED ALWAYS AS (definition ->> '$.jitter') VIRTUAL,
  jitter_mode       TEXT GENERATED ALWAYS AS (definition ->> '$.jitter_mode') VIRTUAL,
  timeout           REAL GENERATED ALWAYS AS (definition ->> '$.timeout') VIRTUAL,
  kill_grace        REAL GENERATED ALWAYS AS (definition ->> '$.kill_grace') VIRTUAL,
  retries           TEXT GENERATED ALWAYS AS (definition ->> '$.retries') VIRTUAL,
  retry_lost        INTEGER GENERATED ALWAYS AS (definition ->> '$.retry_lost') VIRTUAL,
  limits            TEXT GENERATED ALWAYS AS (definition ->> '$.limits') VIRTUAL,
  success_codes     TEXT GENERATED ALWAYS AS (definition ->> '$.success_codes') VIRTUAL,
  pause_after_failures INTEGER GENERATED ALWAYS AS (definition ->> '$.pause_after_failures') VIRTUAL,
  "after"           TEXT GENERATED ALWAYS AS (definition ->> '$.after') VIRTUAL,
  keep              TEXT GENERATED ALWAYS AS (definition ->> '$.keep') VIRTUAL,
  sandbox           TEXT GENERATED ALWAYS AS (definition ->> '$.sandbox') VIRTUAL,
  output_limit      INTEGER GENERATED ALWAYS AS (definition ->> '$.output_limit') VIRTUAL,
  journal           INTEGER GENERATED ALWAYS AS (definition ->> '$.journal') VIRTUAL,
  tags              TEXT GENERATED ALWAYS AS (definition ->> '$.tags') VIRTUAL,
  description       TEXT GENERATED ALWAYS AS (definition ->> '$.description') VIRTUAL,
  file              TEXT GENERATED ALWAYS AS (definition ->> '$.file') VIRTUAL
) STRICT;
CREATE UNIQUE INDEX schedules_name ON schedules (owner, name) WHERE deleted_at IS NULL;
CREATE INDEX schedules_due ON schedules (next_due, id, mark, deleted_at) WHERE next_due IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX schedules_reboot ON schedules (id) WHERE trigger_class = 'reboot' AND deleted_at IS NULL;
CREATE INDEX schedules_after ON schedules (id) WHERE "after" IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX schedules_file ON schedules (file, id) WHERE file IS NOT NULL AND deleted_at IS NULL;

-- Revisions before the current one, which runs may still refer to.
CREATE TABLE schedule_versions (
  schedule_id TEXT NOT NULL REFERENCES schedules (id),
  revision    INTEGER NOT NULL,
  definition  TEXT NOT NULL,
  replaced_at INTEGER NOT NULL,
  PRIMARY KEY (schedule_id, revision)
) STRICT;

-- Which trigger was in force when: what an audit recomputes the due instants from.
CREATE TABLE schedule_triggers (
  schedule_id TEXT NOT NULL REFERENCES schedules (id),
  valid_from  INTEGER NOT NULL,                  -- µs
  from_epoch  INTEGER NOT NULL,                  -- clock epoch of valid_from
  valid_to    INTEGER,                           -- µs; NULL: in force
  to_epoch    INTEGER,
  "trigger"   TEXT NOT NULL,
  timezone    TEXT,
  kind        TEXT NOT NULL,
  anchor      INTEGER,                           -- µs
  revision    INTEGER NOT NULL,
  PRIMARY KEY (schedule_id, from_epoch, valid_from)
) STRICT, WITHOUT ROWID;

-- The ledger: one row for every due instant. The primary key is the promise that none is decided twice.
CREATE TABLE occurrences (
  schedule_id TEXT NOT NULL REFERENCES schedules (id),
  due_at      INTEGER NOT NULL,                  -- µs
  clock_epoch INTEGER NOT NULL,
  decision    TEXT NOT NULL CHECK (decision IN ('planned', 'run', 'skipped', 'coalesced')),
  detail      TEXT,
  run_id      TEXT,
  "trigger"   TEXT,
  decided_at  INTEGER,                           -- µs
  PRIMARY KEY (schedule_id, due_at, clock_epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX occurrences_planned ON occurrences (due_at) WHERE decision = 'planned';

-- Instants without a row of their own, as numbers.
CREATE TABLE occurrence_summaries (
  schedule_id TEXT PRIMARY KEY NOT NULL REFERENCES schedules (id),
  first_due   INTEGER NOT NULL,                  -- µs
  last_due    INTEGER NOT NULL,                  -- µs
  run         INTEGER NOT NULL DEFAULT 0,
  coalesced   INTEGER NOT NULL DEFAULT 0,
  skipped     INTEGER NOT NULL DEFAULT 0,
  skipped_paused   INTEGER NOT NULL DEFAULT 0,
  skipped_overlap  INTEGER NOT NULL DEFAULT 0,
  skipped_deadline INTEGER NOT NULL DEFAULT 0,
  skipped_catch_up INTEGER NOT NULL DEFAULT 0,
  skipped_quiesced INTEGER NOT NULL DEFAULT 0,
  skipped_limit    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  id                TEXT PRIMARY KEY NOT NULL,
  schedule_id       TEXT NOT NULL REFERENCES schedules (id),
  schedule          TEXT NOT NULL,
  revision          INTEGER NOT NULL,
  kind              TEXT NOT NULL,
  owner             INTEGER NOT NULL,
  user              TEXT NOT NULL,
  "trigger"         TEXT NOT NULL,
  catch_up          INTEGER NOT NULL,            -- 1: the instant had been missed
  due_at            INTEGER NOT NULL,            -- µs, like all times of this table
  clock_epoch       INTEGER NOT NULL,
  asked_by          TEXT NOT NULL,
  status            TEXT NOT NULL,
  reason            TEXT,
  message           TEXT,
  queued_at         INTEGER NOT NULL,
  started_at        INTEGER,
  ended_at          INTEGER,
  attempts          INTEGER NOT NULL,
  retry_at          INTEGER,
  exit_code         INTEGER,
  signal            INTEGER,
  cpu_us            INTEGER NOT NULL,
  memory_peak_bytes INTEGER,
  io_read_bytes     INTEGER,
  io_write_bytes    INTEGER,
  output_bytes      INTEGER NOT NULL,
  stderr_tail       TEXT NOT NULL,
  host              TEXT NOT NULL,
  pid               INTEGER,
  start_ticks       INTEGER,
  boot_id           TEXT
) STRICT;
CREATE INDEX runs_schedule ON runs (schedule_id, id);
CREATE INDEX runs_owner ON runs (owner, id);
CREATE INDEX runs_unfinished ON runs (id) WHERE status IN ('queued', 'starting', 'running');
CREATE INDEX runs_failed ON runs (id) WHERE status = 'failed';

CREATE TABLE tasks (
  run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  status     TEXT NOT NULL,
  started_at INTEGER,                            -- µs
  ended_at   INTEGER,                            -- µs
  attempts   INTEGER NOT NULL,
  PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  run_id            TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  attempt           INTEGER NOT NULL,
  started_at        INTEGER NOT NULL,            -- µs
  ended_at          INTEGER,                     -- µs
  outcome           TEXT,
  exit_code         INTEGER,
  signal            INTEGER,
  failure           TEXT,                        -- class of a start failure
  message           TEXT,
  cpu_us            INTEGER,
  memory_peak_bytes INTEGER,
  io_read_bytes     INTEGER,
  io_write_bytes    INTEGER,
  output_bytes      INTEGER,
  dropped_bytes     INTEGER,
  stderr_tail       TEXT,
  pid               INTEGER,
  start_ticks       INTEGER,
  boot_id           TEXT,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  seq            INTEGER PRIMARY KEY AUTOINCREMENT,
  id             TEXT NOT NULL UNIQUE,
  type           TEXT NOT NULL,
  severity       TEXT NOT NULL,
  source         TEXT NOT NULL,
  message        TEXT NOT NULL,
  stack_id       TEXT,
  stack          TEXT,
  agent          TEXT,
  run_id         TEXT,
  task           TEXT,
  user           TEXT,
  data           TEXT NOT NULL,
  timestamp      INTEGER NOT NULL,
  created_at     INTEGER NOT NULL,
  processed_at   INTEGER,
  status         TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
  error          TEXT,
  correlation_id TEXT,
  trace_id       TEXT,
  dedup_key      TEXT
) STRICT;
CREATE INDEX events_status ON events (status, seq) WHERE status <> 'completed';
CREATE INDEX events_type ON events (type, seq);
CREATE INDEX events_created_at ON events (created_at);
CREATE INDEX events_stack ON events (stack, seq) WHERE stack IS NOT NULL;
CREATE INDEX events_agent ON events (agent, seq) WHERE agent IS NOT NULL;
CREATE INDEX events_run_id ON events (run_id, seq) WHERE run_id IS NOT NULL;
CREATE UNIQUE INDEX events_dedup_key ON events (dedup_key) WHERE dedup_key IS NOT NULL;

-- A chain: hash = SHA-256(prev_hash ‖ row). Rows go only from its old end, up to the newest entry `audit:prune`.
CREATE TABLE audit (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,
  user       TEXT NOT NULL,
  uid        INTEGER NOT NULL,
  method     TEXT NOT NULL,
  address    TEXT,
  action     TEXT NOT NULL,
  object     TEXT NOT NULL,
  object_id  TEXT NOT NULL,
  stack      TEXT,
  result     TEXT NOT NULL CHECK (result IN ('ok', 'denied', 'error')),
  reason     TEXT,
  request_id TEXT NOT NULL,
  details    TEXT NOT NULL,
  prev_hash  TEXT NOT NULL,
  hash       TEXT NOT NULL
) STRICT;
CREATE INDEX audit_prune ON audit (seq) WHERE action = 'audit:prune';
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit trail cannot be changed');
END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
WHEN OLD.seq > COALESCE((SELECT CAST(object_id AS INTEGER) FROM audit WHERE action = 'audit:prune' ORDER BY seq DESC LIMIT 1), 0)
BEGIN
  SELECT RAISE(ABORT, 'the audit trail cannot be changed');
END;

CREATE TABLE clock_epochs (
  epoch      INTEGER PRIMARY KEY NOT NULL,
  before_us  INTEGER NOT NULL,
  after_us   INTEGER NOT NULL,
  shift_us   INTEGER NOT NULL,
  cause      TEXT NOT NULL
) STRICT;

-- Answers of recent requests, so that a repeated one is answered and not done again.
CREATE TABLE idempotency (
  key       TEXT NOT NULL,
  uid       INTEGER NOT NULL,
  body_hash TEXT NOT NULL,
  response  TEXT NOT NULL,
  created   INTEGER NOT NULL,
  PRIMARY KEY (key, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (created);
