//! Memory, processors, disks, processes, from `/proc` and `/sys`.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use sloth_exec::host;
use sloth_lua::Data;

use super::line;
use crate::files::remove::unescape;
use crate::fs::percent;

/// Name of the host.
pub fn hostname() -> String {
    line("/proc/sys/kernel/hostname")
}

/// `{total,available,used,used_percent,free,cached,buffers,swap_total,swap_used}`, bytes.
pub fn memory() -> Data {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let (total, available) = (kib("MemTotal"), kib("MemAvailable"));
    let used = total.saturating_sub(available);
    Data::map([
        ("total", Data::from(total)),
        ("available", available.into()),
        ("used", used.into()),
        ("used_percent", percent(used, total).into()),
        ("free", kib("MemFree").into()),
        ("cached", kib("Cached").into()),
        ("buffers", kib("Buffers").into()),
        ("swap_total", kib("SwapTotal").into()),
        ("swap_used", kib("SwapTotal").saturating_sub(kib("SwapFree")).into()),
    ])
}

/// `{model,cores,threads,mhz,usage}`.
pub fn cpu() -> Data {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    let threads = threads();
    let mut cores: Vec<(String, String)> = text
        .split("\n\n")
        .filter_map(|block| {
            let value = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.split_once(':').filter(|(k, _)| k.trim() == name))
                    .map(|(_, v)| v.trim().to_owned())
            };
            Some((value("physical id")?, value("core id")?))
        })
        .collect();
    cores.sort();
    cores.dedup();
    let cores = if cores.is_empty() { threads } else { cores.len() as u64 };
    let model = first("model name").or_else(|| first("Model")).or_else(|| first("CPU part")).unwrap_or_default();
    Data::map([
        ("model", Data::from(model)),
        ("cores", cores.into()),
        ("threads", threads.into()),
        ("mhz", first("cpu MHz").and_then(|mhz| mhz.parse::<f64>().ok()).into()),
        ("usage", usage(Duration::from_millis(100)).into()),
    ])
}

/// Processors that this process may use.
pub fn threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

/// Busy time of all processors during this time, percent.
pub fn usage(during: Duration) -> f64 {
    let before = times();
    sleep(during);
    let after = times();
    percent(after.0.saturating_sub(before.0), after.1.saturating_sub(before.1))
}

/// Busy and all ticks since boot.
fn times() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> =
        text.lines().next().unwrap_or("").split_ascii_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // Guest time is in user time already.
    let all: u64 = fields.iter().take(8).sum();
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    (all - idle, all)
}

/// Mounted file systems that hold data, as `{device,mountpoint,fstype,total,used,free,used_percent}`.
pub fn disks() -> Data {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (device, mount, kind, _) in table() {
        let is_real =
            device.starts_with('/') || matches!(kind.as_str(), "overlay" | "zfs" | "btrfs" | "nfs" | "nfs4" | "cifs");
        if !is_real || seen.contains(&(device.clone(), kind.clone())) {
            continue;
        }
        let Ok(space) = host::space(Path::new(&mount)) else { continue };
        if space.total == 0 {
            continue;
        }
        seen.push((device.clone(), kind.clone()));
        let used = space.total - space.free;
        found.push(Data::map([
            ("device", Data::from(device)),
            ("mountpoint", mount.into()),
            ("fstype", kind.into()),
            ("total", space.total.into()),
            ("used", used.into()),
            ("free", space.available.into()),
            ("used_percent", percent(used, used + space.available).into()),
        ]));
    }
    Data::List(found)
}

/// All mounts, as `{device,mountpoint,fstype,options}`.
pub fn mounts() -> Data {
    let entry = |(device, mount, kind, options): (String, String, String, String)| {
        let options = Data::texts(options.split(',').map(str::to_owned));
        Data::map([
            ("device", device.into()),
            ("mountpoint", mount.into()),
            ("fstype", kind.into()),
            ("options", options),
        ])
    };
    Data::List(table().into_iter().map(entry).collect())
}

fn table() -> Vec<(String, String, String, String)> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let mut next = || fields.next().map(unescape);
            Some((next()?, next()?, next()?, next()?))
        })
        .collect()
}

/// `{seconds,boot_time,timezone}`.
pub fn uptime() -> Data {
    let seconds = line("/proc/uptime").split(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<u64>().ok());
    let zone = jiff::tz::TimeZone::system();
    Data::map([
        ("seconds", Data::from(seconds)),
        ("boot_time", boot.into()),
        ("timezone", zone.iana_name().unwrap_or("UTC").into()),
    ])
}

/// Load of the last 1, 5 and 15 minutes.
pub fn load() -> Data {
    let text = line("/proc/loadavg");
    let three = text.split(' ').take(3).map(|field| field.parse::<f64>().unwrap_or(0.0).into());
    Data::List(three.collect())
}

/// `{total,running,sleeping,zombie}`.
pub fn processes() -> Data {
    let (mut total, mut running, mut sleeping, mut zombie) = (0_u64, 0_u64, 0_u64, 0_u64);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let stat = line(entry.path().join("stat"));
        let Some(state) = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) else { continue };
        total += 1;
        match state {
            'R' => running += 1,
            'Z' => zombie += 1,
            'S' | 'D' | 'I' => sleeping += 1,
            _ => {}
        }
    }
    Data::map([
        ("total", Data::from(total)),
        ("running", running.into()),
        ("sleeping", sleeping.into()),
        ("zombie", zombie.into()),
    ])
}

/// What the firmware says about the machine.
pub fn machine() -> Data {
    let names = [
        ("vendor", "sys_vendor"),
        ("product", "product_name"),
        ("version", "product_version"),
        ("serial", "product_serial"),
        ("uuid", "product_uuid"),
        ("board_vendor", "board_vendor"),
        ("board", "board_name"),
        ("bios_vendor", "bios_vendor"),
        ("bios_version", "bios_version"),
        ("bios_date", "bios_date"),
    ];
    let read = |(name, file): (&'static str, &str)| {
        let text = line(Path::new("/sys/class/dmi/id").join(file));
        (!text.is_empty()).then_some((name, Data::from(text)))
    };
    Data::map(names.into_iter().filter_map(read).collect::<Vec<_>>())
}
