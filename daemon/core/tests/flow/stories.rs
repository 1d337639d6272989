//! Rules of the engine, each with the sentence that it tests.

use crate::story::tell;

/// "Highest `priority` first; then the longest remaining critical path; then definition order."
#[test]
fn order_of_ready_tasks() {
    tell(
        "run slots=2 window=0
         task a
         task b
         task c priority=10
         task long
         task next after=long
         expect begins c long a b next
         expect run completed",
    );
}

/// "A run with concurrency 1 executes in a topological order that preserves definition order, so it is deterministic."
#[test]
fn one_at_a_time_keeps_the_order_of_the_file() {
    tell(
        "run slots=1
         task a
         task b after=a
         task c
         task d after=b
         expect begins a b c d
         expect over at 4s",
    );
}

/// "Tasks without a path between them run concurrently up to `max_parallel_tasks`."
#[test]
fn slots_bound_what_runs_at_once() {
    tell(
        "run slots=2
         task a
         task b
         task c
         task d
         expect over at 2s
         expect at-once 2",
    );
}

/// "An `async` task does not occupy a slot; in `listed` order its successor starts as soon as it has started. The
/// workflow waits for all async tasks before it ends."
#[test]
fn async_tasks_take_no_slot() {
    tell(
        "run slots=1
         task bg async
         task a order=bg
         task b order=a
         task reads after=bg order=b
         ends bg ok after 5s
         expect begins bg a b reads
         expect over at 6s
         expect run completed",
    );
}

/// "no new task starts; running tasks finish; the rest is `skipped` (`fail_fast` or `dependency_failed`)"
#[test]
fn stop_is_the_default_policy() {
    tell(
        "run slots=2 window=0
         task bad
         task slow
         task needs after=bad
         task transitive after=needs
         task other
         ends bad exit after 1s
         ends slow ok after 3s
         expect bad=failed slow=completed needs=skipped:dependency_failed transitive=skipped:dependency_skipped
         expect other=skipped:fail_fast
         expect why other: not started: task \"bad\" failed
         expect why needs: dependency \"bad\" failed
         expect run failed task_failed
         expect over at 3s",
    );
}

/// "as default, and running tasks are cancelled"
#[test]
fn fail_fast_cancels_running_tasks() {
    tell(
        "run fail_fast
         task bad
         task slow
         ends slow ok after 60s
         ends bad exit after 1s
         expect bad=failed slow=cancelled
         expect over at 1s",
    );
}

/// "tasks that do not depend on the failed one go on; run `failed` at the end"
#[test]
fn continue_goes_on_with_what_does_not_depend() {
    tell(
        "run slots=1 continue
         task bad
         task needs after=bad
         task other
         ends bad exit
         expect bad=failed needs=skipped:dependency_failed other=completed
         expect run failed task_failed",
    );
}

/// "failure is recorded as `failed` with `ignored=true`; dependents treat it as satisfied; the workflow does not fail"
#[test]
fn ignored_failures_satisfy() {
    tell(
        "task bad ignore
         task needs after=bad
         ends bad exit
         expect bad=ignored needs=completed
         expect run completed",
    );
}

/// "a not-yet-started task whose own condition mentions a failure status or `failure()`/`always()` is still evaluated
/// and may run"
#[test]
fn clean_up_runs_in_a_failing_run() {
    tell(
        "task import
         task tell_ops soft=import condition=\"import.failed || import.cancelled\"
         task reindex after=import condition=\"values.full == true\"
         task cleanup after=import condition=always()
         ends import exit
         expect import=failed tell_ops=completed reindex=skipped:dependency_failed cleanup=completed
         expect run failed task_failed",
    );
}

/// "later stages: a stage condition is evaluated when all earlier stages have ended"
#[test]
fn stages_follow_each_other() {
    tell(
        "stage build
         task compile
         task docs
         stage test condition=build.success
         task unit
         stage notify condition=\"test.failed\"
         task mail
         stage always condition=always()
         task clean
         ends unit exit
         expect compile=completed unit=failed mail=completed clean=completed
         expect run failed task_failed",
    );
    tell(
        "stage build
         task compile
         stage notify condition=build.failed
         task mail
         stage after
         task next
         expect mail=skipped:condition next=completed
         expect run completed",
    );
}

/// "up to `tolerate` failures are accepted"
#[test]
fn tolerate_accepts_failures() {
    tell(
        "stage edge tolerate=1
         task a
         task b
         ends a exit
         expect a=ignored b=completed
         expect run completed",
    );
    tell(
        "stage edge tolerate=1
         task a
         task b
         ends a exit
         ends b exit after 2s
         expect a=ignored b=failed
         expect run failed task_failed",
    );
}

/// "A branch not taken is `skipped` with reason `condition`."
#[test]
fn branches_of_a_choice() {
    tell(
        "task choose
         task yes branch=choose:0
         task no branch=choose:1
         task after_no after=no
         ends choose ok:0
         expect yes=completed no=skipped:condition after_no=completed
         expect run completed",
    );
}

/// "Retries come first: a failure counts only after the last attempt."
#[test]
fn retries_come_first() {
    tell(
        "task flaky retries=2
         task next after=flaky
         ends flaky exit; exit; ok
         expect flaky=completed next=completed
         expect attempts flaky 3
         expect over at 6s",
    );
    tell(
        "task refused retries=5
         ends refused denied
         expect refused=failed
         expect attempts refused 1",
    );
}

/// "The task holds its concurrency key but not its slot while `waiting`."
#[test]
fn a_waiting_task_holds_no_slot() {
    tell(
        "run slots=1
         task flaky retries=1 key=k
         task other
         ends flaky exit; ok
         expect begins flaky other flaky
         expect run completed",
    );
}

/// "A retry is not started when the remaining workflow timeout is smaller than the delay."
#[test]
fn no_retry_beyond_the_timeout() {
    tell(
        "run timeout=1500ms
         task flaky retries=3
         ends flaky exit
         expect flaky=failed
         expect attempts flaky 1
         expect run failed task_failed
         expect over at 1s",
    );
}

/// "task `timeout`: kill, kind `timeout`; may be retried" and "workflow `timeout`: running tasks cancelled, run
/// `failed`, reason `timeout`"
#[test]
fn timeouts() {
    tell(
        "task slow timeout=2s retries=1
         ends slow ok after 10s; ok after 1s
         expect slow=completed
         expect attempts slow 2
         expect over at 4s",
    );
    tell(
        "run timeout=3s
         task slow
         task next after=slow
         ends slow ok after 10s
         expect slow=cancelled next=cancelled
         expect run failed timeout
         expect over at 3s",
    );
    tell(
        "stage one timeout=2s
         task slow
         stage two
         task next
         ends slow ok after 10s
         expect slow=cancelled
         expect run failed timeout
         expect over at 2s",
    );
}

/// "run → nothing new starts, running attempts get the kill sequence, tasks `cancelled`"
#[test]
fn cancel() {
    tell(
        "run slots=1
         task a
         task b
         stage later
         task c
         ends a ok after 10s
         cancel 2s
         cancel 3s
         expect a=cancelled b=cancelled c=cancelled
         expect run cancelled user
         expect over at 2s",
    );
    tell(
        "task a
         task b
         task c after=a
         ends a ok after 10s
         cancel-task a 2s
         expect a=cancelled b=completed c=skipped:dependency_cancelled",
    );
}

/// "`run pause`: nothing new starts, running tasks go on"
#[test]
fn pause() {
    tell(
        "run slots=1
         task a
         task b
         pause 500ms
         unpause 5s
         expect a=completed b=completed
         expect over at 6s",
    );
}

/// "a retry re-runs only its unfinished tasks", and each task gets one terminal record.
#[test]
fn a_stage_is_retried() {
    tell(
        "stage one retry=1
         task good
         task bad
         task next after=bad
         ends bad exit; ok
         expect begins bad good bad next
         expect good=completed bad=completed next=completed
         expect run completed",
    );
    tell(
        "stage one retry=1
         task bad
         task next after=bad
         ends bad exit
         expect bad=failed next=skipped:dependency_failed
         expect attempts bad 2
         expect run failed task_failed",
    );
}

/// "error_handling.retry: retry table for the whole workflow"
#[test]
fn a_workflow_is_retried() {
    tell(
        "run retry=1
         stage one
         task a
         stage two
         task b
         task c after=b
         ends b exit; ok
         expect begins a b b c
         expect a=completed b=completed c=completed
         expect run completed",
    );
}

/// "A task starts when the sum of requests of running tasks plus its own fits."
#[test]
fn resources_admit() {
    tell(
        "run cpu=1000
         task a cpu=600
         task b cpu=600
         task c
         expect over at 2s
         expect run completed",
    );
}

/// "excluded by --task/--from/--tags"
#[test]
fn selection() {
    tell(
        "run only=c
         task a
         task b
         task c after=a
         expect a=completed b=skipped:not_selected c=completed",
    );
    tell(
        "run from=b
         task a
         task b after=a
         task c after=b
         expect begins b c
         expect a=skipped:not_selected b=completed c=completed",
    );
    tell(
        "run only=c no_deps
         task a
         task c after=a
         expect a=skipped:not_selected c=completed",
    );
}

/// "`abort_if`: true fails the task with reason `abort_if` before it starts"
#[test]
fn abort_if() {
    tell(
        "task a abort=true
         expect a=failed
         expect why a: abort_if is true
         expect attempts a 0",
    );
}

/// "cycle_detection = false: cycle members fail at run time"
#[test]
fn a_circle_fails() {
    tell(
        "run continue
         task a
         task b
         task c after=b
         edge c b
         expect a=completed b=failed c=skipped:dependency_failed
         expect why b: circular dependency through \"b\"
         expect run failed task_failed",
    );
}

/// "A task that was running follows `on_resume`: `retry` (new attempt), `fail`, `skip`."
#[test]
fn resume_after_the_death_of_a_worker() {
    tell(
        "run slots=1 window=0
         task a
         task b after=a
         die 3
         expect begins a b
         expect a=completed b=completed
         expect attempts b 2",
    );
    tell(
        "run slots=1 window=0
         task a on_resume=fail
         task b after=a
         die 1
         expect a=failed b=skipped:dependency_failed
         expect run failed task_failed",
    );
    tell(
        "run slots=1 window=0
         task a on_resume=skip
         task b after=a
         die 1
         expect a=skipped:condition b=completed",
    );
}
