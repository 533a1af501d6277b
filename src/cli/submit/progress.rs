//! How far a submission is, on standard error: a bar on a terminal, now and then a line elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::output::{on_terminal, say};

/// What is shown while files are hashed and sent.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// For `bytes` to be hashed. `quiet` shows nothing.
    #[must_use]
    pub fn new(bytes: u64, quiet: bool) -> Self {
        let terminal = on_terminal();
        let target = if terminal && !quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(bytes), target);
        let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {bytes_per_sec} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, lines: !terminal && !quiet }
    }

    /// So many bytes more were hashed.
    pub fn hashed(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// `sent` of `total` files are acknowledged.
    pub fn sent(&self, sent: usize, total: usize) {
        self.bar.set_message(format!("{sent} of {total} files sent"));
        if self.lines && sent < total {
            say(format_args!("{sent} of {total} files sent"));
        }
    }

    /// Shows something that takes a while.
    pub fn waiting(&self, message: String) {
        if self.lines {
            say(&message);
        }
        self.bar.set_message(message);
    }

    /// Says something without tearing the bar.
    pub fn say(&self, message: &str) {
        self.bar.suspend(|| say(message));
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
