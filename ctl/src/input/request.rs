//! The body of `POST /runs`.

use std::path::Path;

use serde_json::{Map, Value, json};
use sloth_api::worker::RunOptions;

use super::source::{Env, Input, Source, present_directory};
use super::values::{self, Given};
use crate::args::run::{Overrides, RunWorkflow, Selection, ValueFlags};
use crate::failure::Failure;
use crate::output::time::parse_duration;

/// Values or parameters by name.
type Table = Map<String, Value>;

/// Everything that a run is started with.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) input: Input,
    pub(crate) values: Map<String, Value>,
    pub(crate) params: Map<String, Value>,
    pub(crate) options: RunOptions,
    pub(crate) mode: &'static str,
    pub(crate) invocation_dir: String,
    context: Map<String, Value>,
}

/// Reads the files of the line and puts everything together.
pub(crate) fn of_run(args: &RunWorkflow, env: Env<'_>) -> Result<Request, Failure> {
    if let Some((flag, hint)) = args.later.given() {
        return Err(Failure::not_supported(flag).hint(hint));
    }
    let (values, params) = values_of(&args.values)?;
    Ok(Request {
        input: super::source::of_run(args, env)?,
        values,
        params,
        options: options(&args.selection, &args.overrides, args.what.workflow.clone())?,
        mode: if args.mode.check { "check" } else { "normal" },
        invocation_dir: invocation_dir(args.context.workdir.as_deref())?,
        context: context(args)?,
    })
}

/// Values and parameters of flags, files and the environment.
pub(crate) fn values_of(flags: &ValueFlags) -> Result<(Table, Table), Failure> {
    Ok((values::merged(&given(flags), std::env::vars_os())?, values::params(&flags.params)?))
}

/// The flags alone.
pub(crate) fn given(flags: &ValueFlags) -> Given<'_> {
    Given { files: &flags.value_files, set: &flags.set, set_string: &flags.set_string, set_file: &flags.set_file }
}

impl Request {
    /// As it is sent.
    pub(crate) fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.extend(self.input.stack.clone().map(|stack| ("stack".to_owned(), stack.into())));
        body.insert("source".to_owned(), self.input.source.to_json());
        body.extend(self.options.workflow.clone().map(|name| ("workflow".to_owned(), name.into())));
        body.insert("values".to_owned(), self.values.clone().into());
        body.insert("params".to_owned(), self.params.clone().into());
        body.insert("mode".to_owned(), self.mode.into());
        body.insert("options".to_owned(), json!(self.options));
        body.insert("invocation_dir".to_owned(), self.invocation_dir.as_str().into());
        body.extend(self.context.clone());
        body.into()
    }

    /// The name for people.
    pub(crate) fn source_name(&self) -> String {
        match &self.input.source {
            Source::Saved(name) => name.clone(),
            Source::Bundle(bundle) => Path::new(&bundle.main)
                .file_name()
                .map_or(bundle.main.clone(), |name| name.to_string_lossy().into_owned()),
        }
    }
}

fn options(selection: &Selection, overrides: &Overrides, workflow: Option<String>) -> Result<RunOptions, Failure> {
    let timeout = overrides.timeout.as_deref().map(parse_duration).transpose()?;
    let max_parallel = if overrides.sequential { Some(1) } else { overrides.max_parallel };
    if max_parallel == Some(0) {
        return Err(Failure::usage("--max-parallel 0: a run needs at least one place"));
    }
    if selection.no_deps && selection.tasks.is_empty() {
        return Err(Failure::usage("--no-deps belongs to --task"));
    }
    Ok(RunOptions {
        workflow,
        tasks: selection.tasks.clone(),
        no_deps: selection.no_deps,
        from: selection.from.clone(),
        skip: selection.skip.clone(),
        tags: selection.tags.clone(),
        skip_tags: selection.skip_tags.clone(),
        stage: selection.stage.clone(),
        max_parallel,
        retries: overrides.retries,
        timeout_ms: timeout.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
        continue_on_error: overrides.continue_on_error,
        fail_fast: overrides.fail_fast,
        no_compensate: overrides.no_compensate,
        strict: overrides.strict,
        debug: overrides.debug,
    })
}

fn invocation_dir(workdir: Option<&str>) -> Result<String, Failure> {
    let here = present_directory()?;
    let dir = workdir.map_or(here.clone(), |dir| here.join(dir));
    if workdir.is_some() && !dir.is_dir() {
        return Err(Failure::usage(format!("--workdir {}: no such directory", dir.display())));
    }
    let text = dir.to_str().ok_or_else(|| Failure::usage(format!("{}: the path is no UTF-8", dir.display())))?;
    Ok(text.to_owned())
}

fn context(args: &RunWorkflow) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    body.extend(args.context.user.clone().map(|user| ("user".to_owned(), user.into())));
    body.extend(args.context.sandbox.clone().map(|profile| ("sandbox".to_owned(), profile.into())));
    body.extend(args.overrides.priority.map(|priority| ("priority".to_owned(), priority.into())));
    for (name, pairs) in [("env", &args.context.env), ("labels", &args.context.labels)] {
        let mut map = Map::new();
        for pair in pairs {
            let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                let flag = name.trim_end_matches('s');
                return Err(Failure::usage(format!("--{flag} {pair}: expected KEY=VALUE")));
            };
            map.insert(key.to_owned(), value.into());
        }
        if !map.is_empty() {
            body.insert(name.to_owned(), map.into());
        }
    }
    Ok(body)
}
