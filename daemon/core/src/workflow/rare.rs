//! Details of tasks, which take memory only where there are any: a file may define ten thousand tasks, and most of them
//! have a name and a command and nothing else.

use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use super::graph::{Details, Task};

/// What a task without details has.
static USUAL: LazyLock<Details> = LazyLock::new(Details::default);

/// Details, made when one of them is written.
#[derive(Clone, Debug, Default)]
pub struct Rare(Option<Box<Details>>);

impl Rare {
    /// Whether they take no memory.
    pub fn is_usual(&self) -> bool {
        self.0.is_none()
    }
}

impl Deref for Rare {
    type Target = Details;

    fn deref(&self) -> &Details {
        self.0.as_deref().unwrap_or(&USUAL)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut Details {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Rare {
    fn eq(&self, other: &Rare) -> bool {
        **self == **other
    }
}

impl From<Details> for Rare {
    fn from(details: Details) -> Rare {
        Rare((details != *USUAL).then(|| Box::new(details)))
    }
}

impl Deref for Task {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.details
    }
}

impl DerefMut for Task {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.details
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_take_memory_only_where_one_is_written() {
        let mut task = Task::default();
        assert!(task.env.is_empty() && task.details.is_usual());
        task.tags.push("slow".to_owned());
        assert!(!task.details.is_usual());
        assert_eq!(task.tags, ["slow"]);
    }

    #[test]
    fn details_that_were_written_and_emptied_are_equal_to_none() {
        let mut task = Task::default();
        task.tags.clear();
        assert!(!task.details.is_usual());
        assert_eq!(task, Task::default());
        assert!(Rare::from(task.details.deref().clone()).is_usual());
    }

    /// Ten thousand of them, twice (as written and as executed), are a part of the 20 MB that a worker may take.
    #[test]
    fn a_task_is_small() {
        assert!(size_of::<Task>() <= 320, "{}", size_of::<Task>());
    }
}
