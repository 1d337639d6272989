//! Functions of `git` that read.

use sloth_lua::{BoxFuture, Call, Data, Failure, Reply};

use super::{git, head, is_repo, place, plain, required};

/// `status`.
pub fn status(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move { Ok(vec![git(&call, Some(&place(&call)), &["status", "--short", "--branch"]).await?.into()]) })
}

/// `is_repo`.
pub fn is_repository(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move { Ok(vec![is_repo(&call, &place(&call)).await.into()]) })
}

/// `ensure_clean`: `true`, or `false` and what is not committed.
pub fn ensure_clean(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let path = place(&call);
        let text = git(&call, Some(&path), &["status", "--porcelain"]).await?;
        match text.lines().count() {
            0 => Ok(vec![true.into(), Data::Nil]),
            n => {
                let first = text.lines().next().unwrap_or_default();
                Err(Failure::new(format!("{}: {n} changes are not committed, the first: {first}", path.display())))
            }
        }
    })
}

/// `get_commit`.
pub fn get_commit(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let path = place(&call);
        let commit = head(&call, &path).await;
        commit
            .map(|commit| vec![commit.into()])
            .ok_or_else(|| Failure::new(format!("{}: there is no commit", path.display())))
    })
}

/// `get_branch`.
pub fn get_branch(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let path = place(&call);
        let name = git(&call, Some(&path), &["symbolic-ref", "--quiet", "--short", "HEAD"]).await;
        let name = name.map_err(|_| Failure::new(format!("{}: no branch is checked out", path.display())))?;
        Ok(vec![name.trim().into()])
    })
}

/// `log`: the last commits, newest first.
pub fn log(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let count = format!("-n{}", call.args.int("n").unwrap_or(10).clamp(1, 100_000));
        let format = "--format=%H%x1f%an%x1f%ae%x1f%ct%x1f%s";
        let text = git(&call, Some(&place(&call)), &["log", &count, format]).await?;
        let commit = |line: &str| {
            let fields: Vec<&str> = line.split('\x1f').collect();
            let [commit, author, email, time, subject] = fields[..] else { return None };
            Some(Data::map([
                ("commit", Data::from(commit)),
                ("author", author.into()),
                ("email", email.into()),
                ("time", time.parse::<u64>().ok().into()),
                ("message", subject.into()),
            ]))
        };
        Ok(vec![Data::List(text.lines().filter_map(commit).collect())])
    })
}

/// `diff`.
pub fn diff(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let (from, to) = (plain(&call, "from")?, plain(&call, "to")?);
        let mut words = vec!["diff"];
        words.extend(from.as_deref());
        words.extend(to.as_deref());
        words.push("--");
        Ok(vec![git(&call, Some(&place(&call)), &words).await?.into()])
    })
}

/// `remote_head`: commit of a branch there.
pub fn remote_head(call: Call) -> BoxFuture<Reply> {
    Box::pin(async move {
        let url = required(&call, "url")?;
        let branch = plain(&call, "branch")?;
        let wanted = branch.as_ref().map_or_else(|| "HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let text = git(&call, None, &["ls-remote", "--", &url, &wanted]).await?;
        let commit = text.split_ascii_whitespace().next();
        let absent = || Failure::new(format!("{url} has no {}", branch.as_deref().unwrap_or("HEAD")));
        commit.map(|commit| vec![commit.into()]).ok_or_else(absent)
    })
}
