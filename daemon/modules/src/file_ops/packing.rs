//! Archives.

use sloth_lua::{Call, Failure, Reply};

use super::done;
use crate::files::archive::archive as pack;
use crate::files::atomic::How;
use crate::files::change::{Change, simulated};
use crate::files::copy::globs;
use crate::files::owner::Attributes;
use crate::files::packed::Format;
use crate::files::unarchive::{Plan, unarchive as unpack};
use crate::files::{failed, source};
use crate::fs::path;

/// `unarchive`.
pub fn unarchive(call: Call) -> Reply {
    let dest = path(&call, "dest")?;
    let src = call.args.text("src")?;
    if let Some(creates) = call.args.opt_text("creates").filter(|path| call.ctx.resolve(path).exists()) {
        return done(
            &call,
            Change::none(format!("{creates} exists")).with("dest", dest.to_string_lossy().into_owned()),
        );
    }
    if src.contains("://") || call.args.flag("remote") {
        return Err(Failure::new(format!("file_ops.unarchive {src}: download it with http.download first")));
    }
    let include = call.args.texts("include");
    let plan = Plan {
        strip: usize::try_from(call.args.int("strip").unwrap_or(0))
            .map_err(|_| Failure::argument("strip", "0 or more expected"))?,
        include: if include.is_empty() { None } else { Some(globs(&include)?) },
        exclude: globs(&call.args.texts("exclude"))?,
        attributes: Attributes::from(&call.args)?,
        simulated: simulated(&call),
    };
    let from = source(&call.ctx, &src);
    let differences = unpack(&from, &dest, &plan, &call.ctx)?;
    let change = if differences.is_empty() {
        Change::none(format!("{} is as in {}", dest.display(), from.display()))
    } else {
        Change::made(format!("{} extracted to {}", from.display(), dest.display())).because(differences)
    };
    let (src, dest) = (from.to_string_lossy().into_owned(), dest.to_string_lossy().into_owned());
    done(&call, change.with("src", src).with("dest", dest))
}

/// `archive`.
pub fn archive(call: Call) -> Reply {
    let (src, dest) = (path(&call, "src")?, path(&call, "dest")?);
    let named = call.args.opt_text("format");
    let format = Format::from_name(named.as_deref().unwrap_or(&dest.to_string_lossy()));
    let known = "tar, tar.gz, tar.xz, tar.zst, tar.bz2 or zip";
    let format = match (format, named) {
        (Some(format), _) => format,
        (None, Some(named)) => {
            return Err(Failure::argument("format", format_args!("{known} expected, got {named:?}")));
        }
        (None, None) => return Err(failed(&dest, format_args!("its name says no format ({known})"))),
    };
    let how = How::from(&call.args)?;
    let exclude = globs(&call.args.texts("exclude"))?;
    let (changed, sum) = pack(&src, &dest, format, &exclude, &how, simulated(&call), &call.ctx)?;
    let message = format!("{} packed into {}", src.display(), dest.display());
    let change =
        if changed { Change::made(message) } else { Change::none(format!("{} is up to date", dest.display())) };
    let (src, dest) = (src.to_string_lossy().into_owned(), dest.to_string_lossy().into_owned());
    done(&call, change.with("src", src).with("dest", dest).with("checksum", sum))
}
