//! Two registries on one page: ours speaks Prometheus' text format, libp2p's speaks OpenMetrics.

use std::collections::HashMap;

/// Joins our text and OpenMetrics text to one page in Prometheus' text format (version 0.0.4).
///
/// The formats differ where it matters to a scraper: OpenMetrics names a counter without the suffix of its samples, knows
/// types that the older format refuses a whole page for, and ends with `# EOF`, after which nothing is read.
pub fn one_page(ours: &str, openmetrics: &str) -> String {
    let families = families(openmetrics);
    let mut page = String::with_capacity(ours.len() + openmetrics.len() + 1);
    page.push_str(ours);
    if !page.is_empty() && !page.ends_with('\n') {
        page.push('\n');
    }
    for line in openmetrics.lines() {
        let comment = line.strip_prefix("# ").and_then(|rest| rest.split_once(' '));
        match comment {
            _ if line == "# EOF" || line.is_empty() => continue,
            Some(("UNIT", _)) => continue,
            Some((word @ ("HELP" | "TYPE"), rest)) => {
                let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let (suffix, kind) = families.get(name).copied().unwrap_or(("", "untyped"));
                let text = if word == "TYPE" { kind } else { text };
                page.push_str(&format!("# {word} {name}{suffix} {text}"));
            }
            _ => page.push_str(line),
        }
        page.push('\n');
    }
    page
}

/// For each metric the suffix its samples carry and its type in the older format.
fn families(openmetrics: &str) -> HashMap<&str, (&'static str, &'static str)> {
    let types = openmetrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let translated = types.map(|(name, kind)| {
        let translated = match kind.trim() {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            "gauge" | "stateset" => ("", "gauge"),
            "histogram" => ("", "histogram"),
            "summary" => ("", "summary"),
            _ => ("", "untyped"),
        };
        (name, translated)
    });
    translated.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_get_their_suffix_and_the_end_mark_goes() {
        let ours = "# TYPE a_total counter\na_total 1\n\nprocess_threads 4";
        let theirs = "# HELP libp2p_pings Pings.\n# TYPE libp2p_pings counter\n# UNIT libp2p_pings seconds\nlibp2p_pings_total{x=\"# EOF\"} 2\n\
                      # HELP build Build.\n# TYPE build info\nbuild_info{v=\"1\"} 1\n\
                      # HELP rtt RTT.\n# TYPE rtt histogram\nrtt_sum 0.5\nrtt_count 1\nrtt_bucket{le=\"+Inf\"} 1\n\
                      # HELP odd Odd.\n# TYPE odd unknown\nodd 1\n# EOF\n";
        let page = one_page(ours, theirs);
        let expected = "# TYPE a_total counter\na_total 1\n\nprocess_threads 4\n\
                        # HELP libp2p_pings_total Pings.\n# TYPE libp2p_pings_total counter\nlibp2p_pings_total{x=\"# EOF\"} 2\n\
                        # HELP build_info Build.\n# TYPE build_info gauge\nbuild_info{v=\"1\"} 1\n\
                        # HELP rtt RTT.\n# TYPE rtt histogram\nrtt_sum 0.5\nrtt_count 1\nrtt_bucket{le=\"+Inf\"} 1\n\
                        # HELP odd Odd.\n# TYPE odd untyped\nodd 1\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn either_side_may_be_empty() {
        assert_eq!(one_page("", "# EOF\n"), "");
        assert_eq!(one_page("a 1\n", ""), "a 1\n");
    }
}
