//! Progress: a bar with a line for each large file on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use realize_config::Progress;
use realize_core::engine::{Event, Observer, SMALL};
use realize_core::path::{Escaped, RelPath};

use super::{Screen, count, say, size};

/// A terminal of fewer columns has no room for bars.
const NARROW: u16 = 60;
/// How often plain lines are written.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// The observer for how progress is to be shown; `None` where it is not.
pub(crate) fn observer(progress: Progress, quiet: bool, screen: &Screen) -> Option<Box<dyn Shown>> {
    let terminal = std::io::stderr().is_terminal();
    match progress {
        _ if quiet => None,
        Progress::None => None,
        Progress::Bar => Some(Box::new(Bars::new(screen))),
        Progress::Auto if terminal => Some(Box::new(Bars::new(screen))),
        Progress::Auto | Progress::Plain => Some(Box::new(Lines::new())),
    }
}

/// Progress that is being shown.
pub(crate) trait Shown: Observer {
    /// Takes it off the terminal.
    fn end(&self);
}

/// What is known about a run so far.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    files: u64,
    bytes: u64,
    files_done: u64,
    bytes_done: u64,
    sent: u64,
    listed: bool,
}

impl Totals {
    fn add(&mut self, event: Event<'_>) {
        match event {
            Event::Listed { files, bytes } => {
                self.files = self.files.saturating_add(files);
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Event::ListingEnded => self.listed = true,
            Event::Progress { bytes, sent, .. } => {
                self.bytes_done = self.bytes_done.saturating_add(bytes);
                self.sent = self.sent.saturating_add(sent);
            }
            Event::Ended(_) => self.files_done = self.files_done.saturating_add(1),
            _ => {}
        }
        // A file that is sent again, or that failed without having been listed, counts on the way
        // only: what is done is never more than all.
        self.bytes_done = self.bytes_done.min(self.bytes);
        self.files_done = self.files_done.min(self.files);
    }

    fn text(&self) -> String {
        let least = if self.listed { "" } else { "at least " };
        let listing = if self.listed { "" } else { ", still listing" };
        format!(
            "{} of {least}{}, {} of {least}{} ({} sent){listing}",
            self.files_done,
            count(self.files, "file"),
            size(self.bytes_done),
            size(self.bytes),
            size(self.sent)
        )
    }
}

impl Totals {
    /// The same for a very narrow terminal.
    fn shortest(&self) -> String {
        let more = if self.listed { "" } else { "+" };
        format!(
            "{}/{}{more} {}/{}{more}",
            self.files_done,
            self.files,
            size(self.bytes_done),
            size(self.bytes)
        )
    }

    /// The same for a narrow terminal; a `+` says that there is more to come.
    fn short(&self) -> String {
        let more = if self.listed { "" } else { "+" };
        format!(
            "{}/{}{more} files, {}/{}{more}, {} sent",
            self.files_done,
            self.files,
            size(self.bytes_done),
            size(self.bytes),
            size(self.sent)
        )
    }
}

/// A line every now and then.
struct Lines(Mutex<(Totals, Instant)>);

impl Lines {
    fn new() -> Self {
        Self(Mutex::new((Totals::default(), Instant::now())))
    }
}

impl Observer for Lines {
    fn event(&self, event: Event<'_>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (totals, last) = &mut *state;
        totals.add(event);
        if last.elapsed() >= PLAIN_INTERVAL {
            *last = Instant::now();
            say(&totals.text());
        }
    }
}

impl Shown for Lines {
    fn end(&self) {}
}

/// Bars on a terminal.
struct Bars {
    bars: MultiProgress,
    overall: ProgressBar,
    /// Whether there is no room for a bar beside the figures.
    narrow: bool,
    screen: Screen,
    state: Mutex<(Totals, HashMap<RelPath, ProgressBar>)>,
}

impl Bars {
    fn new(screen: &Screen) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        screen.show(&bars);
        let overall = bars.add(ProgressBar::new(0));
        let narrow = columns().is_some_and(|columns| columns < NARROW);
        overall.set_style(style(match narrow {
            true => "{percent:>3}% {eta} {wide_msg}",
            false => "{bar:10} {percent:>3}% {binary_bytes_per_sec} {eta} {wide_msg}",
        }));
        overall.enable_steady_tick(Duration::from_millis(200));
        Self {
            bars,
            overall,
            narrow,
            screen: screen.clone(),
            state: Mutex::default(),
        }
    }

    fn add_file(&self, path: &RelPath, bytes: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(bytes));
        bar.set_style(style(match self.narrow {
            true => " {percent:>3}% {wide_msg}",
            false => "  {bar:10} {percent:>3}% {binary_total_bytes} {wide_msg}",
        }));
        bar.set_message(Escaped(path.as_bytes()).to_string());
        bar
    }
}

/// How wide the terminal is.
fn columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Observer for Bars {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (totals, files) = &mut *state;
        totals.add(event);
        match event {
            // Small files come and go in hundreds.
            Event::Started { path, size, .. } if size > SMALL => {
                files.insert(path.clone(), self.add_file(path, size));
            }
            Event::Progress { path, bytes, .. } => {
                if let Some(bar) = files.get(path) {
                    bar.inc(bytes);
                }
            }
            Event::Ended(end) => {
                let path = RelPath::new(end.path).ok();
                if let Some(bar) = path.and_then(|path| files.remove(&path)) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
            }
            _ => {}
        }
        self.overall.set_length(totals.bytes);
        self.overall.set_position(totals.bytes_done);
        self.overall.set_message(match self.narrow {
            true => totals.shortest(),
            false => totals.short(),
        });
    }
}

impl Shown for Bars {
    fn end(&self) {
        self.overall.finish_and_clear();
        let _ = self.bars.clear();
        self.screen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_said_to_grow_until_the_listing_has_ended() {
        let mut totals = Totals::default();
        totals.add(Event::Listed {
            files: 2,
            bytes: 2048,
        });
        let path = RelPath::new("a").unwrap();
        totals.add(Event::Progress {
            path: &path,
            bytes: 1024,
            sent: 0,
        });
        assert_eq!(
            totals.text(),
            "0 of at least 2 files, 1.0 KiB of at least 2.0 KiB (0 B sent), still listing"
        );
        assert!(totals.short().starts_with("0/2+ files, 1.0 KiB/2.0 KiB+"));
        assert_eq!(totals.shortest(), "0/2+ 1.0 KiB/2.0 KiB+");
        totals.add(Event::ListingEnded);
        assert_eq!(totals.text(), "0 of 2 files, 1.0 KiB of 2.0 KiB (0 B sent)");
        totals.add(Event::Progress {
            path: &path,
            bytes: 5000,
            sent: 5000,
        });
        assert!(totals.text().contains("2.0 KiB of 2.0 KiB"));
        assert_eq!(totals.short(), "0/2 files, 2.0 KiB/2.0 KiB, 4.9 KiB sent");
    }
}
