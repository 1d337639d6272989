//! Functions of `git` that change something.

use std::path::Path;

use sloth_lua::{BoxFuture, Call, Data, Failure, Reply};

use super::{git, head, is_repo, place, plain, required};
use crate::files::change::{Change, simulated};

#[allow(clippy::unnecessary_wraps)] // the shape of bodies
fn done(call: &Call, change: Change) -> Reply {
    Ok(vec![change.info(simulated(call))])
}

/// `clone`.
pub fn clone(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let url = required(&call, "url")?;
        let name = || {
            url.trim_end_matches('/')
                .trim_end_matches(".git")
                .rsplit(['/', ':'])
                .next()
                .unwrap_or("repository")
                .to_owned()
        };
        let path = call.ctx.resolve(&plain(&call, "local_path")?.unwrap_or_else(name));
        let branch = plain(&call, "branch")?;
        let exists = is_repo(&call, &path).await;
        let change = if exists {
            update(&call, &path, branch.as_deref()).await?
        } else if path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::new(format!("git clone: {} exists and is not a repository", path.display())));
        } else {
            fresh(&call, &url, &path, branch.as_deref()).await?
        };
        let commit = head(&call, &path).await;
        let change = change.with("path", path.to_string_lossy().into_owned()).with("url", url);
        done(&call, change.with("exists", exists).with("commit", commit))
    })
}

async fn fresh(call: &Call, url: &str, path: &Path, branch: Option<&str>) -> Result<Change, Failure> {
    let change = Change::made(format!("{url} cloned to {}", path.display()));
    if simulated(call) {
        return Ok(change);
    }
    let depth = call.args.int("depth").filter(|depth| *depth > 0).map(|depth| format!("--depth={depth}"));
    let mut words = vec!["clone", "--quiet"];
    words.extend(depth.as_deref());
    if call.args.flag("submodules") {
        words.push("--recurse-submodules");
    }
    if let Some(branch) = branch {
        words.extend(["--branch", branch]);
    }
    let target = path.to_string_lossy();
    words.extend(["--", url, &target]);
    git(call, None, &words).await?;
    Ok(change)
}

/// A working copy that is there: made clean and brought up to date when that is wanted.
async fn update(call: &Call, path: &Path, branch: Option<&str>) -> Result<Change, Failure> {
    let before = head(call, path).await;
    let mut changed = false;
    if call.args.flag("clean") {
        let dirty = !git(call, Some(path), &["status", "--porcelain"]).await?.is_empty();
        if dirty && !simulated(call) {
            git(call, Some(path), &["reset", "--quiet", "--hard"]).await?;
            git(call, Some(path), &["clean", "--quiet", "-ffd"]).await?;
        }
        changed |= dirty;
    }
    if call.args.flag("update") && !simulated(call) {
        git(call, Some(path), &["fetch", "--quiet", "--prune", "origin"]).await?;
        if let Some(branch) = branch {
            git(call, Some(path), &["checkout", "--quiet", branch, "--"]).await?;
        }
        git(call, Some(path), &["merge", "--quiet", "--ff-only"]).await?;
        if call.args.flag("submodules") {
            git(call, Some(path), &["submodule", "update", "--quiet", "--init", "--recursive"]).await?;
        }
    }
    changed |= head(call, path).await != before;
    let message = format!("{} {}", path.display(), if changed { "updated" } else { "exists" });
    Ok(Change { changed, ..Change::made(message) })
}

/// Runs a command in the working copy; changed when the commit, or what git says about the files, is another one after it.
async fn observed(call: &Call, words: &[&str], what: &str) -> Reply {
    let path = place(call);
    let message = format!("{}: {what}", path.display());
    if simulated(call) {
        if !is_repo(call, &path).await {
            return Err(Failure::new(format!("{} is not a repository", path.display())));
        }
        return done(call, Change::made(message));
    }
    let look = async || {
        let status = git(call, Some(&path), &["status", "--porcelain"]).await.unwrap_or_default();
        let refs = git(call, Some(&path), &["for-each-ref"]).await.unwrap_or_default();
        let branch = git(call, Some(&path), &["symbolic-ref", "--quiet", "HEAD"]).await.unwrap_or_default();
        (head(call, &path).await, status, refs, branch)
    };
    let before = look().await;
    let output = git(call, Some(&path), words).await?;
    let after = look().await;
    let change = Change { changed: before != after, ..Change::made(message) };
    done(call, change.with("commit", after.0).with("output", output).with("path", path.to_string_lossy().into_owned()))
}

/// `pull`.
pub fn pull(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move { observed(&call, &["pull", "--quiet", "--ff-only"], "pulled").await })
}

/// `fetch`.
pub fn fetch(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let remote = plain(&call, "remote")?.unwrap_or_else(|| "origin".to_owned());
        observed(&call, &["fetch", "--quiet", "--prune", "--tags", &remote], "fetched").await
    })
}

/// `push`.
pub fn push(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let remote = plain(&call, "remote")?.unwrap_or_else(|| "origin".to_owned());
        let branch = plain(&call, "branch")?.unwrap_or_else(|| "HEAD".to_owned());
        let path = place(&call);
        let message = format!("{} pushed to {remote}", path.display());
        let mut words = vec!["push", "--porcelain"];
        words.extend(simulated(&call).then_some("--dry-run"));
        words.extend(call.args.flag("tags").then_some("--follow-tags"));
        words.extend([remote.as_str(), branch.as_str()]);
        let output = git(&call, Some(&path), &words).await?;
        // A line per reference, which begins with "=" when it was there already.
        let changed = output.lines().any(|line| line.contains('\t') && !line.starts_with('='));
        done(&call, Change { changed, ..Change::made(message) }.with("output", output))
    })
}

/// `checkout`.
pub fn checkout(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let branch = required(&call, "branch")?;
        let what = format!("{branch} checked out");
        if call.args.flag("create") {
            return observed(&call, &["checkout", "--quiet", "-b", &branch], &what).await;
        }
        observed(&call, &["checkout", "--quiet", &branch, "--"], &what).await
    })
}

/// `commit`: nothing to commit is no failure.
pub fn commit(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let message = call.args.text("message")?;
        let path = place(&call);
        let all = call.args.flag("add_all");
        let status = git(&call, Some(&path), &["status", "--porcelain"]).await?;
        let is_staged = |line: &str| !line.starts_with([' ', '?', '!']);
        if !status.lines().any(|line| all || is_staged(line)) {
            let none = Change::none(format!("{}: nothing to commit", path.display()));
            return done(&call, none.with("commit", head(&call, &path).await));
        }
        if all && !simulated(&call) {
            git(&call, Some(&path), &["add", "--all"]).await?;
        }
        let text = format!("--message={message}");
        observed(&call, &["commit", "--quiet", &text], "committed").await
    })
}

/// `add`.
pub fn add(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let files = call.args.texts("files");
        let mut words = vec!["add", "--"];
        words.extend(files.iter().map(String::as_str));
        if files.is_empty() {
            words = vec!["add", "--all"];
        }
        observed(&call, &words, "added").await
    })
}

/// `tag`.
pub fn tag(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let name = required(&call, "name")?;
        let path = place(&call);
        let tagged =
            git(&call, Some(&path), &["rev-parse", "--verify", "--quiet", &format!("refs/tags/{name}^{{commit}}")])
                .await;
        if let Ok(tagged) = tagged {
            if Some(tagged.trim()) == head(&call, &path).await.as_deref() {
                return done(&call, Change::none(format!("{} is tagged {name}", path.display())));
            }
            return Err(Failure::new(format!("git tag: {name} exists and is another commit")));
        }
        match call.args.opt_text("message") {
            Some(message) => {
                observed(&call, &["tag", "--annotate", &format!("--message={message}"), &name], "tagged").await
            }
            None => observed(&call, &["tag", &name], "tagged").await,
        }
    })
}

/// `reset`.
pub fn reset(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let to = plain(&call, "ref")?.unwrap_or_else(|| "HEAD".to_owned());
        let how = if call.args.flag("hard") { "--hard" } else { "--mixed" };
        observed(&call, &["reset", "--quiet", how, &to, "--"], &format!("reset to {to}")).await
    })
}

/// `ensure`: a working copy of this repository at this commit, branch or tag. Family `C`.
pub fn ensure(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let url = required(&call, "url")?;
        let path = place(&call);
        let wanted = plain(&call, "ref")?;
        let mut changed = false;
        if is_repo(&call, &path).await {
            let there = git(&call, Some(&path), &["remote", "get-url", "origin"]).await.unwrap_or_default();
            if there.trim() != url {
                let message = format!("{} is a working copy of {:?}, not of {url:?}", path.display(), there.trim());
                return Err(Failure::new(message));
            }
        } else {
            fresh(&call, &url, &path, None).await?;
            changed = true;
        }
        if simulated(&call) && changed {
            return done(&call, Change::made(format!("{url} cloned to {}", path.display())));
        }
        let before = head(&call, &path).await;
        let target = resolve(&call, &path, wanted.as_deref()).await?;
        let moved = before.as_deref() != Some(target.as_str());
        if moved && !simulated(&call) {
            git(&call, Some(&path), &["checkout", "--quiet", "--detach", &target, "--"]).await?;
        }
        let change = Change { changed: changed || moved, ..Change::made(format!("{} is at {target}", path.display())) };
        let change = change.with("path", path.to_string_lossy().into_owned()).with("url", url);
        done(&call, change.with("commit", Data::from(target)))
    })
}

/// The commit that a name means there: fetched first, unless it is a commit that is here.
async fn resolve(call: &Call, path: &Path, wanted: Option<&str>) -> Result<String, Failure> {
    let look = async |name: &str| {
        let name = format!("{name}^{{commit}}");
        git(call, Some(path), &["rev-parse", "--verify", "--quiet", &name])
            .await
            .ok()
            .map(|text| text.trim().to_owned())
    };
    let is_commit = |name: &&str| name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(commit) = wanted.filter(is_commit)
        && let Some(found) = look(commit).await
    {
        return Ok(found);
    }
    // Fetching changes what is known, not the working copy, so it is done in check mode, too.
    git(call, Some(path), &["fetch", "--quiet", "--prune", "--tags", "--force", "origin"]).await?;
    let wanted = wanted.unwrap_or("HEAD");
    for name in [format!("refs/remotes/origin/{wanted}"), format!("refs/tags/{wanted}"), wanted.to_owned()] {
        if let Some(found) = look(&name).await {
            return Ok(found);
        }
    }
    Err(Failure::new(format!("{}: there is no {wanted}", path.display())))
}
