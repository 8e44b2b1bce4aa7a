//! How much memory is left, on this machine or in this container.

use std::{fs, path::Path};

/// What a model takes for each byte of its file: the file itself, libtorch's copy, and room to compute.
const BYTES_PER_BYTE: u64 = 3;

/// Returns what a model whose file has so many bytes takes when it is loaded.
pub(super) const fn needed_by(file_bytes: u64) -> u64 {
    file_bytes.saturating_mul(BYTES_PER_BYTE)
}

/// Returns how many bytes can be had before the machine swaps or the container is killed; as many as there are numbers
/// where the system does not tell.
pub(super) fn free() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    [machine, left_in_group("/sys/fs/cgroup", "memory.max", "memory.current"), {
        left_in_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
    }]
    .into_iter()
    .flatten()
    .min()
    .unwrap_or(u64::MAX)
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// What a control group's limit leaves; nothing when it has none ("max", which is no number).
fn left_in_group(folder: impl AsRef<Path>, limit: &str, used: &str) -> Option<u64> {
    let number = |file: &str| fs::read_to_string(folder.as_ref().join(file)).ok()?.trim().parse::<u64>().ok();
    Some(number(limit)?.saturating_sub(number(used)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_and_a_container_say_what_is_left() {
        assert_eq!(available("MemTotal:  24 kB\nMemAvailable:   1024 kB\n"), Some(1 << 20));
        let folder = tempfile::tempdir().unwrap();
        let says = |limit: &str| {
            fs::write(folder.path().join("memory.max"), limit).unwrap();
            fs::write(folder.path().join("memory.current"), "300\n").unwrap();
            left_in_group(folder.path(), "memory.max", "memory.current")
        };
        assert_eq!((says("1000\n"), says("200\n"), says("max\n")), (Some(700), Some(0), None));
        assert!(free() > 0);
    }
}
