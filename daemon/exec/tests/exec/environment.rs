//! What a job finds: user, groups, variables, descriptors, signals, mask, directory, input.

use sloth_core::run::Outcome;

use crate::harness::{World, is_root, launch, shell};

#[tokio::test]
async fn exactly_the_variables_that_were_given_and_the_six() {
    let mut world = World::new().await;
    let mut job = launch(&["/usr/bin/env"]);
    job.env.insert("LANG".into(), "de_DE.UTF-8".into());
    let text = world.output_of(&job).await;
    let mut names: Vec<&str> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "SLOTH_ATTEMPT", "SLOTH_RUN_ID", "USER"]);
    assert!(text.contains("LANG=de_DE.UTF-8\n") && text.contains("PATH=/usr/local/sbin:"), "{text}");
}

#[tokio::test]
async fn the_program_is_searched_in_the_path_of_the_job() {
    let mut world = World::new().await;
    let mut job = launch(&["echo", "found"]);
    assert_eq!(world.output_of(&job).await, "found\n");
    job = launch(&["echo", "found"]);
    job.env.insert("PATH".into(), "/nowhere".into());
    assert!(matches!(world.run(&job).await.outcome, Outcome::NotStarted(_)));
}

#[tokio::test]
async fn nothing_is_inherited() {
    let mut world = World::new().await;
    let text = world.output_of(&shell("ls /proc/self/fd | tr '\\n' ' '; umask")).await;
    // The fourth is the directory that ls reads.
    assert_eq!(text, "0 1 2 3 0022\n");
    let mut job = shell(
        "umask; grep -E 'Sig(Blk|Ign)' /proc/self/status | awk '{print $2}'; cat; readlink /proc/self/fd/0; ps -o pid=,pgid=,sid= -p $$ | awk '{print ($1==$2 && $2==$3)}'",
    );
    job.umask = 0o077;
    assert_eq!(world.output_of(&job).await, "0077\n0000000000000000\n0000000000000000\n/dev/null\n1\n");
}

#[tokio::test]
async fn standard_input_and_directory() {
    let mut world = World::new().await;
    let mut job = shell("pwd; cat");
    job.stdin = Some("line\n".repeat(50_000));
    job.cwd = Some("/usr".into());
    let text = world.output_of(&job).await;
    assert!(text.starts_with("/usr\nline\n") && text.len() == 5 + 250_000, "{}", text.len());
}

#[tokio::test]
async fn another_user() {
    if !is_root() {
        println!("SKIPPED: changing to another user needs root");
        return;
    }
    let mut world = World::new().await;
    let mut job = shell(
        "id -u; id -g; id -G; pwd; echo $HOME $USER; ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign)|CapEff' /proc/self/status | awk '{print $2}'; echo direct > /dev/stdout; echo direct > /dev/stderr",
    );
    job.user = "nobody".into();
    job.cwd = None;
    let end = world.run(&job).await;
    let zeros = "0000000000000000\n".repeat(3);
    let expected = format!("65534\n65534\n65534\n/\n/nonexistent nobody\n0 1 2 3 {zeros}direct\n");
    assert_eq!(world.output(&job), (expected, "direct\n".to_owned()));
    assert_eq!(end.outcome, Outcome::Exited(0));

    let mut job = shell("id -u; id -g; id -G");
    job.user = "nobody".into();
    job.group = Some("daemon".into());
    assert_eq!(world.output_of(&job).await, "65534\n1\n1\n");

    // Neither its directory nor its output file are open to the job.
    let mut job = shell("cat \"$FILE\"");
    job.user = "nobody".into();
    job.env.insert("FILE".into(), world.data().join(&job.output).display().to_string());
    assert_eq!(world.run(&job).await.outcome, Outcome::Exited(1));
}
