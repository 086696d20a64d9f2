//! The dry run: what each parameter would get.

use super::select::Role;
use crate::Fans;
use serde::Serialize;
use std::fmt;

/// What a plan would do to one parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitRow {
    /// Dotted path.
    pub path: String,
    /// Type name of the layer.
    pub kind: String,
    /// What the parameter is to the layer.
    pub role: Role,
    /// Sizes of the axes, as the forward pass uses them.
    pub shape: Vec<usize>,
    /// Semantic fans, for weights.
    pub fans: Option<Fans>,
    /// Name of the initialiser; `None` if the parameter stays as it is.
    pub initializer: Option<String>,
    /// Mean of the values, where known beforehand.
    pub mean: Option<f64>,
    /// Standard deviation of the values, where known beforehand.
    pub std: Option<f64>,
    /// The rule that decided, as a selector.
    pub rule: String,
}

/// What a plan would do to each parameter of a model, in the order of its
/// fields. Prints as an aligned table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct InitTable {
    /// One row per float parameter.
    pub rows: Vec<InitRow>,
}

impl InitTable {
    /// The row of a parameter.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&InitRow> {
        self.rows.iter().find(|row| row.path == path)
    }
}

impl fmt::Display for InitTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "parameter",
            "layer",
            "shape",
            "fan in",
            "fan out",
            "initializer",
            "mean",
            "std",
            "rule",
        ]
        .map(str::to_owned);
        let number = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:.4}"));
        let rows: Vec<[String; 9]> = std::iter::once(head)
            .chain(self.rows.iter().map(|row| {
                let fan = |get: fn(Fans) -> f64| {
                    row.fans
                        .map_or_else(String::new, |fans| get(fans).to_string())
                };
                [
                    row.path.clone(),
                    row.kind.clone(),
                    format!("{:?}", row.shape),
                    fan(|fans| fans.fan_in),
                    fan(|fans| fans.fan_out),
                    row.initializer
                        .clone()
                        .unwrap_or_else(|| "(kept)".to_owned()),
                    number(row.mean),
                    number(row.std),
                    row.rule.clone(),
                ]
            }))
            .collect();
        let mut widths = [0; 9];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            let line: Vec<String> = (row.iter().zip(widths))
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}
