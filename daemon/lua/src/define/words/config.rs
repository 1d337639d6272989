//! Keys of the configuration of a workflow.

use sloth_core::workflow::{FailurePolicy, HookEntry, HookWhen, OnConflict, Ordering, Resolution, WorkflowFailure};

use super::{Form, Word, WorkflowWord, arg};
use crate::define::draft::WorkflowDraft;
use crate::define::fault::Fault;
use crate::define::raw::Raw;
use crate::define::read;

const fn key(
    name: &'static str,
    args: &'static str,
    about: &'static str,
    apply: super::Apply<WorkflowDraft>,
) -> WorkflowWord {
    Word { name, aliases: &[], form: Form::Key, args, about, apply: Some(apply) }
}

const fn also(mut word: WorkflowWord, aliases: &'static [&'static str]) -> WorkflowWord {
    word.aliases = aliases;
    word
}

const fn both(mut word: WorkflowWord) -> WorkflowWord {
    word.form = Form::Both;
    word
}

macro_rules! switch {
    ($name:literal, $about:literal, $draft:ident => $set:expr) => {
        key($name, "boolean", $about, |$draft: &mut WorkflowDraft, args, _| {
            let set: fn(&mut WorkflowDraft, bool) = $set;
            set($draft, read::boolean(arg(args, 0))?);
            Ok(())
        })
    };
}

/// All keys.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range
pub(crate) const CONFIG: &[WorkflowWord] = &[
    both(key("timeout", "Duration", "Wall clock of the workflow.", |draft, args, _| {
        draft.workflow.config.timeout_ms = read::optional_duration(arg(args, 0))?;
        Ok(())
    })),
    both(also(
        key("max_parallel_tasks", "number", "Concurrent tasks.", |draft, args, _| {
            draft.workflow.config.max_parallel = Some(read::int(arg(args, 0), 1, 100_000)? as u32);
            Ok(())
        }),
        &["max_workers", "max_concurrency", "max_parallel"],
    )),
    switch!("parallel", "False: one at a time, in the order of the list.", draft => |draft, on| {
        if !on {
            draft.workflow.config.max_parallel = Some(1);
            draft.workflow.config.ordering = Ordering::Listed;
        }
    }),
    key(
        "ordering",
        "\"parallel\" | \"listed\"",
        "Whether tasks wait for the previous one of the list.",
        |draft, args, _| {
            draft.workflow.config.ordering =
                choice("ordering", arg(args, 0), &[("parallel", Ordering::Parallel), ("listed", Ordering::Listed)])?;
            Ok(())
        },
    ),
    switch!("continue_on_error", "Go on with what does not depend on a failure.", draft => |draft, on| {
        let policy = if on { FailurePolicy::Continue } else { FailurePolicy::Stop };
        draft.workflow.config.on_task_failure = policy;
    }),
    also(
        key(
            "on_task_failure",
            "\"stop\" | \"continue\" | \"rollback\"",
            "After a failure of a task.",
            |draft, args, _| {
                let words = [
                    ("stop", FailurePolicy::Stop),
                    ("continue", FailurePolicy::Continue),
                    ("rollback", FailurePolicy::Rollback),
                ];
                draft.workflow.config.on_task_failure = choice("on_task_failure", arg(args, 0), &words)?;
                Ok(())
            },
        ),
        &["on_error"],
    ),
    switch!("fail_fast", "Cancel running tasks at the first failure.", draft => |draft, on| draft.workflow.config.fail_fast = on),
    key("max_retries", "number", "Retries of tasks without their own.", |draft, args, _| {
        let retries = read::int(arg(args, 0), 0, 1_000_000)? as u32;
        draft.workflow.config.task_retry.get_or_insert_default().max_attempts = retries + 1;
        draft.attempts_given = true;
        Ok(())
    }),
    key("retry_strategy", "Strategy", "Of tasks without their own.", |draft, args, _| {
        draft.workflow.config.task_retry.get_or_insert_default().backoff = read::backoff(arg(args, 0))?;
        Ok(())
    }),
    key("retry_delay", "Duration", "Of tasks without their own.", |draft, args, _| {
        draft.workflow.config.task_retry.get_or_insert_default().delay_ms = read::duration_ms(arg(args, 0))?;
        Ok(())
    }),
    both(key("workdir", "string", "Directory of its commands.", |draft, args, _| {
        draft.workflow.workdir = Some(read::text(arg(args, 0))?);
        Ok(())
    })),
    switch!("create_workdir_before_run", "A fresh private directory.", draft => |draft, on| draft.workflow.config.create_workdir = on),
    also(
        key(
            "clean_workdir_after_run",
            "boolean | ((result: any) -> boolean)",
            "Delete the work directory at the end.",
            |draft, args, _| {
                match arg(args, 0) {
                    Raw::Fn(function) => draft.workflow.clean_workdir = Some(*function),
                    other => draft.workflow.config.clean_workdir = read::boolean(other)?,
                }
                Ok(())
            },
        ),
        &["cleanup"],
    ),
    both(also(
        key("env", "{[string]: any}", "Environment of all commands.", |draft, args, _| {
            draft.workflow.env.extend(read::env(arg(args, 0))?);
            Ok(())
        }),
        &["environment"],
    )),
    both(key("values", "{[string]: any}", "Defaults of values.", |draft, args, _| {
        draft.workflow.values.extend(read::json_map(arg(args, 0))?);
        Ok(())
    })),
    both(key("params", "{[string]: any}", "Parameters of all tasks.", |draft, args, _| {
        draft.workflow.params.extend(read::json_map(arg(args, 0))?);
        Ok(())
    })),
    key("require_lock", "boolean", "Lock of the stack for the run.", |draft, args, _| {
        draft.workflow.config.require_lock = Some(read::boolean(arg(args, 0))?);
        Ok(())
    }),
    key("lock_timeout", "Duration", "Lease of the lock.", |_, args, _| read::duration_ms(arg(args, 0)).map(drop)),
    key("lock_wait", "Duration", "How long to wait for the lock.", |_, args, _| {
        read::duration_ms(arg(args, 0)).map(drop)
    }),
    switch!("create_snapshot", "Snapshot of the stack before the first task.", draft => |draft, on| draft.workflow.config.create_snapshot = on),
    switch!("snapshot_after", "Snapshot after success.", draft => |draft, on| draft.workflow.config.snapshot_after = on),
    switch!("validate_before", "Validate the stack first.", draft => |draft, on| draft.workflow.config.validate_before = on),
    switch!("detect_drift", "Compare with reality after success.", draft => |draft, on| draft.workflow.config.detect_drift = on),
    key(
        "on_failure",
        "\"rollback\" | \"compensate\" | \"none\" | ((ctx: any, err: any) -> ...any)",
        "After the failure of the workflow.",
        on_failure,
    ),
    switch!("rollback_on_failure", "The same as on_failure = \"rollback\".", draft => |draft, on| {
        if on {
            draft.workflow.config.on_failure = WorkflowFailure::Rollback;
        }
    }),
    key(
        "dependency_resolution",
        "\"parallel\" | \"topological\" | \"streaming\"",
        "How ready tasks are taken.",
        |draft, args, _| {
            draft.workflow.config.resolution = resolution(arg(args, 0))?;
            Ok(())
        },
    ),
    key("priority", "number | string", "Order of the run in the queue.", |draft, args, _| {
        draft.workflow.config.priority = read::priority(arg(args, 0))?;
        Ok(())
    }),
    key("concurrency_group", "string", "Runs of one group share a limit.", |draft, args, _| {
        draft.workflow.config.concurrency_group = Some(read::text(arg(args, 0))?);
        Ok(())
    }),
    key("concurrency_limit", "number", "Runs of the group at once.", |draft, args, _| {
        draft.workflow.config.concurrency_limit = Some(read::int(arg(args, 0), 1, 100_000)? as u32);
        Ok(())
    }),
    key("on_conflict", "\"queue\" | \"skip\" | \"cancel_running\"", "When the group is full.", |draft, args, _| {
        let words =
            [("queue", OnConflict::Queue), ("skip", OnConflict::Skip), ("cancel_running", OnConflict::CancelRunning)];
        draft.workflow.config.on_conflict = choice("on_conflict", arg(args, 0), &words)?;
        Ok(())
    }),
    switch!("resumable", "Goes on after its worker or host was lost.", draft => |draft, on| draft.workflow.config.not_resumable = !on),
    also(
        key("depends_on_stacks", "{string}", "Stacks that must be there.", |draft, args, _| {
            draft.workflow.config.depends_on_stacks.extend(read::strings(args)?);
            Ok(())
        }),
        &["depends_on_stack"],
    ),
    key("artifact_retention", "Duration", "How long artifacts are kept.", |draft, args, _| {
        draft.workflow.config.artifact_retention_ms = Some(read::duration_ms(arg(args, 0))?);
        Ok(())
    }),
    switch!("artifact_compression", "Artifacts are always compressed.", draft => |_, _| {}),
    switch!("verify_checksums", "Checksums are always verified.", draft => |_, _| {}),
    Word {
        name: "notify",
        aliases: &[],
        form: Form::Key,
        args: "{any}",
        about: "Channels that hear of the end.",
        apply: None,
    },
];

/// `on_failure` of the configuration.
fn on_failure(draft: &mut WorkflowDraft, args: &[Raw], _: &crate::define::desk::Desk) -> Result<(), Fault> {
    if let Raw::Fn(run) = arg(args, 0) {
        draft.workflow.config.on_failure = WorkflowFailure::Function;
        draft.workflow.handlers.entries.push(HookEntry {
            when: HookWhen::ConfigOnFailure,
            run: *run,
            with_ctx: true,
            name: None,
            condition: None,
            is_async: false,
            timeout_ms: None,
        });
        return Ok(());
    }
    let words = [
        ("rollback", WorkflowFailure::Rollback),
        ("compensate", WorkflowFailure::Compensate),
        ("none", WorkflowFailure::None),
    ];
    draft.workflow.config.on_failure = choice("on_failure", arg(args, 0), &words)?;
    Ok(())
}

pub(super) fn resolution(raw: &Raw) -> Result<Resolution, Fault> {
    let words = [
        ("parallel", Resolution::Parallel),
        ("topological", Resolution::Topological),
        ("streaming", Resolution::Streaming),
    ];
    choice("dependency_resolution", raw, &words)
}

/// One of some words.
pub(super) fn choice<T: Copy>(what: &str, raw: &Raw, words: &[(&str, T)]) -> Result<T, Fault> {
    let text = read::text(raw)?;
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Fault::new("E113", format!("{what}: {text:?} is none of {}", names.join(", ")))
    })
}
