//! Bytes of packets: "where accounting works, IP bytes come from the unit's properties", and where it does not, they are unknown.

use serde_json::Value;
use sloth_tests::skips::skip;

use crate::Machine;

/// Sends itself 1000 bytes over the loopback: 1028 with the headers of UDP and IP, both ways.
const TALK: &str = "perl -MIO::Socket::INET -e '\
    my $s = IO::Socket::INET->new(Proto => \"udp\", LocalAddr => \"127.0.0.1\") or die $!; \
    $s->send(\"x\" x 1000, 0, $s->sockname) or die $!; $s->recv(my $got, 2000); print length($got), \" came back\\n\"'";

/// Whether the systemd of this machine counts, by what it says of a unit that is not ours.
fn counts(machine: &Machine) -> bool {
    machine.ok(&["systemd-run", "--quiet", "--unit", "counted", "-p", "IPAccounting=yes", "sleep", "600"]);
    let value = machine.property("counted.service", "IPEgressBytes");
    machine.ok(&["systemctl", "stop", "counted.service"]);
    value.parse::<u64>().is_ok_and(|value| value != u64::MAX)
}

fn bytes(run: &Value) -> (Option<u64>, Option<u64>) {
    (run["ip_ingress_bytes"].as_u64(), run["ip_egress_bytes"].as_u64())
}

/// A machine that counts. On one that does not, runs say so: the test ends there, loudly.
fn counting() -> Option<Machine> {
    let machine = Machine::boot()?;
    if counts(&machine) {
        return Some(machine);
    }
    let run = machine.once("uncounted", &["--shell", TALK]);
    assert_eq!((run["status"].as_str(), bytes(&run)), (Some("completed"), (None, None)), "{run}");
    let test = std::thread::current().name().unwrap_or("bytes of packets").to_owned();
    skip(&test, "NO PACKETS WERE COUNTED: this kernel or namespace does not let systemd load BPF programs");
    None
}

#[test]
fn a_run_knows_the_bytes_of_its_packets() {
    let Some(machine) = counting() else { return };
    for user in ["root", "ann"] {
        let run = machine.once(user, &["--user", user, "--shell", TALK]);
        assert_eq!(run["status"], "completed", "{run}");
        assert!(machine.output(&run).contains("1000 came back"), "{}", machine.output(&run));
        assert_eq!(bytes(&run), (Some(1028), Some(1028)), "{run}");
    }
    let listed = machine.runs("ann");
    assert_eq!(bytes(&listed[0]), (Some(1028), Some(1028)), "{listed:?}");
    let shown = machine.ctl(&["runs", "show", listed[0]["id"].as_str().expect("an id")]);
    assert!(shown.contains("received") && shown.contains("sent"), "{shown}");
    // None and zero are different things, and the strictest sandbox can still be asked about.
    let run = machine.once("quiet", &["--user", "ann", "--sandbox", "strict", "--", "/bin/true"]);
    assert_eq!((run["status"].as_str(), bytes(&run)), (Some("completed"), (Some(0), Some(0))), "{run}");
}

#[test]
fn the_packets_of_a_run_that_ends_while_slothd_is_down_are_known() {
    let Some(machine) = counting() else { return };
    machine.add("down", &["--user", "ann", "--shell", &format!("echo before; sleep 2; {TALK}; echo after")]);
    let run = machine.start("down");
    machine.wait_output(&run, "before");
    machine.sh("systemctl mask --runtime --quiet slothd >/dev/null 2>&1; systemctl kill -s KILL slothd");
    machine.wait_for("no slothd", || machine.daemon() == 0);
    machine
        .wait_for("the end of the command", || !machine.run(&["pgrep", "-f", "sloth-exec attempt"]).status.success());
    machine.sh("systemctl unmask --runtime slothd; systemctl start slothd");
    assert_eq!(bytes(&machine.ended(&run)), (Some(1028), Some(1028)));
}

#[test]
fn the_packets_of_a_run_whose_main_process_was_killed_come_from_its_unit() {
    let Some(machine) = counting() else { return };
    machine.add("orphan", &["--user", "ann", "--shell", &format!("{TALK}; echo sent; sleep 786")]);
    let run = machine.start("orphan");
    machine.wait_output(&run, "sent");
    machine.ok(&["systemctl", "kill", "--kill-who=main", "-s", "KILL", &format!("sloth-run-{run}-1.service")]);
    let run = machine.ended(&run);
    assert_eq!((run["reason"].as_str(), bytes(&run)), (Some("lost"), (Some(1028), Some(1028))), "{run}");
}
