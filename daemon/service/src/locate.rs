//! Finds what a name in a request stands for, and whether the caller may touch it.

use sloth_api::ErrorCode;
use sloth_core::Uid;
use sloth_core::machine::Loaded;
use sloth_core::run::Run;

use crate::access::Action;
use crate::fields::check_name;
use crate::{Caller, Service, ServiceError};

impl Service {
    /// The owner and the bare name behind `name` or `user/name`.
    pub(crate) async fn owner_of(
        &self,
        caller: &Caller,
        name: &str,
        action: &'static str,
    ) -> Result<(Uid, String), ServiceError> {
        let Some((user, bare)) = name.split_once('/') else {
            check_name(name)?;
            self.require_owner(caller, caller.uid, Action::new(action, "schedule", name)).await?;
            return Ok((caller.uid, name.to_owned()));
        };
        check_name(bare)?;
        let owner = self.host.user_id(user);
        self.require_owner(caller, owner.unwrap_or(Uid(u32::MAX)), Action::new(action, "schedule", name)).await?;
        let owner = owner.ok_or_else(|| ServiceError::not_found(format_args!("user {user:?}")))?;
        Ok((owner, bare.to_owned()))
    }

    /// The schedule of this name, when the caller may do this with it.
    pub(crate) async fn find(&self, caller: &Caller, name: &str, action: &'static str) -> Result<Loaded, ServiceError> {
        let (owner, bare) = self.owner_of(caller, name, action).await?;
        if let Some(loaded) = self.store.schedule_by_name(owner, &bare)? {
            return Ok(loaded);
        }
        let error = ServiceError::new(ErrorCode::NotFound, format!("there is no schedule {name:?}"));
        Err(match self.nearest(owner, &bare) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("slothctl scheduler list shows your schedules; another user's is user/name"),
        })
    }

    /// Whether the schedule still has the revision that the caller has seen (`If-Match`). A change in between is found by the store.
    pub async fn check_revision(&self, caller: &Caller, name: &str, seen: u32) -> Result<(), ServiceError> {
        let now = self.find(caller, name, "schedule:read").await?.schedule.revision;
        match now == seen {
            true => Ok(()),
            false => {
                let message = format!("{name} has revision {now}, not {seen}");
                Err(ServiceError::new(ErrorCode::PreconditionFailed, message)
                    .hint("read it again and repeat the change"))
            }
        }
    }

    /// A schedule of the owner whose name is nearly this.
    fn nearest(&self, owner: Uid, name: &str) -> Option<String> {
        let filter = sloth_store::ScheduleFilter { owner: Some(owner), ..Default::default() };
        let list = self.store.schedules(&filter, 1000).ok()?;
        let names = list.items.into_iter().map(|loaded| loaded.schedule.name.clone());
        names.map(|known| (distance(&known, name), known)).filter(|(d, _)| *d <= 2).min().map(|(_, known)| known)
    }

    /// The run with this id or part of an id, when the caller may do this with it.
    pub(crate) async fn find_run(&self, caller: &Caller, id: &str, action: &'static str) -> Result<Run, ServiceError> {
        let run = match self.store.run_by_text(id) {
            Ok(run) => run,
            Err(sloth_store::StoreError::NotFound { .. }) => {
                return Err(ServiceError::new(ErrorCode::NotFound, format!("there is no run {id:?}"))
                    .hint("a whole id, or at least 6 characters of its beginning or end; see slothctl runs list"));
            }
            Err(error) => return Err(error.into()),
        };
        self.require_owner(caller, run.owner, Action::on_run(action, &run)).await?;
        Ok(run)
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn distance_counts_edits() {
        assert_eq!(super::distance("nightly", "nigthly"), 2);
        assert_eq!(super::distance("a", "a"), 0);
        assert_eq!(super::distance("", "abc"), 3);
    }
}
