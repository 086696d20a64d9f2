//! Numbers by name, their running means, and the table of all epochs.

use firecraft_schedule::Mode;
use serde::{Deserialize, Serialize};

/// Measured values by name, in the order of measuring.
///
/// ```
/// use firecraft_trainer::Metrics;
///
/// let mut metrics = Metrics::default();
/// metrics.set("loss", 0.7);
/// metrics.set("loss", 0.5);
/// assert_eq!(metrics.get("loss"), Some(0.5));
/// assert_eq!(metrics.get("val_loss"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Sets a value, replacing one of the same name.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value called `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
    }

    /// All values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// All names, for error messages.
    pub fn known(&self) -> String {
        let names: Vec<_> = self.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    }
}

/// Sample-weighted means of several values, accumulated batch by batch.
///
/// `mean = Σ wᵢ xᵢ / Σ wᵢ`, in `f64` and in the order of the batches, so that
/// a run that is interrupted and resumed gets the same bits.
///
/// ```
/// use firecraft_trainer::Means;
///
/// let mut means = Means::default();
/// means.add("loss", 1.0, 3.0); // a batch of three
/// means.add("loss", 5.0, 1.0); // the last batch holds one
/// assert_eq!(means.metrics("val_").get("val_loss"), Some(2.0));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Means(Vec<(String, f64, f64)>);

impl Means {
    /// Adds the mean `value` of a batch of weight `weight`.
    pub fn add(&mut self, name: &str, value: f64, weight: f64) {
        match self.0.iter_mut().find(|(known, ..)| known == name) {
            Some((_, sum, total)) => {
                *sum += value * weight;
                *total += weight;
            }
            None => self.0.push((name.to_owned(), value * weight, weight)),
        }
    }

    /// The means so far, each name with `prefix` in front.
    pub fn metrics(&self, prefix: &str) -> Metrics {
        let mut metrics = Metrics::default();
        for (name, sum, total) in &self.0 {
            metrics.set(format!("{prefix}{name}"), sum / total);
        }
        metrics
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What was measured in one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRow {
    /// 0-based epoch.
    pub epoch: u64,
    /// Updates made since the start of the run.
    pub update: u64,
    /// Learning rate of the last update of the epoch.
    pub learning_rate: f64,
    /// Means over the epoch (`loss`, `accuracy`) and of the evaluation after it
    /// (`val_loss`, `val_accuracy`).
    pub metrics: Metrics,
}

/// The rows of all finished epochs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<EpochRow>);

impl History {
    /// Adds the row of the next epoch.
    pub fn push(&mut self, row: EpochRow) {
        self.0.push(row);
    }

    /// All rows, oldest first.
    pub fn rows(&self) -> &[EpochRow] {
        &self.0
    }

    /// The newest row.
    pub fn last(&self) -> Option<&EpochRow> {
        self.0.last()
    }

    /// A metric over the epochs as points `(epoch + 1, value)`, for plotting.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        self.0
            .iter()
            .filter_map(|row| Some(((row.epoch + 1) as f64, row.metrics.get(name)?)))
            .collect()
    }

    /// The row with the least (or greatest) finite value of a metric; of equal
    /// ones the first.
    pub fn best(&self, name: &str, mode: Mode) -> Option<&EpochRow> {
        let mut best: Option<(&EpochRow, f64)> = None;
        for row in &self.0 {
            let Some(value) = row.metrics.get(name).filter(|value| value.is_finite()) else {
                continue;
            };
            if best.is_none_or(|(_, old)| better(mode, value, old)) {
                best = Some((row, value));
            }
        }
        best.map(|(row, _)| row)
    }

    /// Reads what [`to_csv`](Self::to_csv) wrote.
    ///
    /// ```
    /// use firecraft_trainer::History;
    ///
    /// let text = "epoch,update,learning_rate,loss\n1,10,0.1,0.5\n";
    /// let history = History::parse_csv(text)?;
    /// assert_eq!(history.last().unwrap().metrics.get("loss"), Some(0.5));
    /// assert_eq!(history.to_csv(), text);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong, with the line.
    pub fn parse_csv(text: &str) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head = reader.headers().map_err(|error| error.to_string())?.clone();
        let fixed = ["epoch", "update", "learning_rate"];
        if !head.iter().take(3).eq(fixed) {
            return Err(format!("line 1: expected the columns {fixed:?} first"));
        }
        let mut history = Self::default();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |name: &str, text: &str| {
                format!("line {line}: `{text}` in column `{name}` is not what belongs there")
            };
            let count = |at: usize| {
                let text = &record[at];
                text.parse::<u64>().map_err(|_| wrong(fixed[at], text))
            };
            let number = |name: &str, text: &str| text.parse().map_err(|_| wrong(name, text));
            let mut metrics = Metrics::default();
            for (name, text) in head.iter().zip(&record).skip(3) {
                if !text.is_empty() {
                    metrics.set(name, number(name, text)?);
                }
            }
            let epoch = count(0)?.checked_sub(1);
            history.push(EpochRow {
                epoch: epoch.ok_or_else(|| wrong("epoch", &record[0]))?,
                update: count(1)?,
                learning_rate: number(fixed[2], &record[2])?,
                metrics,
            });
        }
        Ok(history)
    }

    /// The rows as CSV with a header: `epoch,update,learning_rate,…`.
    ///
    /// Epochs are 1-based, numbers are the shortest digits that give the value
    /// back, and there is no wall clock, so equal runs give equal bytes.
    pub fn to_csv(&self) -> String {
        let mut columns: Vec<&str> = Vec::new();
        for row in &self.0 {
            for (name, _) in row.metrics.iter() {
                if !columns.contains(&name) {
                    columns.push(name);
                }
            }
        }
        let mut text = String::from("epoch,update,learning_rate");
        for name in &columns {
            text.push(',');
            text.push_str(&quote(name));
        }
        text.push('\n');
        for row in &self.0 {
            text.push_str(&format!(
                "{},{},{}",
                row.epoch + 1,
                row.update,
                row.learning_rate
            ));
            for name in &columns {
                text.push(',');
                if let Some(value) = row.metrics.get(name) {
                    text.push_str(&value.to_string());
                }
            }
            text.push('\n');
        }
        text
    }
}

fn quote(name: &str) -> String {
    if name.contains([',', '"', '\n']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

/// Whether `new` is strictly better than `old`.
pub(crate) fn better(mode: Mode, new: f64, old: f64) -> bool {
    match mode {
        Mode::Min => new < old,
        Mode::Max => new > old,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64, loss: f64) -> EpochRow {
        let mut metrics = Metrics::default();
        metrics.set("val_loss", loss);
        EpochRow {
            epoch,
            update: (epoch + 1) * 10,
            learning_rate: 0.1,
            metrics,
        }
    }

    #[test]
    fn the_best_row_is_the_first_of_equals_and_never_a_nan() {
        let mut history = History::default();
        for (epoch, loss) in [f64::NAN, 0.5, 0.2, 0.2, 0.9].into_iter().enumerate() {
            history.push(row(epoch as u64, loss));
        }
        assert_eq!(history.best("val_loss", Mode::Min).unwrap().epoch, 2);
        assert_eq!(history.best("val_loss", Mode::Max).unwrap().epoch, 4);
        assert!(history.best("other", Mode::Min).is_none());
    }

    #[test]
    fn csv_has_a_column_for_every_metric_ever_seen() {
        let mut history = History::default();
        history.push(row(0, 0.5));
        let mut late = row(1, 0.25);
        late.metrics.set("ema, val_loss", 0.125);
        history.push(late);
        assert_eq!(
            history.to_csv(),
            "epoch,update,learning_rate,val_loss,\"ema, val_loss\"\n\
             1,10,0.1,0.5,\n\
             2,20,0.1,0.25,0.125\n"
        );
    }

    #[test]
    fn csv_agrees_with_the_csv_crate_on_what_it_means() {
        let mut history = History::default();
        let mut first = row(0, 0.1 + 0.2);
        first.metrics.set("a\"b,c", f64::NAN);
        history.push(first);
        let text = history.to_csv();
        let back = History::parse_csv(&text).unwrap();
        assert_eq!(back.to_csv(), text);
        assert!(History::parse_csv("epoch,update,learning_rate\n0,1,0.1\n").is_err());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().get(4), Some("a\"b,c"));
        let record = reader.records().next().unwrap().unwrap();
        let value: f64 = record[3].parse().unwrap();
        assert_eq!(value.to_bits(), (0.1f64 + 0.2).to_bits());
    }
}
