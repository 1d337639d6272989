//! Modules that the language knows and this build has not: a file that names them loads, and a call says so.

use crate::module::{Module, Tier};

macro_rules! absent {
    ($($name:literal $(, $alias:literal)*; $about:literal)*) => {
        &[$(&Module { name: $name, aliases: &[$($alias),*], tier: Tier::Absent, about: $about, functions: &[], prelude: "" }),*]
    };
}

/// Unless the worker brings a module of the same name.
pub(crate) const ABSENT: &[&Module] = absent! {
    "pkg"; "Packages of the distribution."
    "systemd"; "Units of systemd."
    "user"; "Users and groups."
    "cron"; "Entries of cron."
    "sysctl"; "Parameters of the kernel."
    "firewall"; "Rules of the firewall."
    "stow"; "Links to packages of files."
    "incus", "lxd"; "Instances of Incus."
    "frp"; "Tunnels of frp."
    "sloth"; "slothd itself."
    "stack"; "Stacks."
    "state"; "State that outlives runs."
    "event"; "Events."
    "watcher"; "Watchers of files and values."
    "secrets"; "Secrets."
    "notifications", "notification", "notify"; "Messages to people."
    "infra_test"; "Checks of a host."
    "lvm"; "Logical volumes."
    "raid"; "Arrays of disks."
    "nfs"; "Exports of NFS."
    "smb"; "Shares of SMB."
    "ssh"; "SSH keys and connections."
    "nixos"; "NixOS."
    "mount"; "Mounts."
    "network"; "Network configuration."
    "ai"; "Language models."
    "gitops"; "Deployment from git."
    "docker"; "Containers of Docker."
    "podman"; "Containers of Podman."
    "terraform", "tofu"; "Terraform."
    "pulumi"; "Pulumi."
    "kubernetes", "k8s"; "Kubernetes."
    "helm"; "Helm."
    "aws"; "Amazon Web Services."
    "azure"; "Azure."
    "gcp"; "Google Cloud."
    "digitalocean"; "DigitalOcean."
    "salt"; "Salt."
    "python"; "Python environments."
    "db"; "Databases."
    "monitor", "monitoring"; "Monitoring."
    "observability"; "Logs, metrics, traces."
    "test"; "Tests of workflows."
    "help"; "Help."
};
