//! Words of workflows. `build` and `run` have places of their own in the dispatch.

use serde_json::Map;
use sloth_core::workflow::HookWhen;

use super::{Form, Word, WorkflowWord, arg};
use crate::define::desk::Desk;
use crate::define::draft::{Element, WorkflowDraft};
use crate::define::fault::Fault;
use crate::define::raw::{Raw, RawTable};
use crate::define::read;

type Done = Result<(), Fault>;

const fn word(
    name: &'static str,
    args: &'static str,
    about: &'static str,
    apply: super::Apply<WorkflowDraft>,
) -> WorkflowWord {
    Word { name, aliases: &[], form: Form::Both, args, about, apply: Some(apply) }
}

const fn only(mut word: WorkflowWord, form: Form) -> WorkflowWord {
    word.form = form;
    word
}

/// All words but those of the configuration.
pub(crate) const WORKFLOW: &[WorkflowWord] = &[
    word("description", "text: string", "Shown in lists.", |draft, args, _| {
        draft.workflow.description = read::text(arg(args, 0))?;
        Ok(())
    }),
    word("version", "text: string", "As the author counts.", |draft, args, _| {
        draft.workflow.version = read::text(arg(args, 0))?;
        Ok(())
    }),
    word("author", "text: string", "Who wrote it.", |draft, args, _| {
        draft.workflow.author = read::text(arg(args, 0))?;
        Ok(())
    }),
    word("tags", "...: string | {string}", "For selection.", |draft, args, _| {
        draft.workflow.tags = read::strings(args)?;
        Ok(())
    }),
    word("metadata", "metadata: {[string]: any}", "Stored with the workflow.", |draft, args, _| {
        draft.workflow.metadata.extend(read::json_map(arg(args, 0))?);
        Ok(())
    }),
    word("tasks", "tasks: Tasks", "The tasks; replaces those given before.", |draft, args, desk| {
        draft.tasks = match arg(args, 0) {
            Raw::Desc(desc) => vec![Element::Desc(desc.clone())],
            other => read::elements(other, desk)?,
        };
        Ok(())
    }),
    only(
        Word {
            name: "task",
            aliases: &["add_task"],
            ..word("task", "task: Element, table: TaskTable?", "Adds one task.", add_task)
        },
        Form::Method,
    ),
    word("stages", "stages: {Stage}", "Stages, in order.", |draft, args, desk| {
        let table = arg(args, 0).table().ok_or_else(|| Fault::wrong("list", arg(args, 0).type_name()))?;
        draft.stages.clear();
        for raw in &table.list {
            add_stage(draft, raw, desk)?;
        }
        if table.map.is_empty() { Ok(()) } else { Err(Fault::wrong("list of stages", "a map: stages have an order")) }
    }),
    only(
        word("stage", "stage: Stage", "Adds a stage.", |draft, args, desk| add_stage(draft, arg(args, 0), desk)),
        Form::Method,
    ),
    word("config", "config: Config", "Configuration; merges.", |draft, args, desk| {
        let table = arg(args, 0).table().ok_or_else(|| Fault::wrong("table", arg(args, 0).type_name()))?;
        config(draft, table, desk)
    }),
    word("on_start", "handler: (ctx: any) -> ...any", "Before the first task; false aborts.", |d, a, k| {
        handler(d, a, k, HookWhen::OnStart)
    }),
    word("on_complete", "handler: (success: boolean, results: any, ctx: any) -> ...any", "At the end.", |d, a, k| {
        handler(d, a, k, HookWhen::OnComplete)
    }),
    word("on_success", "handler: (ctx: any, results: any) -> ...any", "After success.", |d, a, k| {
        handler(d, a, k, HookWhen::OnSuccess)
    }),
    word("on_failure", "handler: (ctx: any, err: any) -> ...any", "After failure.", |d, a, k| match arg(a, 0) {
        // As a key at the top level it may also be the configuration's word.
        Raw::Str(_) => config(d, &RawTable { list: vec![], map: vec![("on_failure".into(), arg(a, 0).clone())] }, k),
        _ => handler(d, a, k, HookWhen::OnFailure),
    }),
    word("resources", "resources: Resources", "Requests and limits of its tasks.", |draft, args, _| {
        draft.resources = Some(read::resources(arg(args, 0))?);
        Ok(())
    }),
    Word {
        name: "security",
        aliases: &[],
        form: Form::Both,
        args: "security: {[string]: any}",
        about: "Roles, secrets, approval.",
        apply: None,
    },
    word(
        "error_handling",
        "handling: {on_failure: any, retry: any, ignore: {string}}",
        "Failure of the workflow.",
        error_handling,
    ),
    word("saga", "saga: Saga", "Participants and what undoes them.", |draft, args, desk| {
        draft.saga = Some(read::saga(arg(args, 0), desk)?);
        Ok(())
    }),
    word("schedule", "cron: string, options: {[string]: any}?", "Declares a schedule.", schedule),
    word("delegate_to", "target: any", "Where its tasks run.", |draft, args, _| {
        draft.delegate_to = read::delegate(arg(args, 0))?;
        Ok(())
    }),
    only(
        word("depends_on_stack", "...: string", "Stacks that must be there.", |draft, args, _| {
            draft.workflow.config.depends_on_stacks.extend(read::strings(args)?);
            Ok(())
        }),
        Form::Method,
    ),
    word("manual", "on: boolean?", "Runs only when selected by name.", |draft, args, _| {
        draft.workflow.manual = read::boolean(arg(args, 0))?;
        Ok(())
    }),
];

fn add_task(draft: &mut WorkflowDraft, args: &[Raw], desk: &Desk) -> Done {
    let added = match (arg(args, 0), arg(args, 1)) {
        (Raw::Str(name), Raw::Table(table)) => Element::Task(desk.task_from_table(Some(name), table, false)?),
        (only, _) => read::element(only, desk)?,
    };
    draft.tasks.push(added);
    Ok(())
}

fn add_stage(draft: &mut WorkflowDraft, raw: &Raw, desk: &Desk) -> Done {
    let stage = read::stage(raw, draft.stages.len() + 1, desk)?;
    draft.stages.push(stage);
    Ok(())
}

/// The keys of a configuration table.
pub(crate) fn config(draft: &mut WorkflowDraft, table: &RawTable, desk: &Desk) -> Done {
    for (name, value) in &table.map {
        match super::key(super::CONFIG, name) {
            Some(word) => apply(word, draft, value, desk)?,
            // The words of a workflow are understood here, too.
            None => match super::key(WORKFLOW, name).filter(|word| word.name != "config") {
                Some(word) => apply(word, draft, value, desk)?,
                None => desk.unknown_key("config", name, super::near_key(super::CONFIG, &[], name)),
            },
        }
    }
    Ok(())
}

/// One key; a fault says which.
pub(crate) fn apply(word: &WorkflowWord, draft: &mut WorkflowDraft, value: &Raw, desk: &Desk) -> Done {
    let name = &draft.workflow.name;
    let Some(apply) = word.apply else {
        return Err(Fault::absent(&format!("workflow {name:?}: {}", word.name)));
    };
    let label = format!("workflow {name:?}: {}", word.name);
    apply(draft, std::slice::from_ref(value), desk).map_err(|fault| fault.about(&label))
}

fn handler(draft: &mut WorkflowDraft, args: &[Raw], desk: &Desk, when: HookWhen) -> Done {
    let run = read::function(arg(args, 0))?;
    draft.workflow.handlers.entries.push(desk.handler(when, run));
    Ok(())
}

fn error_handling(draft: &mut WorkflowDraft, args: &[Raw], desk: &Desk) -> Done {
    let table = arg(args, 0).table().ok_or_else(|| Fault::wrong("table", arg(args, 0).type_name()))?;
    desk.unknown_keys("error_handling", table, &["on_failure", "retry", "ignore"]);
    if let Some(run) = table.get("on_failure") {
        draft.workflow.handlers.entries.push(desk.handler(HookWhen::ErrorHandling, read::function(run)?));
    }
    if let Some(how) = table.get("retry") {
        let mut policy = sloth_core::workflow::Retry::default();
        read::retry(&mut policy, std::slice::from_ref(how), desk)?;
        draft.workflow.retry = Some(policy);
    }
    if let Some(names) = table.get("ignore") {
        draft
            .workflow
            .config
            .ignore
            .extend(read::reference_list(std::slice::from_ref(names))?.iter().map(|r| r.name()));
    }
    Ok(())
}

fn schedule(draft: &mut WorkflowDraft, args: &[Raw], _: &Desk) -> Done {
    let (trigger, options) = match arg(args, 0) {
        Raw::Table(table) => {
            let trigger = table.list.first().or_else(|| table.any(&["cron", "every", "at", "trigger"]));
            let mut options = read::json_map(arg(args, 0))?;
            for key in ["cron", "every", "at", "trigger", "1"] {
                options.remove(key);
            }
            (read::text(trigger.unwrap_or(&Raw::Nil))?, options)
        }
        trigger => {
            let options = match arg(args, 1) {
                Raw::Nil => Map::new(),
                options => read::json_map(options)?,
            };
            (read::text(trigger)?, options)
        }
    };
    draft.schedules.push((trigger, options));
    Ok(())
}
