//! What a model consists of.

use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};

/// The parameters of a model with their shapes, and their numbers per module.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use firecraft_trainer::ModelSummary;
///
/// let model = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
/// let summary = ModelSummary::of(&model);
/// assert_eq!((summary.parameters(), summary.trainable()), (8, 8));
/// assert!(summary.to_string().contains("weight"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSummary {
    rows: Vec<SummaryRow>,
    depth: Option<usize>,
}

/// One tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// Its path.
    pub path: String,
    /// The module that holds it, such as `Linear`.
    pub module: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it is trained: it asks for a gradient, which tensors do on an
    /// autodiff device only.
    pub trainable: bool,
}

impl SummaryRow {
    /// Numbers in the tensor.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

impl ModelSummary {
    /// Reads a model; values are not touched.
    pub fn of<M: Module>(model: &M) -> Self {
        let mut visitor = Rows::default();
        model.visit(&mut visitor);
        Self {
            rows: visitor.rows,
            depth: None,
        }
    }

    /// Adds up tensors below this depth of modules when displayed.
    #[must_use]
    pub const fn depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }

    /// All tensors, in the order of the model.
    pub fn rows(&self) -> &[SummaryRow] {
        &self.rows
    }

    /// Numbers in all tensors.
    pub fn parameters(&self) -> usize {
        self.rows.iter().map(SummaryRow::size).sum()
    }

    /// Numbers in the tensors that are trained.
    pub fn trainable(&self) -> usize {
        let trained = self.rows.iter().filter(|row| row.trainable);
        trained.map(SummaryRow::size).sum()
    }

    fn lines(&self) -> Vec<[String; 5]> {
        let Some(depth) = self.depth else {
            let line = |row: &SummaryRow| {
                [
                    row.path.clone(),
                    row.module.clone(),
                    format!("{:?}", row.shape),
                    row.size().to_string(),
                    if row.trainable { "yes" } else { "no" }.into(),
                ]
            };
            return self.rows.iter().map(line).collect();
        };
        let mut lines: Vec<(String, usize, usize)> = Vec::new();
        for row in &self.rows {
            let parts: Vec<_> = row.path.split('.').take(depth.max(1)).collect();
            let path = parts.join(".");
            let trained = if row.trainable { row.size() } else { 0 };
            match lines.last_mut() {
                Some(last) if last.0 == path => {
                    last.1 += row.size();
                    last.2 += trained;
                }
                _ => lines.push((path, row.size(), trained)),
            }
        }
        let line = |(path, size, trained): (String, usize, usize)| {
            let trained = match trained {
                0 => "no".into(),
                all if all == size => "yes".into(),
                part => part.to_string(),
            };
            [
                path,
                String::new(),
                String::new(),
                size.to_string(),
                trained,
            ]
        };
        lines.into_iter().map(line).collect()
    }
}

impl fmt::Display for ModelSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["path", "module", "shape", "numbers", "trained"].map(str::to_owned);
        let lines: Vec<_> = std::iter::once(head).chain(self.lines()).collect();
        let width = |at: usize| lines.iter().map(|line| line[at].len()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3, 4].map(width);
        for [path, module, shape, size, trained] in &lines {
            writeln!(
                f,
                "{path:<a$}  {module:<b$}  {shape:<c$}  {size:>d$}  {trained}",
                a = widths[0],
                b = widths[1],
                c = widths[2],
                d = widths[3],
            )?;
        }
        write!(
            f,
            "{} numbers, {} of them trained",
            self.parameters(),
            self.trainable()
        )
    }
}

#[derive(Default)]
struct Rows {
    path: Vec<String>,
    module: Vec<String>,
    rows: Vec<SummaryRow>,
}

impl Rows {
    fn add(&mut self, shape: Vec<usize>, trainable: bool) {
        let module = self.module.last().map_or("", String::as_str);
        self.rows.push(SummaryRow {
            path: self.path.join("."),
            module: module.rsplit(':').next().unwrap_or_default().to_owned(),
            shape,
            trainable,
        });
    }
}

impl ModuleVisitor for Rows {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.module.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.module.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.lazy_shape().to_vec(), param.is_require_grad());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.lazy_shape().to_vec(), false);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param.lazy_shape().to_vec(), false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Net {
        first: Linear,
        norm: BatchNorm,
    }

    #[test]
    fn frozen_parameters_and_statistics_are_not_trained() {
        let device = Device::flex().autodiff();
        let net = Net {
            first: LinearConfig::new(3, 4).init(&device).freeze(),
            norm: BatchNormConfig::new(4).init(&device),
        };
        let summary = ModelSummary::of(&net);
        assert_eq!(summary.parameters(), 12 + 4 + 4 * 4);
        assert_eq!(summary.trainable(), 8);
        let text = summary.to_string();
        assert!(
            text.contains("first.weight") && text.contains("[3, 4]"),
            "{text}"
        );
        let short = summary.depth(1).to_string();
        assert_eq!(short.lines().count(), 4, "{short}");
    }
}
