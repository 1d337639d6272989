//! What a command is: the options of `exec.run`, and what the engine adds for string and argv commands of tasks.

use std::time::Duration;

use sloth_core::workflow::Resources;

/// Bytes captured per stream when nothing else is said.
pub const MAX_OUTPUT: usize = 16 << 20;
/// Between TERM and KILL when nothing else is said.
pub const KILL_GRACE: Duration = Duration::from_secs(10);

/// What is run.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// A text for a shell: `bash -c`, else `sh -c`.
    Shell(String),
    /// A program and its arguments; no shell.
    Argv(Vec<String>),
}

/// Standard input.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file, relative to the working directory.
    File(String),
    /// A pipe, for background commands.
    Pipe,
}

/// Limits of a command's processes. What cannot be enforced on this machine is said in a warning W303.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU time per real time, thousandths of a core.
    pub cpu_millis: Option<u64>,
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl Limits {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }
}

impl From<&Resources> for Limits {
    fn from(resources: &Resources) -> Limits {
        Limits { cpu_millis: resources.cpu_limit, memory_bytes: resources.memory_limit, pids: resources.pids }
    }
}

/// A command. `CommandSpec::shell(…)` and `CommandSpec::argv(…)` give the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandSpec {
    /// What.
    pub program: Program,
    /// Where; relative to the caller's directory, which is the default.
    pub workdir: Option<String>,
    /// Environment beside that of the task; `None` unsets.
    pub env: Vec<(String, Option<String>)>,
    /// Without the inherited environment and that of the task.
    pub clear_env: bool,
    /// Besides the deadline of the caller.
    pub timeout: Option<Duration>,
    /// Standard input.
    pub stdin: Stdin,
    /// Other user than the caller's.
    pub user: Option<String>,
    /// Through `sudo -n` when this is not root.
    pub sudo: bool,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Scheduling priority, −20 to 19.
    pub nice: Option<i32>,
    /// Shell for a text.
    pub shell: Option<String>,
    /// Whether lines go to the log while it runs.
    pub stream: bool,
    /// Whether the text is kept for the result.
    pub capture: bool,
    /// Bytes kept per stream.
    pub max_output: usize,
    /// Further attempts after a failure.
    pub retries: u32,
    /// Between them.
    pub delay: Duration,
    /// Codes that are success.
    pub expect_codes: Vec<i32>,
    /// Texts that appear nowhere: not in the log, not in the result.
    pub mask: Vec<String>,
    /// Whether it runs in check mode, too.
    pub check_safe: bool,
    /// Skip when this path exists.
    pub creates: Option<String>,
    /// Skip when this path does not exist.
    pub removes: Option<String>,
    /// Limits.
    pub limits: Limits,
    /// Between TERM and KILL; `None`: that of the settings.
    pub kill_grace: Option<Duration>,
}

impl CommandSpec {
    /// A text for the shell.
    pub fn shell(text: impl Into<String>) -> CommandSpec {
        CommandSpec::new(Program::Shell(text.into()))
    }

    /// A program with arguments.
    pub fn argv<T: Into<String>>(words: impl IntoIterator<Item = T>) -> CommandSpec {
        CommandSpec::new(Program::Argv(words.into_iter().map(Into::into).collect()))
    }

    /// With the defaults.
    pub fn new(program: Program) -> CommandSpec {
        CommandSpec {
            program,
            workdir: None,
            env: Vec::new(),
            clear_env: false,
            timeout: None,
            stdin: Stdin::Empty,
            user: None,
            sudo: false,
            umask: None,
            nice: None,
            shell: None,
            stream: true,
            capture: true,
            max_output: MAX_OUTPUT,
            retries: 0,
            delay: Duration::from_secs(1),
            expect_codes: vec![0],
            mask: Vec::new(),
            check_safe: false,
            creates: None,
            removes: None,
            limits: Limits::default(),
            kill_grace: None,
        }
    }

    /// The command in one line, for people: masked, arguments quoted where a shell would need it.
    pub fn display(&self) -> String {
        let text = match &self.program {
            Program::Shell(text) => text.clone(),
            Program::Argv(words) => words.iter().map(|word| super::words::quote(word)).collect::<Vec<_>>().join(" "),
        };
        super::output::masked(&text, &self.mask).into_owned()
    }
}
