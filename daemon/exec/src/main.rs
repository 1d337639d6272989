//! The program `sloth-exec`: reads its arguments and becomes what they say.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sloth_exec::attempt;
use sloth_exec::supervise::{self, Options};

const USAGE: &str =
    "usage: sloth-exec supervise --socket PATH --data DIR [--no-cgroup] [--idle-exit-ms N] [--foreground]
       sloth-exec attempt        the main process of a unit; slothd gives it its descriptors";

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == "attempt") {
        return attempt::run();
    }
    match options(std::env::args_os().skip(1).map(PathBuf::from)) {
        Ok(options) => supervise::run(options),
        Err(why) => {
            eprintln!("sloth-exec: {why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = PathBuf>) -> Result<Options, String> {
    match arguments.next() {
        Some(command) if command.as_os_str() == "supervise" => {}
        other => return Err(format!("unknown command {:?}", other.unwrap_or_default())),
    }
    let (mut socket, mut data) = (None, None);
    let mut options = Options::new(PathBuf::new(), PathBuf::new());
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{} needs a value", flag.display()));
        match flag.to_str() {
            Some("--socket") => socket = Some(value()?),
            Some("--data") => data = Some(value()?),
            Some("--no-cgroup") => options.cgroup = false,
            Some("--foreground") => options.foreground = true,
            Some("--idle-exit-ms") => {
                let text = value()?;
                let ms = text.to_str().and_then(|text| text.parse().ok());
                options.idle_exit =
                    Duration::from_millis(ms.ok_or_else(|| format!("{} is no number", text.display()))?);
            }
            _ => return Err(format!("unknown argument {}", flag.display())),
        }
    }
    options.socket = socket.ok_or("--socket is missing")?;
    options.data = data.ok_or("--data is missing")?;
    Ok(options)
}
