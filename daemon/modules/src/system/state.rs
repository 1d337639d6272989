//! Names, directories and environment of the calling task.

use std::path::Path;
use std::sync::PoisonError;

use sloth_lua::{Call, Data, Failure, Reply};

use crate::describe::give;
use crate::exec::inherited_environment;

/// `cd`. The directory of a task is fixed, so that two coroutines cannot pull it away from under each other.
pub fn cd(_: &Call) -> Reply {
    let message = "system.cd: the directory of a task does not change; set workdir on the task, or give it to the call";
    Err(Failure::new(message))
}

fn name(call: &Call) -> Result<String, Failure> {
    let name = call.args.text("name")?;
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Failure::argument("name", format_args!("{name:?} is not a name of a variable")));
    }
    Ok(name)
}

/// `env(name)`: as commands of the task see it.
pub fn env(call: &Call) -> Reply {
    let name = name(call)?;
    let set = call.ctx.env.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    give(set.unwrap_or_else(|| inherited_environment().remove(&name)))
}

/// `setenv(name, value)`: for later commands of the task.
pub fn setenv(call: &Call) -> Reply {
    let (name, value) = (name(call)?, call.args.text("value")?);
    if value.contains('\0') {
        return Err(Failure::argument("value", "a variable cannot contain a zero byte"));
    }
    call.ctx.env.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Some(value));
    give(true)
}

/// `unsetenv(name)`.
pub fn unsetenv(call: &Call) -> Reply {
    let name = name(call)?;
    call.ctx.env.lock().unwrap_or_else(PoisonError::into_inner).insert(name, None);
    give(true)
}

/// `temp_dir`: that of the task.
#[allow(clippy::unnecessary_wraps)] // the shape of bodies
pub fn temp_dir(call: &Call) -> Reply {
    give(crate::temp::directory(&call.ctx).to_string_lossy().into_owned())
}

/// `reboot_required`: what Debian and its kin leave as a mark, else whether the running kernel is still installed.
#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the shape of bodies
pub fn reboot_required(_: Call) -> Reply {
    if Path::new("/run/reboot-required").exists() {
        let packages = std::fs::read_to_string("/run/reboot-required.pkgs").unwrap_or_default();
        return Ok(vec![true.into(), Data::text(packages.lines().collect::<Vec<_>>().join(" "))]);
    }
    let running = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/usr/lib/modules");
    let has_kernels = modules.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let gone = has_kernels && !modules.join(running.trim()).exists();
    Ok(vec![
        gone.into(),
        if gone { format!("kernel {} is no longer installed", running.trim()) } else { String::new() }.into(),
    ])
}
