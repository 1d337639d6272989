//! Accounts.

use std::process::{Command, Stdio};

use sloth_lua::Data;

/// `{username,uid,gid,home,shell}` of every account, also those of a directory service where `getent` lists them.
pub fn users() -> Data {
    let listed = Command::new("getent").arg("passwd").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => std::fs::read_to_string("/etc/passwd").unwrap_or_default(),
    };
    Data::List(text.lines().filter_map(user).collect())
}

fn user(line: &str) -> Option<Data> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, comment, home, shell] = fields[..] else { return None };
    Some(Data::map([
        ("username", Data::from(name)),
        ("uid", uid.parse::<u64>().ok().into()),
        ("gid", gid.parse::<u64>().ok().into()),
        ("comment", comment.into()),
        ("home", home.into()),
        ("shell", shell.into()),
    ]))
}
