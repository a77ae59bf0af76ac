//! Figures of the process, read from `/proc` when the page is rendered; elsewhere than on Linux there are none.

use std::fmt::Write;

/// Adds the figures under the names every Prometheus client library uses.
pub(crate) fn append(page: &mut String) {
    let figures = read();
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory size in bytes.", figures.resident),
        ("process_open_fds", "Number of open file descriptors.", figures.descriptors),
        ("process_threads", "Number of threads.", figures.threads),
    ] {
        if let Some(value) = value {
            let written = writeln!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
            written.expect("a string takes what is written to it");
        }
    }
}

#[derive(Debug, Default)]
struct Figures {
    resident: Option<u64>,
    descriptors: Option<u64>,
    threads: Option<u64>,
}

fn read() -> Figures {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Figures::default() };
    // Reading the directory opens one descriptor more.
    let descriptors = std::fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1));
    Figures { descriptors, ..parse(&status) }
}

fn parse(status: &str) -> Figures {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Figures { resident: field("VmRSS:").map(|kib| kib * 1024), threads: field("Threads:"), descriptors: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_is_understood() {
        let figures = parse("Name:\tipfrs\nVmRSS:\t   12345 kB\nThreads:\t7\n");
        assert_eq!((figures.resident, figures.threads), (Some(12345 * 1024), Some(7)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let mut page = String::new();
        append(&mut page);
        for name in ["process_resident_memory_bytes ", "process_open_fds ", "process_threads "] {
            let value = page.lines().find_map(|line| line.strip_prefix(name)).and_then(|v| v.parse::<u64>().ok());
            assert!(value.is_some_and(|v| v > 0), "{name} in {page}");
        }
    }
}
