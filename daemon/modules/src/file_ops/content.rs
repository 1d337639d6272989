//! Whole files: copies, templates, directories, links.

use std::fs;
use std::path::Path;

use sloth_lua::{Call, Data, Failure, Reply};

use super::done;
use crate::files::atomic::{How, replace};
use crate::files::change::{Change, simulated};
use crate::files::copy::{Plan, file, link, tree};
use crate::files::{digest, failed, source};
use crate::fs::{linked, make_directory, path, remove_tree, touch_file};
use crate::template::{Roots, render_text};

/// `copy`.
pub fn copy(call: Call) -> Reply {
    let dest = path(&call, "dest")?;
    if let Some(Data::Str(_) | Data::Num(_)) = call.args.get("content") {
        return install(&call, &dest, &call.args.bytes("content")?, None);
    }
    let src = call.args.opt_text("src").ok_or_else(|| Failure::argument("src", "string expected, got nil"))?;
    let from = source(&call.ctx, &src);
    let plan = Plan {
        how: How::from(&call.args)?,
        force: call.args.flag_or("force", true),
        simulated: simulated(&call),
        ..Plan::default()
    };
    let meta = fs::metadata(&from).map_err(|error| failed(&from, error))?;
    if meta.is_dir() && !call.args.flag_or("recursive", true) {
        return Err(failed(&from, "is a directory, and recursive is false"));
    }
    let to = if meta.is_file() && (dest.is_dir() || call.args.text("dest")?.ends_with('/')) {
        dest.join(from.file_name().unwrap_or_default())
    } else {
        dest
    };
    let differences =
        if meta.is_dir() { tree(&from, &to, &plan, &call.ctx)? } else { file(&from, &to, &plan, &call.ctx)? };
    let change = told(differences, &to).with("src", from.to_string_lossy().into_owned()).with("dest", shown(&to));
    let sum = if meta.is_file() { Some(digest::sha256(&from).map_err(|error| failed(&from, error))?) } else { None };
    done(&call, change.with("size", meta.len()).with("checksum", sum))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn told(differences: Vec<String>, path: &Path) -> Change {
    if differences.is_empty() {
        return Change::none(format!("{} is as wanted", path.display()));
    }
    Change::made(format!("{} changed", path.display())).because(differences)
}

/// Makes a file have this content and the attributes of the call.
pub fn install(call: &Call, dest: &Path, content: &[u8], src: Option<&Path>) -> Reply {
    let how = How::from(&call.args)?;
    let old = fs::read(dest).ok();
    let is_new = old.is_none();
    let differences = if old.as_deref() == Some(content) {
        how.attributes.ensure(dest, simulated(call))?
    } else if !is_new && !call.args.flag_or("force", true) {
        Vec::new()
    } else {
        if !simulated(call) {
            replace(dest, &mut &*content, &how, &call.ctx)?;
        }
        vec![format!("{}: {}", dest.display(), if is_new { "created" } else { "content replaced" })]
    };
    let change = told(differences, dest)
        .with("dest", shown(dest))
        .with("path", shown(dest))
        .with("src", src.map(shown))
        .with("size", content.len() as u64)
        .with("checksum", digest::sha256_of(content));
    done(call, change)
}

/// `template`.
pub fn template(call: Call) -> Reply {
    let dest = path(&call, if call.args.get("dest").is_some() { "dest" } else { "dst" })?;
    let (text, src) = match call.args.opt_text("content") {
        Some(text) => (text, None),
        None => {
            let src = call.args.opt_text("src").ok_or_else(|| Failure::argument("src", "string expected, got nil"))?;
            let src = source(&call.ctx, &src);
            (fs::read_to_string(&src).map_err(|error| failed(&src, error))?, Some(src))
        }
    };
    let roots = Roots::from(&call.args, &call.ctx)?;
    let rendered = render_text(&text, &roots).map_err(|mistake| {
        let name = src.as_ref().map_or_else(|| "template".to_owned(), |src| src.display().to_string());
        Failure::new(format!("{name}:{}: {}", mistake.line, mistake.message))
    })?;
    install(&call, &dest, rendered.as_bytes(), src.as_deref())
}

/// `create` of `file`.
pub fn create(call: Call) -> Reply {
    let content = call.args.get("content").map(|_| call.args.bytes("content")).transpose()?.unwrap_or_default();
    install(&call, &path(&call, "path")?, &content, None)
}

/// `mkdir`.
pub fn mkdir(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let change = make_directory(&call, &path)?;
    done(&call, change.with("path", shown(&path)))
}

/// `remove`.
pub fn remove(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let change = remove_tree(&call, &path)?;
    done(&call, change.with("path", shown(&path)))
}

/// `symlink`.
pub fn symlink(call: Call) -> Reply {
    let (target, dest) = (call.args.text("src")?, path(&call, "dest")?);
    let differences = link(Path::new(&target), &dest, call.args.flag("force"), simulated(&call))?;
    done(&call, linked(differences, &dest, &target).with("path", shown(&dest)))
}

/// `touch`.
pub fn touch(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let change = touch_file(&call, &path)?;
    done(&call, change.with("path", shown(&path)))
}

/// `stat`.
pub fn stat(call: Call) -> Reply {
    let path = path(&call, "path")?;
    let mut facts = crate::fs::facts(&path)?;
    if path.is_file() {
        facts.push(("checksum", digest::sha256(&path).map_err(|error| failed(&path, error))?.into()));
    }
    Ok(vec![true.into(), Data::map(facts)])
}

/// `fetch`: a file of another host.
pub fn fetch(call: Call) -> Reply {
    let src = call.args.text("src")?;
    let is_url = src.contains("://") && !src.starts_with("file://");
    if is_url || src.split_once(':').is_some_and(|(agent, path)| !agent.contains('/') && path.starts_with('/')) {
        let what = if is_url { "use http.download" } else { "agents are not available in this build" };
        return Err(Failure::new(format!("file_ops.fetch {src}: {what}")));
    }
    let from = source(&call.ctx, src.strip_prefix("file://").unwrap_or(&src));
    let content = fs::read(&from).map_err(|error| failed(&from, error))?;
    if let Some(wanted) = call.args.opt_text("checksum") {
        let found = digest::sha256_of(&content);
        let wanted = wanted.trim_start_matches("sha256:").to_ascii_lowercase();
        if found != wanted {
            return Err(failed(&from, format_args!("checksum is {found}, not {wanted}")));
        }
    }
    let dest = path(&call, "dest")?;
    let dest = if dest.is_dir() { dest.join(from.file_name().unwrap_or_default()) } else { dest };
    install(&call, &dest, &content, Some(&from))
}
