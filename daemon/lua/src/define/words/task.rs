//! Words of tasks.

use sloth_core::workflow::{Command, HookWhen, OnResume};

use super::parts::{command, concurrency, handler, health_check, replace, set_command, set_delay};
use super::{Form, TaskWord, Word, arg};
use crate::define::draft::{Doing, TaskDraft};
use crate::define::fault::Fault;
use crate::define::raw::Raw;
use crate::define::read;

const fn word(name: &'static str, args: &'static str, about: &'static str, apply: super::Apply<TaskDraft>) -> TaskWord {
    Word { name, aliases: &[], form: Form::Both, args, about, apply: Some(apply) }
}

const fn absent(name: &'static str, args: &'static str, about: &'static str) -> TaskWord {
    Word { name, aliases: &[], form: Form::Both, args, about, apply: None }
}

const fn also(mut word: TaskWord, aliases: &'static [&'static str]) -> TaskWord {
    word.aliases = aliases;
    word
}

const fn only(mut word: TaskWord, form: Form) -> TaskWord {
    word.form = form;
    word
}

/// All words. `build`, `run` and the keys `name`, `uses`, `module`, `action`, `args` have places of their own in the
/// dispatch, because they do not change a field.
pub(crate) const TASK: &[TaskWord] = &[
    word("description", "text: string", "Shown in plans and lists.", |draft, args, _| {
        draft.task.description = read::text(arg(args, 0))?;
        Ok(())
    }),
    also(word("command", "command: Command", "What the task does.", command), &["execute"]),
    word("shell", "text: string", "A text for bash -c (else sh -c).", |draft, args, desk| {
        let text = read::text(arg(args, 0))?;
        set_command(draft, Doing::Command(Command::Shell(text)), desk)
    }),
    word(
        "depends_on",
        "...: Reference",
        "Tasks or stages that must be done before; repeated calls add.",
        |draft, args, _| {
            draft.depends.extend(read::reference_list(args)?);
            Ok(())
        },
    ),
    word("timeout", "time: Duration", "Limit of one attempt; 0 is none.", |draft, args, _| {
        draft.task.timeout_ms = Some(read::duration_ms(arg(args, 0))?);
        Ok(())
    }),
    word(
        "retries",
        "n: Retries, strategy: Strategy?, options: RetryOptions?",
        "Further attempts after a failure.",
        |draft, args, desk| {
            let policy = draft.task.retry.get_or_insert_default();
            draft.attempts_given |= read::retry(policy, args, desk)?;
            Ok(())
        },
    ),
    word("retry", "n: Retries, delay: Duration?", "Further attempts and the first delay.", |draft, args, desk| {
        let policy = draft.task.retry.get_or_insert_default();
        draft.attempts_given |= read::retry(policy, &args[..args.len().min(1)], desk)?;
        match arg(args, 1) {
            Raw::Nil => Ok(()),
            delay => set_delay(policy, delay),
        }
    }),
    word("retry_delay", "delay: Duration", "First delay between attempts.", |draft, args, _| {
        set_delay(draft.task.retry.get_or_insert_default(), arg(args, 0))
    }),
    word("retry_strategy", "strategy: Strategy", "How delays grow.", |draft, args, _| {
        draft.task.retry.get_or_insert_default().backoff = read::backoff(arg(args, 0))?;
        Ok(())
    }),
    word(
        "async",
        "on: boolean?",
        "Occupies no slot; its successor in a list does not wait for its end.",
        |draft, args, _| {
            draft.task.is_async = read::boolean(arg(args, 0))?;
            Ok(())
        },
    ),
    also(
        word("delegate_to", "target: any", "Where the task runs.", |draft, args, _| {
            draft.task.delegate_to = read::delegate(arg(args, 0))?;
            draft.stays_here = draft.task.delegate_to.is_none();
            Ok(())
        }),
        &["target_agent", "agent", "run_on"],
    ),
    word("target_tags", "tags: {string}", "Runs on agents with these tags.", |draft, args, _| {
        draft.task.delegate_to = Some(serde_json::json!({ "tags": read::strings(args)? }));
        Ok(())
    }),
    only(
        word("run_locally", "", "Clears an inherited target.", |draft, _, _| {
            draft.task.delegate_to = None;
            draft.stays_here = true;
            Ok(())
        }),
        Form::Method,
    ),
    also(
        word("run_if", "condition: Condition", "Runs only if this holds.", |draft, args, desk| {
            draft.condition = Some(read::condition(arg(args, 0), &desk.place())?);
            Ok(())
        }),
        &["condition", "when"],
    ),
    word("abort_if", "condition: Condition", "Fails before it starts if this holds.", |draft, args, desk| {
        draft.abort_if = Some(read::condition(arg(args, 0), &desk.place())?);
        Ok(())
    }),
    word("workdir", "path: string", "Directory of its commands; created when missing.", |draft, args, _| {
        draft.task.workdir = Some(read::text(arg(args, 0))?);
        Ok(())
    }),
    word("user", "name: string | number", "Other user than the run's.", |draft, args, _| {
        draft.task.user = Some(read::text(arg(args, 0))?);
        Ok(())
    }),
    word("env", "env: {[string]: any}", "Added to the environment; false unsets.", |draft, args, _| {
        draft.task.env.extend(read::env(arg(args, 0))?);
        Ok(())
    }),
    word("params", "params: {[string]: any}", "Parameters of the command.", |draft, args, _| {
        draft.task.params.extend(read::json_map(arg(args, 0))?);
        Ok(())
    }),
    word("tags", "...: string | {string}", "For selection with --tags.", |draft, args, _| {
        for tag in read::strings(args)? {
            if !draft.task.tags.contains(&tag) {
                draft.task.tags.push(tag);
            }
        }
        Ok(())
    }),
    word(
        "priority",
        "priority: number | \"low\" | \"normal\" | \"high\" | \"critical\"",
        "Among ready tasks, -100 to 100.",
        |draft, args, _| {
            draft.task.priority = read::priority(arg(args, 0))?;
            Ok(())
        },
    ),
    word(
        "artifacts",
        "artifacts: string | {string} | {[string]: string}",
        "Files that it produces.",
        |draft, args, _| {
            replace(draft.inherited, &mut draft.task.artifacts, read::artifacts(args)?);
            Ok(())
        },
    ),
    word("consumes", "artifacts: string | {string}", "Artifacts of other tasks that it needs.", |draft, args, _| {
        let names = read::artifacts(args)?.into_iter().map(|(_, name)| name).collect();
        replace(draft.inherited, &mut draft.task.consumes, names);
        Ok(())
    }),
    word(
        "on_success",
        "handler: (this: This, params: any, output: any) -> ...any",
        "Called after success.",
        |d, a, k| handler(d, a, k, HookWhen::OnSuccess),
    ),
    also(
        word(
            "on_failure",
            "handler: (this: This, params: any, err: any) -> ...any",
            "Called after the last failed attempt.",
            |d, a, k| handler(d, a, k, HookWhen::OnFailure),
        ),
        &["on_fail", "on_error"],
    ),
    word(
        "on_timeout",
        "handler: (this: This, params: any, err: any) -> ...any",
        "Called when the last attempt timed out.",
        |d, a, k| handler(d, a, k, HookWhen::OnTimeout),
    ),
    word(
        "on_complete",
        "handler: (this: This, params: any, result: any) -> ...any",
        "Called in every terminal state.",
        |d, a, k| handler(d, a, k, HookWhen::OnComplete),
    ),
    word(
        "on_retry",
        "handler: (this: This, params: any, info: any) -> ...any",
        "Called before another attempt; false stops retrying.",
        |d, a, k| handler(d, a, k, HookWhen::OnRetry),
    ),
    word(
        "on_skip",
        "handler: (this: This, params: any, info: any) -> ...any",
        "Called when it is skipped.",
        |d, a, k| handler(d, a, k, HookWhen::OnSkip),
    ),
    also(
        word(
            "pre_hook",
            "hook: (this: This, params: any, deps: any) -> ...any",
            "Before each attempt; false fails it.",
            |d, a, k| handler(d, a, k, HookWhen::PreHook),
        ),
        &["pre_exec"],
    ),
    also(
        word(
            "post_hook",
            "hook: (this: This, params: any, output: any) -> ...any",
            "After a successful command; false fails the attempt.",
            |d, a, k| handler(d, a, k, HookWhen::PostHook),
        ),
        &["post_exec"],
    ),
    word("hooks", "hooks: Hooks", "Hooks called with ctx.", |draft, args, desk| {
        let found = read::hooks(arg(args, 0), &desk.place(), desk)?;
        draft.task.handlers.entries.extend(found);
        Ok(())
    }),
    word("compensate", "undo: (ctx: any) -> ...any", "Undoes the task, in a saga or a rollback.", |draft, args, _| {
        draft.task.compensate = Some(read::function(arg(args, 0))?);
        Ok(())
    }),
    word("resources", "resources: Resources", "Requests and limits.", |draft, args, _| {
        draft.task.resources = read::resources(arg(args, 0))?;
        Ok(())
    }),
    word("circuit", "circuit: Circuit", "Guards the whole task with a circuit of its name.", |draft, args, desk| {
        draft.task.circuit = Some(read::circuit(draft.task.circuit.take().unwrap_or_default(), arg(args, 0), desk)?);
        Ok(())
    }),
    also(
        word("ignore_errors", "on: boolean?", "Its failure counts as satisfied.", |draft, args, _| {
            draft.task.ignore_errors = read::boolean(arg(args, 0))?;
            Ok(())
        }),
        &["allow_failure"],
    ),
    word("next_if_fail", "...: Reference", "Tasks that run only if this one fails.", |draft, args, _| {
        draft.next_if_fail.extend(read::reference_list(args)?);
        Ok(())
    }),
    word(
        "cache",
        "cache: boolean | {[string]: any}",
        "Result cache; this build runs the task every time.",
        |_, args, desk| {
            if !matches!(arg(args, 0), Raw::Bool(false)) {
                desk.warn(Fault::new("W103", "the result cache is not in this build: the task runs every time"));
            }
            Ok(())
        },
    ),
    absent("affinity", "affinity: {[string]: any}", "Preferences among agents and workers."),
    word(
        "concurrency",
        "key: string, n: number?",
        "At most n tasks with this key run at once in the daemon.",
        concurrency,
    ),
    word(
        "rollback_on_failure",
        "on: boolean?",
        "Final failure rolls back to the last checkpoint.",
        |draft, args, _| {
            draft.task.rollback_on_failure = read::boolean(arg(args, 0))?;
            Ok(())
        },
    ),
    word(
        "health_check",
        "check: (this: This) -> boolean, options: {interval: Duration?, timeout: Duration?, retries: number?}?",
        "Polled after the command until true.",
        health_check,
    ),
    absent("secrets", "names: {string}", "Restricts which secrets the task may read."),
    absent("sandbox", "sandbox: {[string]: any}", "Narrows what the task may do."),
    word(
        "on_resume",
        "how: \"retry\" | \"fail\" | \"skip\"",
        "What a resumed run does when it was running.",
        |draft, args, _| {
            draft.task.on_resume = match arg(args, 0).str() {
                Some("retry") => OnResume::Retry,
                Some("fail") => OnResume::Fail,
                Some("skip") => OnResume::Skip,
                _ => return Err(Fault::new("E113", "on_resume is \"retry\", \"fail\" or \"skip\"")),
            };
            Ok(())
        },
    ),
    word("metadata", "metadata: {[string]: any}", "Stored with the task.", |draft, args, _| {
        draft.task.metadata.extend(read::json_map(arg(args, 0))?);
        Ok(())
    }),
    absent("replicas", "n: number", "Expands to n tasks."),
    also(absent("schedule", "cron: string", "A schedule for this task alone."), &["cron"]),
    word("check_safe", "on: boolean?", "The command also runs in check mode.", |draft, args, _| {
        draft.task.check_safe = read::boolean(arg(args, 0))?;
        Ok(())
    }),
];
