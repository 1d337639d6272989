//! Which daemon is meant: `--socket`, `--root`, `--context`, the environment, `--user`/`--system`, and at last the sockets themselves.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::args::globals::Globals;
use crate::failure::Failure;

const SYSTEM_SOCKET: &str = "/run/slothd/slothd.sock";
const SOCKET_NAME: &str = "slothd.sock";

/// Contexts of `~/.config/slothctl/config.toml`.
#[derive(Debug, Default, serde::Deserialize)]
struct Contexts {
    #[serde(default)]
    context: std::collections::BTreeMap<String, Context>,
}

#[derive(Debug, serde::Deserialize)]
struct Context {
    socket: Option<PathBuf>,
    root: Option<PathBuf>,
    host: Option<String>,
}

/// The socket to use. `env` looks up a variable.
pub(crate) fn socket(globals: &Globals, env: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, Failure> {
    let env_path = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(socket) = &globals.socket {
        return Ok(socket.into());
    }
    if let Some(root) = &globals.root {
        return Ok(Path::new(root).join(SOCKET_NAME));
    }
    let context = globals.context.clone().or_else(|| env("SLOTHCTL_CONTEXT").and_then(|name| name.into_string().ok()));
    if let Some(name) = context.filter(|name| !name.is_empty()) {
        return from_context(&name, env_path("XDG_CONFIG_HOME"), env_path("HOME"));
    }
    if globals.host.is_some() {
        return Err(remote());
    }
    if let Some(socket) = env_path("SLOTHD_SOCKET") {
        return Ok(socket);
    }
    if let Some(root) = env_path("SLOTHD_ROOT") {
        return Ok(root.join(SOCKET_NAME));
    }
    let system = PathBuf::from(SYSTEM_SOCKET);
    let user = user_socket(env_path("XDG_RUNTIME_DIR"));
    if globals.user {
        return user.ok_or_else(|| Failure::usage("--user: XDG_RUNTIME_DIR is not set"));
    }
    if globals.system || UnixStream::connect(&system).is_ok() {
        return Ok(system);
    }
    Ok(user.filter(|path| path.exists()).unwrap_or(system))
}

fn user_socket(runtime_dir: Option<PathBuf>) -> Option<PathBuf> {
    let uid = || std::fs::metadata("/proc/self").ok().map(|about| format!("/run/user/{}", about.uid()).into());
    runtime_dir.or_else(uid).map(|dir| dir.join("slothd").join(SOCKET_NAME))
}

fn from_context(name: &str, config_home: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let dir = config_home.or_else(|| home.map(|home| home.join(".config")));
    let dir = dir.ok_or_else(|| Failure::usage("--context: HOME is not set"))?;
    let file = dir.join("slothctl/config.toml");
    let text =
        std::fs::read_to_string(&file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let contexts: Contexts =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let Some(context) = contexts.context.get(name) else {
        let known: Vec<&str> = contexts.context.keys().map(String::as_str).collect();
        let failure = Failure::not_found(format!("no context \"{name}\" in {}", file.display()));
        return Err(failure.hint(format!("it has: {}", known.join(", "))));
    };
    match context {
        Context { socket: Some(socket), .. } => Ok(socket.clone()),
        Context { root: Some(root), .. } => Ok(root.join(SOCKET_NAME)),
        Context { host: Some(_), .. } => Err(remote()),
        _ => Err(Failure::usage(format!("context \"{name}\" of {} has neither socket nor root", file.display()))),
    }
}

fn remote() -> Failure {
    Failure::not_supported("a remote daemon").hint("use ssh HOST slothctl ...")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(globals: Globals, env: &[(&str, &str)]) -> String {
        let look = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        socket(&globals, &look).map_or_else(|failure| failure.message.clone(), |path| path.display().to_string())
    }

    #[test]
    fn the_more_explicit_word_wins() {
        let all = [("SLOTHD_SOCKET", "/e.sock"), ("SLOTHD_ROOT", "/e"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        let text = |value: &str| Some(value.to_owned());
        let given = Globals { socket: text("/s"), root: text("/r"), user: true, ..Globals::default() };
        assert_eq!(chosen(given.clone(), &all), "/s");
        assert_eq!(chosen(Globals { socket: None, ..given.clone() }, &all), "/r/slothd.sock");
        let user = Globals { socket: None, root: None, ..given };
        assert_eq!(chosen(user.clone(), &all), "/e.sock");
        assert_eq!(chosen(user.clone(), &all[1..]), "/e/slothd.sock");
        assert_eq!(chosen(user, &all[2..]), "/run/user/7/slothd/slothd.sock");
        assert_eq!(chosen(Globals { system: true, ..Globals::default() }, &all[2..]), SYSTEM_SOCKET);
        let host = Globals { host: text("h:1"), ..Globals::default() };
        assert_eq!(chosen(host, &all), "a remote daemon is not available in this version");
    }

    #[test]
    fn contexts_are_read_from_the_users_file() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = home.path().join(".config/slothctl");
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("config.toml"), "[context.lab]\nroot = \"/srv/lab\"\n").expect("a file");
        let env = [("HOME", home.path().to_str().expect("UTF-8")), ("SLOTHD_SOCKET", "/e.sock")];
        let named = |name: &str| Globals { context: Some(name.to_owned()), ..Globals::default() };
        assert_eq!(chosen(named("lab"), &env), "/srv/lab/slothd.sock");
        assert!(chosen(named("other"), &env).starts_with("no context \"other\""));
    }
}
