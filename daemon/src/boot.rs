//! Which boot this is, and when it was. In a container both are its own: the kernel goes on when the container is started again, and
//! the unit's view of /proc may show the kernel's `boot_id` where the container has another.

use std::fs;
use std::time::Duration;

use sloth_core::Moment;

use crate::clock;

/// Names this boot: the kernel's `boot_id`, and when PID 1 of this system started. Without either it is shorter, never wrong.
pub fn identity() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    name(kernel.trim(), first_started())
}

fn name(kernel: &str, first: Option<u64>) -> String {
    match first {
        Some(ticks) => format!("{kernel}.{ticks}"),
        None => kernel.to_owned(),
    }
}

/// When this system booted: when its PID 1 started, or the kernel where that cannot be seen.
pub fn at() -> Moment {
    let up = clock::uptime();
    let ticks_per_second =
        nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().and_then(|n| u64::try_from(n).ok());
    let before = match (first_started(), ticks_per_second) {
        (Some(ticks), Some(per_second)) if per_second > 0 => {
            Duration::from_millis(ticks.saturating_mul(1000) / per_second)
        }
        _ => Duration::ZERO,
    };
    clock::now() - up.saturating_sub(before)
}

/// Start of PID 1 in clock ticks since the kernel booted. Another user may not see it (`hidepid`, proc(5)).
fn first_started() -> Option<u64> {
    start_ticks(&fs::read_to_string("/proc/1/stat").ok()?)
}

/// Field 22 of proc_pid_stat(5); the name before it may hold anything but ends with the last bracket.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_found_behind_any_name() {
        let stat = "1 (a) b) 2) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2 3";
        assert_eq!(start_ticks(stat), Some(4711));
        assert_eq!(start_ticks("1 (sh"), None);
        assert_eq!(start_ticks("1 (sh) S 0"), None);
    }

    #[test]
    fn a_container_that_starts_again_is_another_boot() {
        assert_ne!(name("k", Some(1)), name("k", Some(2)));
        assert_eq!(name("k", None), "k");
    }

    #[test]
    fn this_system_booted_in_the_past() {
        assert!(at() < clock::now());
        assert_eq!(identity(), identity());
    }
}
