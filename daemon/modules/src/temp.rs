//! The private directory of an attempt: made when it is needed first, because most functions never need it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use sloth_lua::Ctx;

/// Its path. When it cannot be made, that shows itself in whoever uses it.
pub fn directory(ctx: &Ctx) -> &Path {
    let _ = DirBuilder::new().mode(0o700).create(&ctx.temp_dir);
    &ctx.temp_dir
}
