//! Modules that are known and not in this build. Their functions answer when they are called, never when a file loads:
//! `nil, "<module>.<function> is not available in this build"`. The VM makes a table that has every function out of each.

use sloth_lua::{Module, Tier};

const fn absent(name: &'static str, aliases: &'static [&'static str], about: &'static str) -> Module {
    Module { name, aliases, tier: Tier::Absent, about, functions: &[], prelude: "" }
}

const MANAGED: &str = "Manages the host for a stack.";

/// All of them, in the order of the documentation.
pub(crate) static ABSENT: &[Module] = &[
    absent("pkg", &[], MANAGED),
    absent("systemd", &[], MANAGED),
    absent("user", &[], MANAGED),
    absent("cron", &[], MANAGED),
    absent("sysctl", &[], MANAGED),
    absent("firewall", &[], MANAGED),
    absent("lvm", &[], MANAGED),
    absent("raid", &[], MANAGED),
    absent("nfs", &[], MANAGED),
    absent("smb", &[], MANAGED),
    absent("stow", &[], MANAGED),
    absent("ssh", &[], "Programs and files on other hosts."),
    absent("nixos", &[], "Edits the configuration of NixOS."),
    absent("mount", &[], MANAGED),
    absent("hostname", &[], MANAGED),
    absent("timezone", &[], MANAGED),
    absent("hosts", &[], MANAGED),
    absent("kernel", &[], MANAGED),
    absent("swap", &[], MANAGED),
    absent("logrotate", &[], MANAGED),
    absent("limits", &[], MANAGED),
    absent("ca", &[], MANAGED),
    absent("infra_test", &[], "Acceptance tests of a host."),
    absent("network", &[], "Diagnosis of networks."),
    absent("notifications", &["notification", "notify"], "Messages to people."),
    absent("ai", &[], "Advice from history and models."),
    absent("gitops", &[], "Stacks that follow a repository."),
    absent("docker", &[], "Containers."),
    absent("podman", &[], "Containers."),
    absent("incus", &["lxd"], "Containers and machines of Incus."),
    absent("terraform", &["tofu"], "Terraform and OpenTofu."),
    absent("pulumi", &[], "Pulumi."),
    absent("kubernetes", &["k8s"], "Kubernetes."),
    absent("helm", &[], "Helm."),
    absent("aws", &[], "Amazon Web Services."),
    absent("azure", &[], "Azure."),
    absent("gcp", &[], "Google Cloud."),
    absent("digitalocean", &[], "DigitalOcean."),
    absent("salt", &[], "Salt."),
    absent("python", &[], "Environments of Python."),
    absent("frp", &[], "Tunnels of frp."),
    absent("sloth", &[], "slothd itself: child runs, workflows, stacks, agents."),
    absent("db", &[], "Databases."),
    absent("state", &[], "Values that outlive a run."),
    absent("stack", &[], "The stack of a run and its resources."),
    absent("event", &[], "Events."),
    absent("watcher", &[], "Watchers of files, ports and programs."),
    absent("monitor", &["monitoring"], "Measurements."),
    absent("observability", &[], "Traces."),
    absent("security", &[], "Audits of a host."),
    absent("test", &[], "Tests of workflows."),
    absent("help", &[], "Documentation."),
];

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_given_once() {
        let mut names: Vec<&str> = crate::MODULES
            .iter()
            .flat_map(|module| std::iter::once(&module.name).chain(module.aliases))
            .copied()
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
