//! Where time and memory went.

use serde::Serialize;

/// How long a stage took, and the most memory the process had used by its end.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    pub name: &'static str,
    pub seconds: f64,
    pub peak_memory_mb: f64,
    /// Whether all of it was there from an earlier attempt.
    pub kept: bool,
}

/// The most memory this process has used so far, in megabytes; 0 where the system does not say.
pub fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).map_or(0.0, |kb| kb / 1024.0)
}
