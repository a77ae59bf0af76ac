//! Medians and a table of them.

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints one line: what, the baseline's median, ours and their ratio.
pub(crate) fn line(what: &str, unit: &str, baseline: Vec<f64>, ours: Vec<f64>) {
    let (base, own) = (median(baseline), median(ours));
    println!("| {what} | {base:.1} {unit} | {own:.1} {unit} | {:.2} |", own / base);
}

/// Prints the head of a table.
pub(crate) fn head(baseline: &str, ours: &str) {
    println!("\n| what | {baseline} | {ours} | ratio |\n|---|---|---|---|");
}
