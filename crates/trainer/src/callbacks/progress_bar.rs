//! What a user sees of a fit.

use std::io::{IsTerminal as _, Write};
use std::time::Instant;

use std::path::Path;

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressStyle};

use serde::{Deserialize, Serialize};

use super::CallbackConfig;
use crate::callback::Callback;
use crate::error::TrainerError;
use crate::event::{Context, Control, Event, Outcome};
use crate::metrics::EpochRow;

/// A table with a row per epoch; on a terminal also a bar with rate and
/// remaining time while an epoch runs.
///
/// It writes to the standard error, or to any writer as plain lines. Columns
/// are those of the history.
///
/// ```
/// use firecraft_trainer::callbacks::ProgressBar;
///
/// let on_terminal = ProgressBar::stderr();
/// let into_a_buffer = ProgressBar::to_writer(Vec::new());
/// ```
pub struct ProgressBar {
    out: Out,
    header: Option<Vec<String>>,
    start: Option<Instant>,
    updates_here: u64,
}

enum Out {
    Terminal(Bar),
    Lines(Box<dyn Write + Send>),
}

impl ProgressBar {
    /// A bar on the standard error if it is a terminal, else plain lines.
    pub fn stderr() -> Self {
        if std::io::stderr().is_terminal() {
            Self::with(Out::Terminal(Bar::hidden()))
        } else {
            Self::to_writer(std::io::stderr())
        }
    }

    /// Plain lines to a writer.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        Self::with(Out::Lines(Box::new(writer)))
    }

    const fn with(out: Out) -> Self {
        Self {
            out,
            header: None,
            start: None,
            updates_here: 0,
        }
    }

    fn line(&mut self, text: &str) -> Result<(), TrainerError> {
        match &mut self.out {
            Out::Terminal(bar) => {
                bar.println(text);
                Ok(())
            }
            Out::Lines(writer) => {
                // A reader that went away is no reason to lose a training.
                match writeln!(writer, "{text}").and_then(|()| writer.flush()) {
                    Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                        Err(TrainerError::Callback {
                            key: self.key(),
                            problem: format!("cannot write: {error}"),
                        })
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn start_bar(&mut self, context: &Context<'_>) {
        if let Out::Terminal(bar) = &mut self.out {
            *bar = Bar::with_draw_target(
                Some(context.plan.total_updates),
                ProgressDrawTarget::stderr(),
            );
            let style = ProgressStyle::with_template(
                "epoch {prefix} {bar:24} {pos}/{len} updates  {msg}  {eta} left",
            );
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_position(context.progress.update);
            bar.reset_eta();
        }
    }

    fn row(&mut self, row: &EpochRow, context: &Context<'_>) -> Result<(), TrainerError> {
        let mut names = vec!["epoch".to_owned()];
        let mut cells = vec![format!("{}/{}", row.epoch + 1, context.plan.epochs)];
        for (name, value) in row.metrics.iter() {
            names.push(name.to_owned());
            cells.push(format!("{value:.4}"));
        }
        names.push("learning_rate".into());
        cells.push(format!("{:.2e}", row.learning_rate));
        let text = format_row(&cells);
        if self.header.as_ref() != Some(&names) {
            self.line(&format_row(&names))?;
            self.header = Some(names);
        }
        self.line(&text)
    }
}

fn format_row(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>13}")).collect();
    cells.join(" ")
}

impl std::fmt::Debug for ProgressBar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgressBar").finish_non_exhaustive()
    }
}

impl Callback for ProgressBar {
    fn key(&self) -> String {
        "progress_bar".into()
    }

    fn on(&mut self, event: &Event<'_>, context: &Context<'_>) -> Result<Control, TrainerError> {
        match event {
            Event::FitStart { resumed } => {
                self.start = Some(Instant::now());
                self.start_bar(context);
                if *resumed {
                    self.line(&format!(
                        "resumed in epoch {} after {} updates",
                        context.progress.epoch + 1,
                        context.progress.update
                    ))?;
                }
            }
            Event::UpdateEnd(update) => {
                self.updates_here += 1;
                if let Out::Terminal(bar) = &self.out {
                    let seconds = self
                        .start
                        .map_or(0.0, |start| start.elapsed().as_secs_f64());
                    let rate = self.updates_here as f64 / seconds.max(1e-9);
                    bar.set_prefix(format!(
                        "{}/{}",
                        context.progress.epoch + 1,
                        context.plan.epochs
                    ));
                    bar.set_message(format!("loss {:.4}  {rate:.0}/s", update.loss));
                    bar.set_position(context.progress.update);
                }
            }
            Event::EpochEnd { row } => self.row(row, context)?,
            Event::EvaluationEnd {
                metrics,
                within_epoch: true,
            } => {
                let values: Vec<String> = metrics
                    .iter()
                    .map(|(name, value)| format!("{name} {value:.4}"))
                    .collect();
                let update = context.progress.update;
                self.line(&format!("after update {update}: {}", values.join(", ")))?;
            }
            Event::Notice { message } => self.line(message)?,
            Event::FitEnd { outcome } => {
                if let Out::Terminal(bar) = &self.out {
                    bar.finish_and_clear();
                }
                match outcome {
                    Outcome::Completed => {}
                    Outcome::Stopped { reason } => self.line(&format!("stopped: {reason}"))?,
                    Outcome::Interrupted { reason } => self.line(reason)?,
                }
            }
            Event::Failed { .. } => {
                if let Out::Terminal(bar) = &self.out {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
        Ok(Control::Continue)
    }
}

/// A [`ProgressBar`] on the standard error by name, `progress_bar`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressBarConfig {}

impl CallbackConfig for ProgressBarConfig {
    const NAME: &'static str = "progress_bar";
    const SUMMARY: &'static str = "a bar on a terminal, lines elsewhere";

    fn build(&self, _folder: &Path) -> Result<Box<dyn Callback>, TrainerError> {
        Ok(Box::new(ProgressBar::stderr()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::tests::{epochs, send};
    use super::*;
    use crate::event::Progress;
    use crate::metrics::History;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn without_a_terminal_there_is_one_line_per_epoch_under_a_header() {
        let buffer = Shared::default();
        let mut bar = ProgressBar::to_writer(buffer.clone());
        let event = Event::FitStart { resumed: false };
        let _ = send(&mut bar, &event, &History::default(), Progress::default()).unwrap();
        epochs(&mut bar, "loss", 0, &[0.5, 0.25]);
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("epoch") && lines[0].contains("loss"));
        assert!(lines[2].starts_with("2/10") && lines[2].contains("0.2500"));
    }

    #[test]
    fn a_reader_that_went_away_does_not_end_the_fit() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut bar = ProgressBar::to_writer(Gone);
        assert_eq!(epochs(&mut bar, "loss", 0, &[0.5]).len(), 1);
    }
}
