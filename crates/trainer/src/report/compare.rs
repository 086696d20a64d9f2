//! The page that puts several runs beside each other.

use std::fs;
use std::path::Path;

use firecraft_plot::{LineChart, Page};
use firecraft_schedule::Mode;

use super::run::{capitalised, metric_names, scale_for};
use crate::error::TrainerError;
use crate::metrics::History;
use crate::recipe::{Difference, Recipe};

/// One of the runs on a page of [`compare`].
#[derive(Debug, Clone)]
pub struct ComparedRun {
    /// What the run is called on the page.
    pub name: String,
    /// What it was made from.
    pub recipe: Recipe,
    /// What was measured.
    pub history: History,
}

impl ComparedRun {
    /// Reads `recipe.toml` and `history.csv` of a run folder; the run may still
    /// be going on. It is called by the name of its folder.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Io`] when a file can't be read,
    /// [`TrainerError::Damaged`] when it doesn't hold what it should.
    pub fn read(folder: &Path) -> Result<Self, TrainerError> {
        let recipe = Recipe::load_stored(&folder.join("recipe.toml"))?;
        let path = folder.join("history.csv");
        let text = fs::read_to_string(&path).map_err(TrainerError::io(
            "read the history",
            &path,
            "give the folder of a run that has finished an epoch",
        ))?;
        let history = History::parse_csv(&text).map_err(|problem| {
            TrainerError::damaged(&path, problem, "leave this run out of the comparison")
        })?;
        let name = match folder.canonicalize() {
            Ok(full) => full.file_name().map(|name| name.to_owned()),
            Err(_) => None,
        };
        Ok(Self {
            name: name.map_or_else(
                || folder.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
            recipe,
            history,
        })
    }
}

/// One HTML page with the results, the differences between the recipes and
/// every metric of several runs.
///
/// ```
/// use firecraft_trainer::{History, Recipe, report::{ComparedRun, compare}};
///
/// let run = |seed| ComparedRun {
///     name: format!("seed {seed}"),
///     recipe: Recipe { seed, ..Recipe::default() },
///     history: History::parse_csv("epoch,update,learning_rate,loss\n1,10,0.1,0.5\n").unwrap(),
/// };
/// let html = compare(&[run(1), run(2)])?;
/// assert!(html.contains("seed 2") && html.contains("<td>0.5</td>"));
/// # Ok::<(), firecraft_trainer::TrainerError>(())
/// ```
///
/// # Errors
///
/// [`TrainerError::Setting`] without a run, [`TrainerError::Spec`] for a recipe
/// without a text form.
pub fn compare(runs: &[ComparedRun]) -> Result<String, TrainerError> {
    let Some(first) = runs.first() else {
        return Err(TrainerError::Setting {
            field: "runs",
            value: "empty".into(),
            allowed: "at least one run",
        });
    };
    let mut page = Page::new("Comparison").subtitle(format!("{} runs", runs.len()));
    let names = all_metrics(runs);
    results(&mut page, runs, &names);
    differences(&mut page, first, runs)?;
    page.section("Curves");
    let charts: Vec<String> = names
        .iter()
        .filter_map(|name| chart(runs, name))
        .chain(std::iter::once(rates(runs)))
        .collect();
    page.charts(&charts);
    Ok(page.to_html())
}

fn all_metrics(runs: &[ComparedRun]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for run in runs {
        for name in metric_names(&run.history) {
            for name in [format!("val_{name}"), name] {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    names
}

fn results(page: &mut Page, runs: &[ComparedRun], names: &[String]) {
    let mut head = vec!["run".to_owned(), "epochs".to_owned()];
    let shown: Vec<&String> = (names.iter())
        .filter(|name| runs.iter().any(|run| !run.history.curve(name).is_empty()))
        .collect();
    for name in &shown {
        head.push(format!("best {name}"));
        head.push("in epoch".to_owned());
    }
    let rows = runs.iter().map(|run| {
        let mut row = vec![run.name.clone(), run.history.rows().len().to_string()];
        for name in &shown {
            let best = run.history.best(name, Mode::of_metric(name));
            let value = best.and_then(|best| best.metrics.get(name));
            row.push(value.map_or_else(String::new, rounded));
            row.push(best.map_or_else(String::new, |best| (best.epoch + 1).to_string()));
        }
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    page.section("Results").table(&head, &rows);
}

/// Five significant digits are more than two runs agree on.
fn rounded(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (4 - value.abs().log10().floor() as i64).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn differences(
    page: &mut Page,
    first: &ComparedRun,
    runs: &[ComparedRun],
) -> Result<(), TrainerError> {
    page.section("Differences of the recipes");
    let mut rows = Vec::new();
    for run in &runs[1..] {
        for Difference {
            field,
            found,
            asked,
        } in first.recipe.differences(&run.recipe)?
        {
            rows.push(vec![
                field,
                first.name.clone(),
                shortened(&found),
                run.name.clone(),
                shortened(&asked),
            ]);
        }
    }
    if rows.is_empty() {
        page.text("All runs were made from the same recipe.");
    } else {
        page.table(&["setting", "run", "value", "other run", "value"], &rows);
    }
    Ok(())
}

/// A whole list of transforms would push the other run off the page.
fn shortened(value: &str) -> String {
    const MOST: usize = 60;
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    let start: String = value.chars().take(MOST - 1).collect();
    start + "…"
}

fn chart(runs: &[ComparedRun], name: &str) -> Option<String> {
    let curves: Vec<(&str, Vec<(f64, f64)>)> = runs
        .iter()
        .map(|run| (run.name.as_str(), run.history.curve(name)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    if curves.is_empty() {
        return None;
    }
    let points: Vec<&[(f64, f64)]> = curves.iter().map(|(_, points)| points.as_slice()).collect();
    let mut chart = LineChart::new(capitalised(name))
        .x_label("epoch")
        .y_scale(scale_for(name, &points));
    for (run, points) in &curves {
        chart = chart.series(*run, points);
    }
    Some(chart.to_svg())
}

fn rates(runs: &[ComparedRun]) -> String {
    let mut chart = LineChart::new("Learning rate").x_label("update");
    for run in runs {
        let points: Vec<(f64, f64)> = (run.history.rows().iter())
            .map(|row| (row.update as f64, row.learning_rate))
            .collect();
        chart = chart.series(run.name.as_str(), &points);
    }
    chart.to_svg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_folder::RunFolder;

    const CSV: &str =
        "epoch,update,learning_rate,loss,val_accuracy\n1,10,0.1,0.5,0.8\n2,20,0.05,0.25,0.75\n";

    fn run(name: &str, seed: u64) -> ComparedRun {
        ComparedRun {
            name: name.into(),
            recipe: Recipe {
                seed,
                ..Recipe::default()
            },
            history: History::parse_csv(CSV).unwrap(),
        }
    }

    #[test]
    fn the_best_of_each_metric_is_told_with_its_epoch() {
        let html = compare(&[run("a", 1), run("b", 2)]).unwrap();
        // The least loss is of the second epoch, the best accuracy of the first.
        assert!(html.contains("<td>0.25</td><td>2</td>"), "{html}");
        assert!(html.contains("<td>0.8</td><td>1</td>"), "{html}");
        assert!(
            html.contains("<td>seed</td><td>a</td><td>1</td><td>b</td><td>2</td>"),
            "{html}"
        );
    }

    #[test]
    fn equal_recipes_are_said_to_be_equal() {
        let html = compare(&[run("a", 1), run("b", 1)]).unwrap();
        assert!(html.contains("the same recipe"));
        assert!(compare(&[]).is_err());
    }

    #[test]
    fn runs_are_read_from_their_folders() {
        let parent = tempfile::tempdir().unwrap();
        let recipe = Recipe::default();
        let folder = RunFolder::create(parent.path(), "digits", &recipe).unwrap();
        let error = ComparedRun::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("history.csv"), "{error}");
        folder.write("history.csv", CSV.as_bytes()).unwrap();
        let read = ComparedRun::read(folder.path()).unwrap();
        assert_eq!(read.name, "digits-0001");
        assert_eq!(read.history.to_csv(), CSV);
        folder.write("history.csv", b"epoch,update\n1,x\n").unwrap();
        let error = ComparedRun::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }

    #[test]
    fn long_values_are_cut_between_letters() {
        assert_eq!(shortened("0.1"), "0.1");
        let cut = shortened(&"ä".repeat(61));
        assert_eq!(cut.chars().count(), 60);
        assert!(cut.ends_with("ä…"), "{cut}");
    }

    #[test]
    fn numbers_are_rounded_to_what_can_be_compared() {
        assert_eq!(rounded(0.123_456_78), "0.12346");
        assert_eq!(rounded(1234.5678), "1234.6");
        assert_eq!(rounded(0.5), "0.5");
        assert_eq!(rounded(100.0), "100");
        assert_eq!(rounded(f64::NAN), "NaN");
    }
}
