-- Version 3: runs of workflows. Their times are milliseconds, but for those of tasks, which are microseconds as before.

-- The definition of a run that no schedule made is a schedule that was never listed: deleted from the start, gone with its run.
ALTER TABLE schedules ADD COLUMN unlisted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN bundle TEXT GENERATED ALWAYS AS (definition ->> '$.workflow.bundle') VIRTUAL;
ALTER TABLE schedules ADD COLUMN workflow TEXT GENERATED ALWAYS AS (definition ->> '$.workflow.name') VIRTUAL;
CREATE INDEX schedules_bundle ON schedules (bundle) WHERE bundle IS NOT NULL;
ALTER TABLE schedule_versions ADD COLUMN bundle TEXT GENERATED ALWAYS AS (definition ->> '$.workflow.bundle') VIRTUAL;
CREATE INDEX schedule_versions_bundle ON schedule_versions (bundle) WHERE bundle IS NOT NULL;

-- A run has more states than before in which it has not ended.
DROP INDEX runs_unfinished;
CREATE INDEX runs_unfinished ON runs (id) WHERE status NOT IN ('completed', 'failed', 'cancelled');
CREATE INDEX runs_unlisted ON runs (queued_at) WHERE schedule = '';

-- A task belongs to a workflow of its run; that of a command to none.
CREATE TABLE tasks_2 (
  run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  workflow    TEXT NOT NULL DEFAULT '',
  name        TEXT NOT NULL,
  stage       TEXT,
  status      TEXT NOT NULL,
  kind        TEXT,
  message     TEXT NOT NULL DEFAULT '',
  error       TEXT,
  skip_reason TEXT,
  changed     INTEGER NOT NULL DEFAULT 0,
  cached      INTEGER NOT NULL DEFAULT 0,
  ignored     INTEGER NOT NULL DEFAULT 0,
  attempts    INTEGER NOT NULL,
  started_at  INTEGER,                           -- µs
  ended_at    INTEGER,                           -- µs
  exit_code   INTEGER,
  output      TEXT,                              -- JSON
  ordinal     INTEGER,                           -- place in the definition
  PRIMARY KEY (run_id, workflow, name)
) STRICT, WITHOUT ROWID;
INSERT INTO tasks_2 (run_id, name, status, started_at, ended_at, attempts)
  SELECT run_id, name, status, started_at, ended_at, attempts FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_2 RENAME TO tasks;

-- Sources of workflows, by their content.
CREATE TABLE bundles (
  sha256     TEXT PRIMARY KEY NOT NULL,
  content    BLOB NOT NULL,                      -- JSON, zstd
  size       INTEGER NOT NULL,                   -- bytes before compression
  created_at INTEGER NOT NULL
) STRICT;

-- What a run of a workflow has beside any other run. No column is named like one of `runs`, so that both can be joined as one.
CREATE TABLE workflow_runs (
  n               INTEGER PRIMARY KEY NOT NULL,  -- stands for the run in its journal
  run_id          TEXT NOT NULL UNIQUE REFERENCES runs (id) ON DELETE CASCADE,
  workflow        TEXT NOT NULL,
  stack           TEXT NOT NULL,
  chosen          TEXT,                          -- one of several workflows in the file
  bundle          TEXT NOT NULL,                 -- of bundles; a run must not fail to be recorded because it is gone
  main            TEXT NOT NULL,
  saved           TEXT,
  "values"        TEXT NOT NULL,                 -- JSON
  params          TEXT NOT NULL,                 -- JSON
  options         TEXT NOT NULL,                 -- JSON
  mode            TEXT NOT NULL,
  invocation_dir  TEXT NOT NULL,
  priority        INTEGER NOT NULL,
  labels          TEXT NOT NULL,                 -- JSON
  paused          INTEGER NOT NULL,
  cancel_reason   TEXT,
  cancel_compensate INTEGER,
  compensation    TEXT NOT NULL,
  handled         INTEGER NOT NULL,
  workers_lost    INTEGER NOT NULL,
  end_status      TEXT,
  end_reason      TEXT,
  end_message     TEXT,
  resume_from     TEXT,
  compensate_only INTEGER NOT NULL,
  last_seq        INTEGER NOT NULL DEFAULT 0,
  journal_bytes   INTEGER NOT NULL DEFAULT 0,
  graph           TEXT,                          -- JSON
  diagnostics     TEXT,                          -- JSON
  outputs         TEXT                           -- JSON
) STRICT;
CREATE INDEX workflow_runs_bundle ON workflow_runs (bundle);
CREATE INDEX workflow_runs_stack ON workflow_runs (stack, n);
CREATE INDEX workflow_runs_workflow ON workflow_runs (workflow, n);

-- What workers recorded, as they said it.
CREATE TABLE journal (
  run  INTEGER NOT NULL REFERENCES workflow_runs (n) ON DELETE CASCADE,
  seq  INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,                            -- JSON
  PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
  run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name       TEXT NOT NULL,
  seq        INTEGER NOT NULL,                   -- of its record
  id         TEXT NOT NULL,
  workflow   TEXT NOT NULL,
  task       TEXT NOT NULL,
  state      TEXT NOT NULL,                      -- JSON
  created_at INTEGER NOT NULL,
  PRIMARY KEY (run_id, name, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  seq        INTEGER NOT NULL,                   -- of its record
  workflow   TEXT NOT NULL,
  task       TEXT NOT NULL,
  name       TEXT NOT NULL,
  path       TEXT NOT NULL,
  sha256     TEXT NOT NULL,
  size       INTEGER NOT NULL,
  mode       INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- One row per workflow that a run executes.
CREATE TABLE workflow_executions (
  run_id       TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name         TEXT NOT NULL,
  version      TEXT NOT NULL,
  status       TEXT NOT NULL,
  started_at   INTEGER NOT NULL,
  completed_at INTEGER,
  error_msg    TEXT,
  PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

CREATE VIEW workflow_state AS
SELECT e.run_id || '/' || e.name AS workflow_id, e.run_id, e.name, e.version, NULL AS stack_id, w.stack,
  CASE
    WHEN e.completed_at IS NOT NULL THEN e.status
    WHEN r.status IN ('paused', 'interrupted', 'failed', 'cancelled') THEN r.status
    ELSE e.status
  END AS status,
  (SELECT json_group_object(t.name, json_object('status', t.status, 'attempts', t.attempts,
     'started_at', t.started_at / 1000, 'ended_at', t.ended_at / 1000))
   FROM tasks t WHERE t.run_id = e.run_id AND t.workflow = e.name) AS task_states,
  json_object('values', json(w."values"), 'params', json(w.params), 'outputs', json(COALESCE(w.outputs, '{}')),
    'checkpoints', json((SELECT json_group_array(c.id) FROM checkpoints c
      WHERE c.run_id = e.run_id AND c.workflow = e.name))) AS variables,
  e.started_at, e.completed_at, e.completed_at - e.started_at AS duration_ms, e.error_msg,
  json_object('mode', w.mode, 'bundle', w.bundle) AS metadata
FROM workflow_executions e JOIN workflow_runs w ON w.run_id = e.run_id JOIN runs r ON r.id = e.run_id;

-- Saved workflows.
CREATE TABLE workflows (
  owner       INTEGER NOT NULL,
  name        TEXT NOT NULL,
  description TEXT NOT NULL,
  bundle      TEXT NOT NULL REFERENCES bundles (sha256),
  main        TEXT NOT NULL,
  version     INTEGER NOT NULL,
  active      INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX workflows_bundle ON workflows (bundle);

-- Circuit breakers, as they were after their last transition.
CREATE TABLE circuits (
  name       TEXT PRIMARY KEY NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
  failures   INTEGER NOT NULL,
  opened_at  INTEGER,
  retry_at   INTEGER,
  settings   TEXT NOT NULL,                      -- JSON
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
